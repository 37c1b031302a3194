"""Notebooks for competitions that take no CSV: built and rehearsed here, run on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.project.base import Names, split_names
from kagglekit.project.results import SubmissionResult
from kagglekit.project.submissions import SubmissionMethods

if TYPE_CHECKING:
    from kagglekit.notebooks.folder import Built
    from kagglekit.notebooks.rehearse import Rehearsed
    from kagglekit.runs.graph_precision import Precision
    from kagglekit.runs.store import Run


class NotebookMethods(SubmissionMethods):
    """The part of `Project` that builds, rehearses and submits notebooks."""

    def notebook_build(
        self,
        ensemble: Names = (),
        *,
        best: bool = False,
        method: str | None = None,
        decision: str | None = None,
        precision: Precision = "float32",
        wheels: str | Path | None = None,
    ) -> Built:
        """Build the folder of a notebook that predicts the host's hidden test with a blend.

        Args:
            ensemble, best, method, decision: as in `submit`.
            precision: of the networks' weights.
            wheels: folder with wheels of the packages that the host's image lacks; None: download them.

        Raises:
            ConfigError: a run cannot be in a notebook.
            KagglekitError: the wheels cannot be downloaded.
        """
        from kagglekit.notebooks.build import build

        self.workspace.check_writable("workspace")
        blend = self._blend(ensemble, best, method, decision)
        folder = None if wheels is None else Path(wheels)
        return build(self.prepared, blend, precision=precision, wheel_folder=folder)

    def notebook_rehearse(self, built: Built, *, recordings: int | None = None) -> Rehearsed:
        """Run a built notebook offline under the competition's limits, and reckon its time on the host.

        Args:
            built: as `notebook_build` returns it.
            recordings: of the large synthetic test; None: 100, or as many as the hidden test has if fewer;
                0: none.

        Raises:
            SubmissionError: it failed, or used more than the limits allow.
        """
        from kagglekit.notebooks.rehearse import rehearse

        return rehearse(built, self.workspace, recordings)

    def submit_notebook(
        self,
        folder: str | Path,
        *,
        upload: bool = False,
        force: bool = False,
        wait: bool = True,
        message: str | None = None,
        preview: Callable[[SubmissionResult], None] = lambda submission: None,
        confirm: Callable[[Sequence[str]], bool] = lambda notes: True,
    ) -> SubmissionResult:
        """Check a built folder; with `upload` push it, submit it once and wait for its score.

        Args:
            folder: as `kagglekit notebook build` writes it.
            upload, wait, message, preview, confirm: as in `submit`.
            force: push and submit again what was submitted, has failed, or differs from the rehearsal.

        Raises:
            SubmissionError: it was submitted before, must not be now, was not confirmed, or has failed.
            HostError: the host refused or could not be reached.
        """
        from kagglekit.notebooks.folder import read_built
        from kagglekit.notebooks.submit import check_competition, rehearsed, submit_built
        from kagglekit.submission.send import UploadOptions

        built = read_built(Path(folder))
        check_competition(built, self.config)
        submission = SubmissionResult(
            ensemble=None,
            frame=rehearsed(built),
            warnings=[],
            change=None,
            expected=None,
            standing=None,
            path=built.path,
            notebook=built,
        )
        preview(submission)
        if not upload:
            return submission
        options = UploadOptions(confirm=confirm, force=force, wait=wait, message=message)
        return replace(submission, entry=submit_built(built, self.workspace, self.host, options))

    def notebook_train(
        self,
        model: Names,
        *,
        accelerator: str | None = "NvidiaTeslaT4",
        wheels: str | Path | None = None,
        force: bool = False,
        confirm: Callable[[Sequence[str]], bool] = lambda notes: True,
    ) -> list[Run]:
        """Train on the host's machines, and fetch the runs as if they had been trained here.

        Args:
            accelerator: the host's name of it; None: the processor alone.
            wheels: folder with wheels of the packages that the host's image lacks; None: download them.
            force: train there again what has failed there.
            confirm: called with the quota and what is pushed; whether to push.

        Raises:
            ConfigError: a model needs what the host's notebook cannot have.
            SubmissionError: it was not confirmed, or the week's quota is used up.
            KagglekitError: the training failed there, or its files are damaged or of other clips.
            HostError: the host refused or could not be reached.
        """
        from kagglekit.notebooks.training import all_here, train_there
        from kagglekit.notebooks.training_job import build_job
        from kagglekit.training.plan import resolve

        self.workspace.check_writable("workspace")
        names = split_names(model)
        plans = [resolve(self.config, name) for name in names]  # a wrong name fails before work begins
        if not force and (runs := all_here(self.prepared, plans)):
            return runs
        folder = None if wheels is None else Path(wheels)
        built, plans = build_job(
            self.workspace, self.path, self.settings, names, accelerator=accelerator, wheel_folder=folder
        )
        return train_there(built, self.prepared, plans, self.host, confirm=confirm, force=force)
