"""7-Zip's own decoder, where the machine has it.

It is faster than liblzma, and a process of its own does not wait for the interpreter's lock. It writes to
a pipe and nowhere else; names, sizes and CRCs are what py7zr read and this program checks.
"""

from __future__ import annotations

import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from py7zr.io import Py7zIO
from py7zr.py7zr import ArchiveFile

PROGRAMS = ("7zz", "7z", "7za", "7zr")  # what upstream, Debian's and p7zip's packages call it
_COPY_BYTES = 2**20


def program() -> str | None:
    """Where 7-Zip is, if it is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def pump(
    path: Path, stored: Iterable[ArchiveFile], wanted: set[str], sink_for: Callable[[str], Py7zIO]
) -> set[str]:
    """Hand over the wanted members, as far as 7-Zip and their CRCs agree.

    Args:
        path: a 7z archive, known to be whole and not encrypted.
        stored: its regular files, in its order.
        wanted: their names.
        sink_for: makes a member's sink.

    Returns:
        The names of the members that were handed over and closed. The first that is damaged ends it without a
        word: whoever reads the others will say what is wrong with it.
    """
    done: set[str] = set()
    if (found := program()) is None:
        return done
    # -t7z: no other format's code sees these bytes. -spd: "*" in a path is a character.
    # -mmt1: more threads hold more blocks, and find something to do in few archives.
    command = [found, "x", "-t7z", "-so", "-mmt1", "-spd", "-y", "-bd", "--", str(path.resolve())]
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command,
            stdin=quiet,
            stdout=subprocess.PIPE,
            stderr=quiet,
            bufsize=_COPY_BYTES,
            pipesize=_COPY_BYTES,
        )
    except OSError:  # of another machine's kind, or no memory for a process
        return done
    with process:
        assert process.stdout is not None
        try:
            # Empty ones first, as py7zr has them.
            for member in sorted(stored, key=lambda m: m.uncompressed > 0):
                if wanted <= done or not _hand_over(process.stdout, member, wanted, sink_for):
                    break
                done.add(member.filename)
        finally:
            process.kill()
    return done & wanted


def _hand_over(
    pipe: IO[bytes], member: ArchiveFile, wanted: set[str], sink_for: Callable[[str], Py7zIO]
) -> bool:
    """Whether all of a member came out of the pipe, and was handed over if wanted."""
    sink = sink_for(member.filename) if member.filename in wanted else None
    crc, left = 0, member.uncompressed
    while left and (data := pipe.read(min(left, _COPY_BYTES))):
        crc, left = zlib.crc32(data, crc), left - len(data)
        if sink is not None:
            sink.write(data)
    whole = left == 0 and crc == (member.crc32 or 0)
    if whole and sink is not None:
        sink.close()
    return whole
