"""Notebooks that are built here and run on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kagglekit.project.base import ProjectBase
from kagglekit.project.results import SubmissionResult


class NotebookMethods(ProjectBase):
    """The part of `Project` that pushes and submits notebooks."""

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
        from kagglekit.notebooks.submit import rehearsed, submit_built
        from kagglekit.submission.send import UploadOptions

        built = read_built(Path(folder))
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
