"""Blends and submissions: choose an ensemble, explain its CV score, submit it, and keep the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kagglekit.errors import ConfigError, HostError, KagglekitError
from kagglekit.project.base import Names, ProjectBase, check_names, split_names
from kagglekit.project.report import save_picture
from kagglekit.project.results import CvReport, Leaderboard, SubmissionResult

if TYPE_CHECKING:
    import polars as pl

    from kagglekit.ensemble.blend import BlendedRuns
    from kagglekit.submission.ledger import Entry, Ledger
    from kagglekit.submission.send import UploadOptions
    from kagglekit.verdict.verdict import Verdict


class SubmissionMethods(ProjectBase):
    """The part of `Project` that blends, explains and submits."""

    def ensemble(
        self, model: Names = (), *, method: str | None = "auto", decision: str | None = "auto"
    ) -> BlendedRuns:
        """Blend runs by nested CV (auto), a named method and decision, or as competition.yaml says (None)."""
        from kagglekit.ensemble.build import build
        from kagglekit.runs.choose import best_runs

        check_names(method, decision)
        runs = best_runs(self.prepared, split_names(model) or None)
        return build(self.prepared, runs, method, decision)

    def cv(
        self,
        model: Names = (),
        run: Names = (),
        *,
        prior: Literal["stated", "estimated"] = "stated",
        out: str | Path | None = None,
    ) -> CvReport:
        """Explain the CV scores of trained runs, beside public scores."""
        from kagglekit.charts.cv_vs_lb import picture
        from kagglekit.runs.explain import explain_runs
        from kagglekit.submission.ledger import scored_entries
        from kagglekit.verdict.make import verdict_or_note

        sent = scored_entries(self.workspace, self.metric)
        if out is not None:
            save_picture(picture(sent, self.metric), Path(out))
        estimated = prior == "estimated"
        explained = explain_runs(self.prepared, split_names(model), split_names(run), estimated)
        return CvReport(explained, sent, verdict_or_note(self.prepared))

    def verdict(self) -> Verdict:
        """Judge the validation: whether CV scores say what the leaderboard will show, and why.

        Raises:
            KagglekitError: clips or the log of submissions cannot be read.
        """
        from kagglekit.verdict.make import verdict_on

        return verdict_on(self.prepared)

    def submit(
        self,
        ensemble: Names = (),
        *,
        best: bool = False,
        file: str | Path | None = None,
        method: str | None = None,
        decision: str | None = None,
        dry_run: bool = False,
        out: str | Path | None = None,
        upload: bool = False,
        force: bool = False,
        wait: bool = True,
        message: str | None = None,
        skip_sent: bool = False,
        preview: Callable[[SubmissionResult], None] = lambda submission: None,
        confirm: Callable[[Sequence[str]], bool] = lambda notes: True,
    ) -> SubmissionResult:
        """Blend, check against the sample and write a CSV; with `upload` send it and wait for its score.

        Where the host takes notebooks alone, `upload` builds one of the blend, rehearses it and submits it.

        Args:
            method, decision: as in `ensemble`; by default as competition.yaml says.
            out: write the CSV to this file, too, where a host's page expects it: submission.csv.
            skip_sent: do not send the same bytes twice, and raise no error.
            preview: called with the submission before it is sent.
            confirm: called with the host's notes (submissions left, deadline); whether to send it.

        Raises:
            ConfigError: arguments that contradict each other.
            SubmissionError: it must not be sent, or the host did not accept it.
        """
        from kagglekit.files.atomic import write_bytes
        from kagglekit.submission.send import UploadOptions, send
        from kagglekit.submission.write import draft, import_csv, write

        _check_submission(file, best, dry_run, upload, method, decision)
        self._check_places(out, dry_run, upload and not file)
        blend = None if file else self._blend(ensemble, best, method, decision)
        options = UploadOptions(confirm=confirm, force=force, wait=wait, message=message)
        if upload and blend is not None and self._submits_notebooks:
            return self._submit_as_notebook(blend, options, preview, skip_sent)
        if out is not None and blend is not None and self._hides_test(blend):
            return self._without_test(blend, Path(out))
        if dry_run and blend is not None:
            submission = self._preview(blend, *draft(self.workspace, blend), ask_host=True)
            preview(submission)
            return submission
        written = write(self.workspace, blend) if blend else import_csv(self.workspace, Path(file or ""))
        if out is not None:
            write_bytes(Path(out), written.path.read_bytes())
        shown = self._preview(blend, written.frame, written.warnings, ask_host=upload)
        submission = replace(shown, path=written.path, entry=written.entry)
        preview(submission)
        if not upload:
            return submission
        if skip_sent and written.entry.status in ("PENDING", "COMPLETE"):
            return replace(submission, skipped=True)
        return replace(submission, entry=send(written, self.workspace, options))

    @property
    def _submits_notebooks(self) -> bool:
        """Whether the host takes notebooks alone: a local one where it has a hidden test."""
        competition = self.config.competition
        hides = competition.local is None or competition.local.hidden is not None
        return competition.delivery == "notebook" and hides

    def _submit_as_notebook(
        self,
        blend: BlendedRuns,
        options: UploadOptions,
        preview: Callable[[SubmissionResult], None],
        skip_sent: bool,
    ) -> SubmissionResult:
        """Build the notebook of a blend, rehearse it unless it was rehearsed, and submit it."""
        from kagglekit.notebooks.build import build
        from kagglekit.notebooks.rehearse import rehearse
        from kagglekit.notebooks.state import digest_of
        from kagglekit.notebooks.submit import rehearsed, submit_built
        from kagglekit.submission.ledger import Ledger, host_name

        self.workspace.check_writable("workspace")
        built = build(self.prepared, blend)
        if built.rehearsal() is None:
            rehearse(built, self.workspace)
        shown = self._preview(blend, rehearsed(built), [], ask_host=True)
        submission = replace(shown, path=built.path, notebook=built)
        preview(submission)
        sent = Ledger(self.workspace.ledger_path).find(digest_of(built), host_name(self.config))
        if skip_sent and sent is not None and sent.status in ("PENDING", "COMPLETE"):
            return replace(submission, entry=sent, skipped=True)
        return replace(submission, entry=submit_built(built, self.workspace, self.host, options))

    def _hides_test(self, blend: BlendedRuns) -> bool:
        """Whether the host shows the test to its notebooks alone, and not now."""
        return self.config.competition.delivery == "notebook" and not len(blend.test)

    def _check_places(self, out: str | Path | None, dry_run: bool, upload_blend: bool) -> None:
        """Check what a submission is written to, before anything is blended."""
        from kagglekit.files.faults import check_file

        if dry_run and out is not None:
            raise ConfigError("--dry-run writes nothing", hint="leave --dry-run or --out out")
        if upload_blend and out is not None and self._submits_notebooks:
            raise ConfigError(
                f"--out writes a CSV, and {self.config.competition.slug} takes a notebook",
                hint="leave --out out to build and submit the notebook, or --upload to write the CSV",
            )
        if not dry_run:
            self.workspace.check_writable("submissions")
        if out is not None:
            check_file(Path(out))

    def _without_test(self, blend: BlendedRuns, out: Path) -> SubmissionResult:
        """Write what a notebook must write all the same; it predicts nothing, and is not logged."""
        from kagglekit.files.atomic import write_bytes
        from kagglekit.submission.table import to_csv
        from kagglekit.submission.write import without_test

        frame = without_test(self.workspace)
        write_bytes(out, to_csv(frame))
        shown = [f"no test recordings are shown here: {out} is the sample, for the host to check its form"]
        return SubmissionResult(
            ensemble=blend, frame=frame, warnings=shown, change=None, expected=None, standing=None
        )

    def _blend(self, names: Names, best: bool, method: str | None, decision: str | None) -> BlendedRuns:
        from kagglekit.ensemble import build
        from kagglekit.runs.choose import best_runs

        if best:
            return build.best(self.prepared, best_runs(self.prepared, ["runs"]))
        return self.ensemble(names, method=method, decision=decision)

    def _preview(
        self, blend: BlendedRuns | None, frame: pl.DataFrame, warnings: list[str], *, ask_host: bool
    ) -> SubmissionResult:
        """Compare with the last submission, and forecast score and rank."""
        from kagglekit.scoring.forecast import expected
        from kagglekit.scoring.shapes import Shape
        from kagglekit.submission.ledger import Ledger, host_name
        from kagglekit.submission.preview import change, standing
        from kagglekit.terminal import console
        from kagglekit.verdict.make import saved_verdict, verdict_or_note

        ledger, folder = Ledger(self.workspace.ledger_path), self.workspace.submissions
        shape = Shape.of(self.workspace.resolved().config)
        changed = change(frame, ledger, host_name(self.config), folder, shape)
        score = None if blend is None else expected(blend.score, len(blend.test), self.metric)
        place = None
        if ask_host and score is not None:
            try:
                place = standing(self.host, score, self.metric)
            except KagglekitError as error:  # the forecast is worth showing without ranks
                console.note(f"no ranks: {error}")
        # an existing CSV needs no clips, so that it is sent without opening them
        judged = (
            saved_verdict(self.workspace, self.metric) if blend is None else verdict_or_note(self.prepared)
        )
        return SubmissionResult(
            ensemble=blend,
            frame=frame,
            warnings=warnings,
            change=changed,
            expected=score,
            standing=place,
            verdict=judged,
        )

    def leaderboard(self, *, sync: bool = False, out: str | Path | None = None) -> Leaderboard:
        """Return the log of submissions."""
        from kagglekit.submission.ledger import Ledger, best, host_name, to_csv

        ledger = Ledger(self.workspace.ledger_path)
        changed = self._sync(ledger) if sync else None
        entries = sorted(ledger.entries(), key=lambda entry: entry.time)
        here = [entry for entry in entries if entry.host == host_name(self.config)]
        if out is not None:
            to_csv(entries, Path(out))
        by_cv, by_public = best(here, "cv_score", self.metric), best(here, "public", self.metric)
        return Leaderboard(entries, here, by_cv, by_public, changed)

    def _sync(self, ledger: Ledger) -> list[Entry]:
        from kagglekit.files.locks import locked
        from kagglekit.submission.ledger import host_name
        from kagglekit.submission.sync import record_ranks, settle_seconds, sync
        from kagglekit.terminal import console

        name = host_name(self.config)
        with locked(
            self.workspace.submissions / "upload", "an upload"
        ):  # an upload that still runs is not judged
            changed = sync(self.host, ledger, name, settle_seconds(self.config))
        try:
            record_ranks(self.host, ledger, name, self.metric)
        except HostError as error:  # the scores are kept without them
            console.note(f"no ranks: {error}")
        return changed


def _check_submission(
    file: str | Path | None, best: bool, dry_run: bool, upload: bool, method: str | None, decision: str | None
) -> None:
    """Raise a ConfigError for options that contradict each other."""
    check_names(method, decision)
    if file and (method or decision or dry_run):
        raise ConfigError(
            "--method, --decision and --dry-run apply to blends, and --file is not blended",
            hint="leave them out: without --upload, --file sends nothing either",
        )
    if best and (method or decision):
        raise ConfigError(
            "--best chooses method and decision itself", hint="name them with --ensemble instead"
        )
    if dry_run and upload:
        raise ConfigError("--dry-run sends nothing", hint="leave --dry-run or --upload out")
