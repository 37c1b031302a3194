"""Choose clips of a competition to compare, and compute their statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.clips import LEFT_OUT, WINDOWS
from kagglekit.data.prepare import Prepared
from kagglekit.features.clip_statistics import ClipStatistics, clip_statistics, edges_of, spec_of
from kagglekit.scoring.cv import clip_weights
from kagglekit.scoring.oof import group_of
from kagglekit.verdict.comparison import OtherClips, TrainClips, compare
from kagglekit.verdict.distance import Folds
from kagglekit.verdict.facts import DomainGap

MOST = 1000  # clips of a side: the AUC's standard error is 0.013, and 5 s at 32 kHz take half a minute
MOST_ONLY_TRAINED = 500  # besides, of the clips that no fold validates
FEWEST = 20  # clips of a side, below which nothing is compared
BATCH_SAMPLES = 2**22  # read at a time, 8 MB
SEED = 0


def compare_splits(prepared: Prepared) -> DomainGap | None:
    """Compare the test with the training clips, or the unlabelled recordings where the test is hidden.

    Returns:
        None where there are too few clips of either side.

    Raises:
        KagglekitError: clips cannot be read, or are too short for a log-mel.
    """
    for split in ("test", "unlabelled"):
        other = prepared.clips.filter((pl.col("split") == split) & (pl.col("problem") == ""))
        if len(other) >= FEWEST:
            break
    else:
        return None
    chosen = _chosen(prepared)
    judged = chosen.filter(pl.col("fold") >= 0)
    if len(judged) < FEWEST or judged["fold"].n_unique() < 2:
        return None
    other = _drawn(other, MOST)
    if min(other["path"].n_unique(), len(np.unique(group_of(judged)))) < 2:
        return None
    weight = np.zeros(len(chosen))
    weight[(chosen["fold"] >= 0).to_numpy()] = clip_weights(judged, prepared.config)
    folds = Folds(chosen["fold"].to_numpy(), chosen["heldout_fold"].to_numpy(), weight)
    train = TrainClips(_statistics(prepared, chosen), group_of(chosen), folds, _seconds(prepared, chosen))
    paths = np.unique(other["path"].to_numpy(), return_inverse=True)[1]
    others = OtherClips(_statistics(prepared, other), paths, _seconds(prepared, other))
    if split == "test" and prepared.config.competition.delivery == "notebook":
        split = "visible test"  # the host may put another in its place
    return compare(train, others, edges_of(spec_of(prepared.config.audio)), split)


def _chosen(prepared: Prepared) -> pl.DataFrame:
    """Draw the clips of the folds, and of those that are trained on alone."""
    trained = prepared.clips.filter(
        (pl.col("fold") != LEFT_OUT) & pl.col("split").is_in(["train", "silence"])
    )
    judged, others = trained.filter(pl.col("fold") >= 0), trained.filter(pl.col("fold") < 0)
    return pl.concat([_drawn(judged, MOST), _drawn(others, MOST_ONLY_TRAINED)])


def _drawn(clips: pl.DataFrame, most: int) -> pl.DataFrame:
    if len(clips) <= most:
        return clips
    rows = np.random.default_rng(SEED).choice(len(clips), most, replace=False)
    return clips[np.sort(rows)]


def _seconds(prepared: Prepared, clips: pl.DataFrame) -> NDArray[np.float64]:
    """Return how long each recording, or its annotated part, is."""
    samples = clips["samples"].fill_null(0).to_numpy()
    seconds: NDArray[np.float64] = samples / prepared.config.audio.sample_rate
    return seconds


def _statistics(prepared: Prepared, clips: pl.DataFrame) -> ClipStatistics:
    """Compute the statistics of clips in their order; of several windows the middle one is read."""
    middle = pl.col(WINDOWS) // 2 if WINDOWS in clips.columns else pl.lit(0)
    places = clips.with_row_index("place").with_columns(at=pl.col("row") + middle)
    order: list[Any] = []
    parts: list[ClipStatistics] = []
    for (split,), rows in places.group_by("split", maintain_order=True):
        rows = rows.sort("at")  # a store is read in its order
        order.append(rows["place"].to_numpy())
        parts.append(
            clip_statistics(_batches(prepared, str(split), rows["at"].to_numpy()), prepared.config.audio)
        )
    together = ClipStatistics(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return together.take(np.argsort(np.concatenate(order)))


def _batches(prepared: Prepared, split: str, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int16]]:
    store = prepared.store(split)
    count = max(BATCH_SAMPLES // store.samples, 1)
    for start in range(0, len(rows), count):
        yield store.take(rows[start : start + count])
