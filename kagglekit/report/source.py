"""Read what the report shows: runs, clips and submissions, checked and in one order of clips."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.clips import WINDOWS
from kagglekit.data.prepare import Prepared
from kagglekit.data.store import Store
from kagglekit.data.windows import join_windows
from kagglekit.errors import MissingError
from kagglekit.files import parquet
from kagglekit.files.workspace import Workspace
from kagglekit.runs.choose import note_others, present_runs
from kagglekit.runs.score import scored
from kagglekit.runs.store import Run, train_again
from kagglekit.scoring.cv import clip_weights
from kagglekit.scoring.predictions import logits_of
from kagglekit.scoring.task import Task
from kagglekit.submission.ledger import Entry, Ledger, host_name
from kagglekit.training.files import HISTORY, OOF
from kagglekit.verdict.make import verdict_or_note
from kagglekit.verdict.verdict import Verdict

MOST_RUNS = 30  # runs shown, the best by CV


class ReportRun(NamedTuple):
    """A run with its probabilities for the clips of the report."""

    run: Run
    probs: NDArray[np.float32]
    """(clips, classes), from OOF predictions."""

    @property
    def name(self) -> str:
        """`tcresnet/0204dfa627f6`"""
        return f"{self.run.model}/{self.run.id}"

    def history(self) -> pl.DataFrame:
        """Read what the training recorded of each fold and epoch."""
        return parquet.read(self.run.folder / HISTORY, train_again(self.run.folder), bound=True)


@dataclass(frozen=True)
class Source:
    """Everything that the report shows of a competition's workspace."""

    prepared: Prepared
    kagglekit: str
    """How commands in the report begin: `kagglekit -C benchmarks/speech_mini.yaml`."""
    clips: pl.DataFrame
    """The clips that have a fold, sorted by clip_id."""
    truth: NDArray[np.bool_]
    """(clips, classes), True for the labels of each clip."""
    known: NDArray[np.bool_] | None
    """(clips, classes), whether it is known if the clip has the class; None: of all."""
    weight: NDArray[np.float64]
    """(clips,), each clip's weight in the CV score."""
    runs: tuple[ReportRun, ...]
    """Sorted by CV score, the best first."""
    left_out: int
    """Number of runs not shown: trained on other clips, folds or classes, or beyond MOST_RUNS."""
    entries: tuple[Entry, ...]
    """Submissions to this competition's host, the oldest first."""
    verdict: Verdict | None
    """On the validation; None where it could not be made."""

    @property
    def config(self) -> Config:
        """The competition's settings."""
        return self.prepared.config

    @property
    def workspace(self) -> Workspace:
        """The competition's workspace."""
        return self.prepared.workspace

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of every run's `probs`."""
        return self.config.labels.all_classes

    @property
    def several(self) -> bool:
        """Whether a clip may have several labels; there is then no confusion of one class with another."""
        return self.prepared.task.multi

    @property
    def target(self) -> NDArray[np.int64]:
        """(clips,), the index of each clip's only true class."""
        index: NDArray[np.int64] = self.truth.argmax(1)
        return index

    def answers(self, probs: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the classes that are answered for each clip, (clips, classes).

        With several labels a clip those that a metric of sets decides for; else the likeliest of the known
        ones, as many as the clip has labels.
        """
        metric = self.prepared.task.metric
        if self.several and metric.answer == "set":
            return metric.decide_sets(probs)
        probs = probs if self.known is None else np.where(self.known, probs, -1)
        rank = np.argsort(np.argsort(-probs, axis=1, kind="stable"), axis=1, kind="stable")
        chosen: NDArray[np.bool_] = rank < self.truth.sum(1, keepdims=True)
        return chosen

    def sound(self, store: Store, split: str, row: int) -> NDArray[np.int16]:
        """Return the samples of the clip at a row of its split's store with all its windows."""
        if WINDOWS not in self.prepared.clips.columns:
            one: NDArray[np.int16] = store.take(np.array([row]))[0]
            return one
        clip = self.prepared.clips.filter((pl.col("split") == split) & (pl.col("row") == row))
        samples, count = clip.select("samples", WINDOWS).row(0) if len(clip) else (0, 1)
        return join_windows(store.take(np.arange(row, row + count)), samples, self.config.audio)

    def best_run_per_model(self) -> list[ReportRun]:
        """Return the best run of each architecture, the best first."""
        best: dict[str, ReportRun] = {}
        for report_run in self.runs:
            best.setdefault(report_run.run.model, report_run)
        return list(best.values())


def read(prepared: Prepared, kagglekit: str) -> Source:
    """Read everything the report shows. A workspace may lack runs and submissions.

    Raises:
        MissingError: the OOF predictions of a run are damaged.
    """
    clips = prepared.clips.filter(pl.col("fold") >= 0).sort("clip_id")
    runs, others = present_runs(prepared)
    note_others(others)
    present = [scored(prepared, run) for run in runs]
    best = prepared.task.metric.ranked(present, lambda run: run.score.cv)
    entries = sorted(Ledger(prepared.workspace.ledger_path).entries(), key=lambda entry: entry.time)
    return Source(
        prepared=prepared,
        kagglekit=kagglekit,
        clips=clips,
        truth=prepared.task.truth(clips["label"]),
        known=prepared.task.known(clips),
        weight=clip_weights(clips, prepared.config),
        runs=tuple(
            ReportRun(run, read_probs(run.folder / OOF, clips, prepared.config, train_again(run.folder)))
            for run in best[:MOST_RUNS]
        ),
        left_out=others + len(best[MOST_RUNS:]),
        entries=tuple(entry for entry in entries if entry.host == host_name(prepared.config)),
        verdict=verdict_or_note(prepared),
    )


def read_probs(path: Path, clips: pl.DataFrame, config: Config, hint: str) -> NDArray[np.float32]:
    """Read OOF predictions as probabilities in the order of `clips`, (clips, classes).

    Raises:
        MissingError: the predictions are absent, damaged or for other clips.
    """
    table = parquet.read(path, hint, bound=True).sort("clip_id")
    logits: NDArray[Any] = logits_of(table)
    if not table["clip_id"].equals(clips["clip_id"]) or not np.isfinite(logits).all():
        raise MissingError(
            f"{path} holds predictions for other clips, or values that are not finite", hint=hint
        )
    return Task.of(config).probs(logits).astype(np.float32)
