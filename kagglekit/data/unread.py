"""Say which files cannot be read, and what to install, before anything else is said about the data."""

import math

import polars as pl

from kagglekit.data import with_ffmpeg
from kagglekit.data.sound_file import DAMAGED
from kagglekit.errors import AudioError, plural
from kagglekit.terminal import console

MOST_KINDS = 6
INSTALL = "pip install 'kagglekit[av]'"
_NEEDS_AV = (
    "AAC",
    "AMR",
    "ALAC",
    "IMA ADPCM",
    "Opus",
    "Vorbis",
    "WMA",
    "WavPack",
    "Monkey's",
    "audio",
    "codec",
)


def report_unread(split: str, facts: pl.DataFrame, most: float = 1.0) -> int:
    """Note the formats of files that cannot be read; raise an error if there are too many.

    Args:
        split: train or test.
        facts: facts.parquet, with the columns path, problem and message.
        most: largest share of files that may be empty or unreadable.

    Returns:
        How many files an installed PyAV could read.

    Raises:
        AudioError: a larger share cannot be read, or not one file can.
    """
    is_lost = pl.col("problem").is_in(["unreadable", "empty"])
    files = facts.sort(is_lost).unique("path", keep="first", maintain_order=True)  # of a file, its best part
    unread = files.filter(pl.col("problem") == "unreadable")
    empty = len(files.filter(pl.col("problem") == "empty"))
    counted = unread.filter(pl.col("message") != "")["message"].value_counts(sort=True, name="count")
    kinds = counted.sort("count", "message", descending=[True, False]).rows()
    wants_av = sum(n for kind, n in kinds if kind.startswith(_NEEDS_AV) and not kind.endswith(DAMAGED))
    av = 0 if with_ffmpeg.is_installed() else wants_av
    named = [_is_kind(count, kind) for kind, count in kinds[:MOST_KINDS]]
    if rest := sum(count for _, count in kinds[MOST_KINDS:]):
        named.append(f"{rest:,} {_be(rest)} something else")
    if unknown := len(unread) - sum(count for _, count in kinds):
        named.append(_is_kind(unknown, "in no known format"))
    lost = len(unread) + empty
    if lost and (lost == len(files) or lost > most * len(files)):
        named += [_is_kind(empty, "empty")] if empty else []
        some = f"{lost:,} of its {plural(len(files), 'file')} cannot"
        if lost == len(files):
            some = "its only file cannot" if lost == 1 else f"none of its {lost:,} files can"
        hint = _hint(split, av, lost / len(files))
        raise AudioError(f"{split}: {some} be read as audio: {', '.join(named)}", hint=hint)
    if kinds:
        remedy = f"; to read them: {INSTALL}, then prepare again" if av else ""
        what = f"{len(unread):,} of {plural(len(files), 'file')} cannot be read: {', '.join(named)}"
        console.note(f"{split}: {what}{remedy}")
    return av


def _hint(split: str, av: int, share: float) -> str:
    hint = INSTALL if av else "check that these are audio files, or convert them to FLAC"
    if split != "test" or share == 1:
        return hint
    return f"{hint}; to go on without them, set data.test.unreadable: {math.ceil(100 * share) / 100:g}"


def _is_kind(count: int, kind: str) -> str:
    return f"{count:,} {_be(count)} {kind}"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"
