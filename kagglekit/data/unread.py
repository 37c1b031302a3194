"""Say which files cannot be read, and what to install, before anything else is said about the data."""

import polars as pl

from kagglekit.data import with_ffmpeg
from kagglekit.errors import AudioError
from kagglekit.terminal import console

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


def report_unread(where: str, facts: pl.DataFrame) -> int:
    """Note the formats of files that cannot be read; raise an error if there are no others.

    Args:
        where: the archive or the folder.
        facts: facts.parquet, with the columns problem and message.

    Returns:
        How many files an installed PyAV could read.

    Raises:
        AudioError: not one file can be read.
    """
    unread = facts.filter(pl.col("problem") == "unreadable")
    kinds = unread.filter(pl.col("message") != "")["message"].value_counts(sort=True).rows()
    shown = ", ".join(f"{count:,} {'is' if count == 1 else 'are'} {kind}" for kind, count in kinds[:6])
    wants_av = sum(count for kind, count in kinds if kind.startswith(_NEEDS_AV))
    av = 0 if with_ffmpeg.is_installed() else wants_av
    if len(facts) and len(unread) == len(facts):
        count = "its only file cannot" if len(facts) == 1 else f"none of its {len(facts):,} files can"
        raise AudioError(
            f"{where}: {count} be read as audio{f': {shown}' if shown else ''}",
            hint=INSTALL if av else "check that these are audio files, or convert them to FLAC",
        )
    if kinds:
        remedy = f"; to read them: {INSTALL}, then prepare again" if av else ""
        console.note(f"{where}: {len(unread):,} of {len(facts):,} files cannot be read: {shown}{remedy}")
    return av
