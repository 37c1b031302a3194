"""Zip files, read by zipfile."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kagglekit.files.archive import checks
from kagglekit.files.archive.checks import Archive, Member, SinkFor


@contextmanager
def open_zip(path: Path) -> Iterator[Archive]:
    """Open a zip file after all safety checks."""
    try:
        archive = zipfile.ZipFile(path)
    except checks.DAMAGE as error:
        raise checks.damaged(path, f"truncated or damaged ({error})") from error
    with archive:
        infos = archive.infolist()
        if any(info.flag_bits & 0x1 for info in infos):
            raise checks.encrypted(path)
        if any(
            info.header_offset < 0 for info in infos
        ):  # bytes are gone: zipfile would seek before the file
            raise checks.damaged(path, "truncated or damaged (members lie before its start)")
        files = checks.checked_members(path, map(_entry, infos))
        stored = {checks.plain_name(info.orig_filename): info for info in infos}
        yield Archive(files, partial(_extract, path, archive, files, stored))


def _entry(info: zipfile.ZipInfo) -> checks.HeaderEntry:
    kind = stat.S_IFDIR if info.is_dir() else stat.S_IFMT(info.external_attr >> 16)
    # zipfile cuts filename, but not orig_filename, at a NUL: "a.wav\0../b" would pass for "a.wav".
    return checks.HeaderEntry(info.orig_filename, info.file_size, kind)


def _extract(
    path: Path,
    archive: zipfile.ZipFile,
    files: list[Member],
    stored: dict[str, zipfile.ZipInfo],
    wanted: set[str],
    sink_for: SinkFor,
) -> None:
    for member in (m for m in files if m.name in wanted):
        try:
            with archive.open(stored[member.name]) as file:
                sink = checks.GuardedSink(path, member, sink_for)
                while data := file.read(checks.COPY_BYTES):  # the last read verifies the CRC
                    sink.write(data)
                sink.close()
        except (*checks.DAMAGE, OSError) as error:
            checks.raise_of_disk(error)
            raise checks.damaged(
                path, f"member {member.name!r} is damaged ({error or 'too short'})"
            ) from error
