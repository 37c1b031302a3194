"""What the methods of a project return about blends and submissions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

    from kagglekit.ensemble.blend import BlendedRuns
    from kagglekit.notebooks.folder import Built
    from kagglekit.runs.explain import Explained
    from kagglekit.scoring.forecast import Expected
    from kagglekit.submission.ledger import Entry
    from kagglekit.submission.preview import Change, Standing
    from kagglekit.verdict.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class SubmissionResult:
    """A submission, before or after it is sent."""

    ensemble: BlendedRuns | None
    """None for an existing CSV (--file)."""
    frame: pl.DataFrame
    """The rows."""
    warnings: list[str]
    change: Change | None
    """Differences from the last submission; None where there is none to compare with."""
    expected: Expected | None
    """The public score forecast from CV; None without a CV score."""
    standing: Standing | None
    """The rank it would have; None where the host was not asked, or shows none."""
    verdict: Verdict | None = None
    """Whether the CV score says what the leaderboard will show; None where that could not be judged, and for
    an existing CSV where no earlier verdict is kept."""
    path: Path | None = None
    """The CSV, or the folder of a built notebook; None for a dry run."""
    entry: Entry | None = None
    """Its line in the log; None for a dry run."""
    notebook: Built | None = None
    """The built notebook, where one is submitted."""
    skipped: bool = False
    """Whether `skip_sent` left it unsent, since the same CSV had been sent before."""


class CvReport(NamedTuple):
    """CV scores of runs, and of submissions beside their public scores."""

    runs: list[Explained]
    """The best first."""
    sent: list[Entry]
    """Submissions with a CV and a public score, oldest first."""
    verdict: Verdict | None
    """Whether CV scores say what the leaderboard will show; None where that could not be judged."""


class Leaderboard(NamedTuple):
    """The log of submissions."""

    entries: list[Entry]
    """Oldest first."""
    here: list[Entry]
    """Those to this competition's host."""
    best_by_cv: Entry | None
    best_by_public: Entry | None
    changed: list[Entry] | None
    """Entries that were updated from the host; None where it was not asked."""

    @property
    def table(self) -> pl.DataFrame:
        """The entries, a row each."""
        from dataclasses import asdict

        import polars as pl

        return pl.DataFrame([asdict(entry) for entry in self.entries], infer_schema_length=None)
