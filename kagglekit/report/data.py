"""The page of the data: how many clips of what, how long and how loud, in which folds."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, Histogram, bars, histogram
from kagglekit.charts.svg import Picture
from kagglekit.data.prepare import SPLITS
from kagglekit.report.source import Source
from kagglekit.scoring.task import PARTS

MOST_WORDS = 60  # in the picture; a long tail is one bar
MOST_SPEAKERS = 15  # in the table
QUIETEST = -96.0  # dB of full scale, the least of 16 bits
BINS = 40
SPEAKER_BINS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 31, 51, 101, math.inf)  # clips of a speaker


def page(source: Source) -> dict[str, Any]:
    """What data.html shows."""
    clips = source.prepared.clips
    train = clips.filter(pl.col("split") == "train")
    words = _words(source, train)
    return {
        "counts": dict(clips.group_by("split").len().rows()),
        "speakers": train["speaker"].n_unique() if train["speaker"].null_count() < len(train) else 0,
        "words": words_picture(source, words),
        "by_speaker": speakers_picture(train),
        "busiest": _busiest(train, words),
        "lengths": lengths_picture(source, clips),
        "loudness": loudness_picture(clips),
        "problems": _problems(source, clips),
        "folds": _folds(source),
        "parts": PARTS,
    }


def _words(source: Source, train: pl.DataFrame) -> pl.DataFrame:
    """A row for each word of a clip; clips of which nobody knows any are left out."""
    known = train.filter(pl.col("word").is_not_null())
    if source.config.separator is None:
        return known
    each = pl.col("word").str.split(source.config.separator)
    return known.with_columns(each).explode("word").with_columns(pl.col("word").str.strip_chars())


def words_picture(source: Source, known: pl.DataFrame) -> Picture | None:
    """Clips by word, targets and fillers, and which fold's training never hears a filler."""
    known = known.filter(pl.col("word") != "")
    if not len(known):
        return None
    counts = known.group_by("word", "heldout_fold").len().sort("len", "word", descending=[True, False])
    targets = set(source.config.labels.targets)
    rows = []
    for word, heldout, clips in counts.head(MOST_WORDS).iter_rows():
        note = f"{clips:,}" + (f", not in fold {heldout}'s training" if heldout >= 0 else "")
        rows.append(Bar(word, [clips, 0] if word in targets else [0, clips], note))
    if (rest := len(counts) - MOST_WORDS) > 0:
        total = int(counts["len"][MOST_WORDS:].sum())
        rows.append(Bar(f"{rest} more words", [0, total], f"{total:,}"))
    return bars(rows, title="Train clips by word", names=("target", "filler"))


def speakers_picture(train: pl.DataFrame) -> Picture | None:
    """How many speakers have how many clips."""
    known = train.filter(pl.col("speaker").is_not_null())
    if not len(known):
        return None
    each = known.group_by("speaker").len()["len"].to_numpy()
    rows = []
    for low, after in pairwise(SPEAKER_BINS):
        count = int(((each >= low) & (each < after)).sum())
        name = (
            f"{low}"
            if after == low + 1
            else f"{low} to {after - 1}"
            if after < math.inf
            else f"{low} or more"
        )
        if count:
            rows.append(Bar(name, [count], f"{count:,}"))
    return bars(rows, title="Speakers by their number of clips")


def _busiest(train: pl.DataFrame, words: pl.DataFrame) -> list[tuple[str, int, int]]:
    """(speaker, clips, words) of those with the most clips."""
    known = train.filter(pl.col("speaker").is_not_null())
    said = words.group_by("speaker").agg(pl.col("word").n_unique().alias("words"))
    found = known.group_by("speaker").len().join(said, on="speaker", how="left").fill_null(0)
    return found.sort("len", "speaker", descending=[True, False]).head(MOST_SPEAKERS).rows()


def lengths_picture(source: Source, clips: pl.DataFrame) -> Picture | None:
    """Lengths of the files, before clips are cut or padded."""
    seconds = clips.with_columns(x=pl.col("samples") / source.config.audio.sample_rate)
    audio = source.config.audio
    longest = min(float(seconds["x"].max() or 0), 2 * audio.max_samples / audio.sample_rate)  # type: ignore[arg-type]
    if not longest:
        return None
    edges = np.linspace(0, longest, BINS + 1)
    return histogram(_by_split(seconds, edges), edges, title="Length of the files", x_name="seconds")


def loudness_picture(clips: pl.DataFrame) -> Picture | None:
    """Loudness of the clips."""
    level = 20 * pl.max_horizontal(pl.col("rms"), pl.lit(10 ** (QUIETEST / 20))).log10()
    loud = clips.with_columns(x=level)
    if not len(loud):
        return None
    edges = np.linspace(QUIETEST, 0, 49)
    return histogram(_by_split(loud, edges), edges, title="Loudness (RMS)", x_name="dB of full scale")


def _by_split(table: pl.DataFrame, edges: NDArray[np.float64]) -> list[Histogram]:
    """Counts of column x in each split; what lies beyond the ends counts in the outermost bins."""
    drawn = []
    for split in SPLITS:
        values = table.filter(pl.col("split") == split)["x"].drop_nulls().to_numpy()
        if len(values):
            counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
            drawn.append(Histogram(split, counts))
    return drawn


def _problems(source: Source, clips: pl.DataFrame) -> list[dict[str, Any]]:
    """Each problem with its count by split, and whether such clips are trained on."""
    odd = clips.filter(pl.col("problem") != "")
    counts = {(problem, split): n for problem, split, n in odd.group_by("problem", "split").len().rows()}
    return [
        {
            "problem": problem,
            "train": counts.get((problem, "train"), 0),
            "test": counts.get((problem, "test"), 0),
            "left_out": problem in source.config.data.leave_out,
        }
        for problem in sorted({problem for problem, _ in counts})
    ]


def _folds(source: Source) -> list[dict[str, Any]]:
    """Each fold: clips by part, speakers, and the filler words that its training never hears."""
    clips, folds = source.clips, []
    for number in range(source.config.validation.folds):
        of = clips.filter(pl.col("fold") == number)
        counts = dict(of.group_by("part").len().rows())
        heldout = clips.filter(pl.col("heldout_fold") == number)["word"].unique().sort().to_list()
        folds.append(
            {
                "number": number,
                "clips": len(of),
                "parts": [counts.get(part, 0) for part in PARTS],
                "speakers": of.filter(pl.col("split") == "train")["speaker"].n_unique(),
                "heldout": heldout,
            }
        )
    return folds
