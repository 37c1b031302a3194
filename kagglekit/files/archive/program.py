"""The 7-Zip program as decompressor, where it is installed.

It is faster than liblzma, and as a process it does not wait for the interpreter's lock. It writes to a
pipe and nowhere else; names, sizes and CRCs are read by py7zr and checked here.
"""

import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from py7zr.io import Py7zIO
from py7zr.py7zr import ArchiveFile

from kagglekit.files.archive.checks import COPY_BYTES

PROGRAMS = ("7zz", "7z", "7za", "7zr")  # its names upstream, in Debian and in p7zip


def find() -> str | None:
    """Return the path of 7-Zip, or None where it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def extract(
    path: Path, stored: Iterable[ArchiveFile], wanted: set[str], sink_for: Callable[[str], Py7zIO]
) -> set[str]:
    """Decompress the wanted members into their sinks, up to the first whose CRC does not match.

    Args:
        path: a 7z archive that is whole and not encrypted.
        stored: its regular files, in stored order.

    Returns:
        The names of the members that were extracted. A damaged member ends the extraction without an
        error: py7zr, which extracts the remaining ones, reports it.
    """
    done: set[str] = set()
    if (program := find()) is None:
        return done
    # -t7z: use no other format's code. -spd: "*" in the path is a plain character.
    # -mmt1: more threads take more memory, and few archives have work for them.
    command = [program, "x", "-t7z", "-so", "-mmt1", "-spd", "-y", "-bd", "--", str(path.resolve())]
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command,
            stdin=quiet,
            stdout=subprocess.PIPE,
            stderr=quiet,
            bufsize=COPY_BYTES,
            pipesize=COPY_BYTES,
        )
    except OSError:  # built for another machine, or no memory for a process
        return done
    with process:
        assert process.stdout is not None
        try:
            # Empty members first, as in py7zr.
            for member in sorted(stored, key=lambda m: m.uncompressed > 0):
                if wanted <= done or not _extract_member(process.stdout, member, wanted, sink_for):
                    break
                done.add(member.filename)
        finally:
            process.kill()
    return done & wanted


def _extract_member(
    pipe: IO[bytes], member: ArchiveFile, wanted: set[str], sink_for: Callable[[str], Py7zIO]
) -> bool:
    """Read a member from the pipe, into its sink if wanted; return whether its size and CRC match."""
    sink = sink_for(member.filename) if member.filename in wanted else None
    crc, left = 0, member.uncompressed
    while left and (data := pipe.read(min(left, COPY_BYTES))):
        crc, left = zlib.crc32(data, crc), left - len(data)
        if sink is not None:
            sink.write(data)
    whole = left == 0 and crc == (member.crc32 or 0)
    if whole and sink is not None:
        sink.close()
    return whole
