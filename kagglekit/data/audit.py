"""Count and name what in the annotations does not fit the recordings, or each other."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from kagglekit.data.clips import LEFT_OUT
from kagglekit.data.cuts import Cut
from kagglekit.errors import plural
from kagglekit.files.ids import describe
from kagglekit.terminal import console

SHA1_DIGITS = 40


class Outside(NamedTuple):
    """An annotated part that its recording does not contain."""

    path: str
    cut: Cut
    seconds: float
    """Length of the recording."""


def outside(path: str, cuts: Sequence[Cut], seconds: float) -> list[Outside]:
    """Return the cuts of which most lies after the end of a recording of this length."""
    if not seconds:
        return []
    return [
        Outside(path, cut, seconds)
        for cut in cuts
        if cut.start is not None and cut.end is not None and (cut.start + cut.end) / 2 > seconds
    ]


def say_outside(split: str, parts: list[Outside]) -> None:
    """Name the parts that start after the end of their recording, and those of which most lies after it."""
    for verb, verbs, some in (
        ("starts", "start", [one for one in parts if (one.cut.start or 0.0) >= one.seconds]),
        ("lies mostly", "lie mostly", [one for one in parts if (one.cut.start or 0.0) < one.seconds]),
    ):
        if some:
            path, cut, seconds = some[0]
            words = f"{verbs} after the end of their" if len(some) > 1 else f"{verb} after the end of its"
            console.note(
                f"{split}: {plural(len(some), 'annotated part')} {words} recording: {path} "
                f"from {cut.start:g} s to {cut.end:g} s, of {seconds:g} s"
            )


def say_overlaps(annotations: pl.DataFrame) -> None:
    """Note annotated parts that overlap another of their recording and have other labels."""
    parts = (
        annotations.filter(pl.col("start").is_not_null() & ~pl.col("unknown"))
        .select("path", "start", "end", "present")
        .sort("path", "start")
    )
    before = parts.select(pl.all().shift(1).name.prefix("before_"))
    both = pl.concat([parts, before], how="horizontal").filter(
        (pl.col("path") == pl.col("before_path"))
        & (pl.col("start") < pl.col("before_end"))
        & (pl.col("present") != pl.col("before_present"))
    )
    if len(both):
        row = both.row(0, named=True)
        console.note(
            f"{plural(len(both), 'annotated part')} overlapping another with other labels: {row['path']} "
            f"from {row['before_start']:g} s to {row['before_end']:g} s and from {row['start']:g} s to "
            f"{row['end']:g} s; if a part does not name all that is heard in it, set unnamed: unknown"
        )


def without_test_copies(clips: pl.DataFrame, annotations: pl.DataFrame) -> pl.DataFrame:
    """Count training recordings that are also in the test, and leave out those of your own folders.

    Args:
        clips: the clips table of all splits.
        annotations: with clip_id and external.
    """
    readable = ~pl.col("problem").is_in(["empty", "unreadable"])
    digest = pl.col("sha1").str.head(SHA1_DIGITS)
    tested = clips.filter((pl.col("split") == "test") & readable).select(digest)["sha1"].unique()
    copied = (pl.col("split") == "train") & readable & digest.is_in(tested.implode())
    copies = clips.filter(copied)
    if not len(copies):
        return clips
    own = annotations.filter(pl.col("external").fill_null(False))["clip_id"]
    outside = copies.filter(pl.col("clip_id").is_in(own.implode()))["clip_id"]
    count = copies["path"].n_unique()
    left = f"; leaving out the {plural(len(outside), 'clip')} of your own folders" if len(outside) else ""
    console.note(
        f"{plural(count, 'training recording')} also in the test, the same bytes: "
        f"{describe(copies['path'].unique(maintain_order=True).to_list())}{left}"
    )
    chosen = (pl.col("split") == "train") & pl.col("clip_id").is_in(outside.implode())
    return clips.with_columns(fold=pl.when(chosen).then(pl.lit(LEFT_OUT, pl.Int32)).otherwise(pl.col("fold")))
