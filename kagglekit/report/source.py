"""What the pages are made from: read once, checked, and in one order of clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit import tables
from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import MissingError
from kagglekit.ledger import Entry, Ledger, host_name
from kagglekit.training.loop import OOF
from kagglekit.training.runs import Run, logits_of, present_runs, scored, softmax, train_again
from kagglekit.validation import clip_weights
from kagglekit.workspace import Workspace

MOST_RUNS = 30  # that the report shows, the best by CV


class Judged(NamedTuple):
    """A run with what it said about each of the source's clips."""

    run: Run
    probs: NDArray[np.float32]
    """(clips, classes), of OOF predictions."""

    @property
    def name(self) -> str:
        """`tcresnet/0204dfa627f6`"""
        return f"{self.run.model}/{self.run.id}"


@dataclass(frozen=True)
class Source:
    """A competition's workspace, as the report sees it."""

    config: Config
    workspace: Workspace
    prepared: Prepared
    kagglekit: str
    """How the report's reader calls kagglekit: `kagglekit -C benchmarks/speech_mini.yaml`."""
    clips: pl.DataFrame
    """Spoken clips and silence that have a fold, by clip_id."""
    target: NDArray[np.int64]
    """(clips,), index of the true class."""
    weight: NDArray[np.float64]
    """(clips,), share of the CV score."""
    runs: tuple[Judged, ...]
    """The best by CV first."""
    left_out: int
    """Runs that are not shown: of other clips, folds or classes, or beyond MOST_RUNS."""
    entries: tuple[Entry, ...]
    """Submissions to this competition's host, oldest first."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Columns of every run's `probs`."""
        return self.config.labels.classes

    def best_of_each_model(self) -> list[Judged]:
        """One run for each architecture, the best first."""
        found: dict[str, Judged] = {}
        for judged in self.runs:
            found.setdefault(judged.run.model, judged)
        return list(found.values())


def read(config: Config, workspace: Workspace, prepared: Prepared, kagglekit: str) -> Source:
    """Everything the report shows. A workspace without runs or submissions is none the worse for it.

    Raises:
        MissingError: the OOF predictions of a run are damaged.
    """
    clips = prepared.clips.filter(pl.col("fold") >= 0).sort("clip_id")
    index = {name: k for k, name in enumerate(config.labels.classes)}
    runs, others = present_runs(config, workspace, prepared)
    best = sorted((scored(config, prepared, run) for run in runs), key=lambda run: -run.score.cv)
    entries = sorted(Ledger(workspace.ledger_path).entries(), key=lambda entry: entry.time)
    return Source(
        config=config,
        workspace=workspace,
        prepared=prepared,
        kagglekit=kagglekit,
        clips=clips,
        target=clips["label"].replace_strict(index, return_dtype=pl.Int64).to_numpy(),
        weight=clip_weights(clips, config),
        runs=tuple(_judged(run, clips) for run in best[:MOST_RUNS]),
        left_out=others + len(best[MOST_RUNS:]),
        entries=tuple(entry for entry in entries if entry.host == host_name(config)),
    )


def _judged(run: Run, clips: pl.DataFrame) -> Judged:
    return Judged(run, read_probs(run.folder / OOF, clips, train_again(run.folder)))


def read_probs(path: Path, clips: pl.DataFrame, hint: str) -> NDArray[np.float32]:
    """Probabilities of OOF predictions, in the order of `clips`: (clips, classes).

    Raises:
        MissingError: they are absent or damaged, or are of other clips.
    """
    table = tables.read(path, hint).sort("clip_id")
    logits: NDArray[Any] = logits_of(table)
    if not table["clip_id"].equals(clips["clip_id"]) or not np.isfinite(logits).all():
        raise MissingError(f"{path} holds predictions of other clips, or ones that are not finite", hint=hint)
    return softmax(logits).astype(np.float32)
