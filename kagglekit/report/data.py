"""The data page: clips by word, group, length and loudness, problems, and folds."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, bars, histogram
from kagglekit.charts.svg import Picture
from kagglekit.data.prepare import SPLITS
from kagglekit.report.source import Source
from kagglekit.scoring.task import PARTS

MOST_WORDS = 60  # bars of the chart; all rarer words share one
MOST_SPEAKERS = 15  # rows of the table
QUIETEST = -96.0  # dBFS, the quietest level of 16 bits
BINS = 40
SPEAKER_BINS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 31, 51, 101, math.inf)  # clips per speaker


def page(source: Source) -> dict[str, Any]:
    """Compute what data.html shows."""
    clips = source.prepared.clips
    train = clips.filter(pl.col("split") == "train")
    words = _words(source, train)
    return {
        "counts": dict(clips.group_by("split").len().rows()),
        "speakers": train["speaker"].n_unique() if train["speaker"].null_count() < len(train) else 0,
        "words": words_chart(source, words),
        "by_speaker": speakers_chart(train),
        "busiest": _busiest(train, words),
        "lengths": lengths_chart(source, clips),
        "loudness": loudness_chart(clips),
        "problems": _problems(source, clips),
        "folds": (folds := _folds(source, parts := _parts(source))),
        "parts": parts,
        "heldout": any(fold["heldout"] for fold in folds),
    }


def _words(source: Source, train: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each word of each clip, without clips whose word is unknown."""
    known = train.filter(pl.col("word").is_not_null())
    each = known.with_columns(source.prepared.task.each(known["word"]).alias("word")).explode("word")
    return each.with_columns(pl.col("word").str.strip_chars())


def words_chart(source: Source, known: pl.DataFrame) -> Picture | None:
    """Draw the clips per word, targets and fillers apart, with the fold that each filler is held out of."""
    known = known.filter(pl.col("word") != "")
    filler = source.prepared.task.filler
    noun = "word" if filler else "class"
    if not len(known):
        return None
    counts = known.group_by("word", "heldout_fold").len().sort("len", "word", descending=[True, False])
    targets = set(source.config.labels.targets)
    rows = []
    for word, heldout, clips in counts.head(MOST_WORDS).iter_rows():
        note = f"{clips:,}" + (f", held out of fold {heldout}" if heldout >= 0 else "")
        rows.append(Bar(word, [clips, 0] if word in targets else [0, clips], note))
    if (rest := len(counts) - MOST_WORDS) > 0:
        total = int(counts["len"][MOST_WORDS:].sum())
        rows.append(Bar(f"{rest} more {noun}{'s' if filler else 'es'}", [0, total], f"{total:,}"))
    return bars(rows, title=f"Train clips by {noun}", names=("target", "filler" if filler else "other"))


def speakers_chart(train: pl.DataFrame) -> Picture | None:
    """Draw a histogram of groups (speakers, authors, sites ...) by their number of clips."""
    known = train.filter(pl.col("speaker").is_not_null())
    if not len(known):
        return None
    each = known.group_by("speaker").len()["len"].to_numpy()
    rows = []
    for low, after in pairwise(SPEAKER_BINS):
        count = int(((each >= low) & (each < after)).sum())
        end = f" to {after - 1}" if after < math.inf else " or more"
        name = f"{low}" if after == low + 1 else f"{low}{end}"
        if count:
            rows.append(Bar(name, [count], f"{count:,}"))
    return bars(rows, title="Groups by their number of clips")


def _busiest(train: pl.DataFrame, words: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Return (group, clips, number of labels) of the groups with the most clips."""
    known = train.filter(pl.col("speaker").is_not_null())
    word_counts = words.group_by("speaker").agg(pl.col("word").n_unique().alias("words"))
    counts = known.group_by("speaker").len().join(word_counts, on="speaker", how="left").fill_null(0)
    return counts.sort("len", "speaker", descending=[True, False]).head(MOST_SPEAKERS).rows()


def lengths_chart(source: Source, clips: pl.DataFrame) -> Picture | None:
    """Draw a histogram of file lengths, before clips are cut or padded."""
    seconds = clips.with_columns(x=pl.col("samples") / source.config.audio.sample_rate)
    audio = source.config.audio
    longest = min(float(seconds["x"].max() or 0), 2 * audio.max_samples / audio.sample_rate)  # type: ignore[arg-type]
    if not longest:
        return None
    edges = np.linspace(0, longest, BINS + 1)
    return histogram(_by_split(seconds, edges), edges, title="Length of the files", x_name="seconds")


def loudness_chart(clips: pl.DataFrame) -> Picture | None:
    """Draw a histogram of the clips' loudness."""
    clips = clips.filter(pl.col("rms").is_not_null())
    level = 20 * pl.max_horizontal(pl.col("rms"), pl.lit(10 ** (QUIETEST / 20))).log10()
    loud = clips.with_columns(x=level)
    if not len(loud):
        return None
    edges = np.linspace(QUIETEST, 0, 49)
    return histogram(_by_split(loud, edges), edges, title="Loudness (RMS)", x_name="dBFS")


def _by_split(table: pl.DataFrame, edges: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Count column x in each split; values beyond the ends count in the outermost bins."""
    drawn = {}
    for split in SPLITS:
        values = table.filter(pl.col("split") == split)["x"].drop_nulls().to_numpy()
        if len(values):
            drawn[split] = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return drawn


def _problems(source: Source, clips: pl.DataFrame) -> list[dict[str, Any]]:
    """Return each flag with its count by split, and whether such clips are left out of training."""
    flags = clips.select("split", pl.col("flags").str.split(",").alias("problem")).explode("problem")
    odd = flags.filter(pl.col("problem") != "")
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


def _parts(source: Source) -> list[str]:
    """Return the parts that clips have; none if all are keywords, as where no class is filler or silence."""
    parts = [part for part in PARTS if part in set(source.clips["part"])]
    return [] if parts == ["keyword"] else parts


def _folds(source: Source, parts: list[str]) -> list[dict[str, Any]]:
    """Return the clips by part, the groups and the held-out filler words of each fold."""
    clips, folds = source.clips, []
    for number in range(source.config.validation.folds):
        validated = clips.filter(pl.col("fold") == number)
        counts = dict(validated.group_by("part").len().rows())
        heldout = clips.filter(pl.col("heldout_fold") == number)["word"].unique().sort().to_list()
        folds.append(
            {
                "number": number,
                "clips": len(validated),
                "parts": [counts.get(part, 0) for part in parts],
                "speakers": validated.filter(pl.col("split") == "train")["speaker"].n_unique(),
                "heldout": heldout,
            }
        )
    return folds
