"""Zip files, read by zipfile; in several parts, too, and packed by methods that zipfile lacks."""

import copy
import re
import stat
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path

from kagglekit.files.archive import checks
from kagglekit.files.archive.checks import Archive, Member, SinkFor
from kagglekit.files.archive.methods import BY_ZIPFILE, HERE, NAMES, decoder_errors, decompressed
from kagglekit.files.archive.parts import open_whole, parts

DAMAGE: tuple[type[Exception], ...] = (*checks.DAMAGE, *decoder_errors(), OSError)
_UTF8 = 0x800
_END_RECORD = re.compile(rb"PK\x05\x06(..).{16}", re.DOTALL)


@contextmanager
def open_zip(path: Path) -> Iterator[Archive]:
    """Open a zip file, or one in several parts, after all safety checks."""
    with open_whole(path) as file:
        try:
            archive = zipfile.ZipFile(file)
            infos = archive.infolist()
            if path.suffix.lower() == ".zip" and len(parts(path)) > 1:
                _place(archive, infos, parts(path))
        except UnicodeDecodeError as error:
            what = "has a name that is marked as UTF-8, and is not"
            raise checks.unsupported(path, what) from error
        except checks.DAMAGE as error:
            raise checks.damaged(path, f"truncated or damaged ({error})") from error
        with archive:
            yield _checked(path, archive, infos)


def _checked(path: Path, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> Archive:
    if any(info.flag_bits & 0x1 for info in infos):
        raise checks.encrypted(path)
    if any(info.header_offset < 0 for info in infos):  # bytes are gone: zipfile would seek before the file
        raise checks.damaged(path, "truncated or damaged (members lie before its start)")
    files = checks.checked_members(path, map(_entry, infos))
    if methods := {info.compress_type for info in infos} - BY_ZIPFILE - HERE:
        names = [NAMES.get(method, f"method {method}") for method in sorted(methods)]
        raise checks.unsupported(path, f"is packed with {', '.join(names)}, which kagglekit cannot unpack")
    stored = {checks.plain_name(_name(info)): info for info in infos}
    return Archive(files, partial(_extract, path, archive, files, stored))


def _place(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], files: list[Path]) -> None:
    """Let each member begin where it does in the joined parts, not in its own part."""
    starts = [0, *accumulate(file.stat().st_size for file in files)]
    # zipfile takes all that is before the part with the table of contents for a prefix
    prefix = starts[bisect_right(starts, archive.start_dir) - 1]
    for info in infos:
        if info.volume >= len(files):
            raise zipfile.BadZipFile(f"part {info.volume + 1} is missing")
        info.header_offset += starts[info.volume] - prefix


def check_alone(path: Path) -> None:
    """Refuse the last part of a zip whose other parts are not beside it.

    Raises:
        UnsupportedError: it is such a part.
    """
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2**16 - 22, 0))  # a comment may follow the record of 22 bytes
        tail = file.read()
    end = _END_RECORD.search(tail)
    last = int.from_bytes(end[1], "little") if end else 0
    if 0 < last < 2**16 - 1:
        stem = path.name.rpartition(".")[0]
        raise checks.unsupported(
            path,
            f"is the last of {last + 1} parts of an archive, and {stem}.z01 is not beside it",
            f"fetch the others, as in kagglekit fetch {stem}.z01; or join them and use that: "
            f"zip -s 0 {path.name} --out whole.zip",
        )


def _entry(info: zipfile.ZipInfo) -> checks.HeaderEntry:
    kind = stat.S_IFDIR if info.filename.endswith("/") else stat.S_IFMT(info.external_attr >> 16)
    # zipfile cuts filename, but not orig_filename, at a NUL: "a.wav\0../b" would pass for "a.wav".
    return checks.HeaderEntry(_name(info), info.file_size, kind)


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name: in UTF-8 where it is, though not all programs say so; else in cp437."""
    name = info.orig_filename
    if info.flag_bits & _UTF8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _extract(
    path: Path,
    archive: zipfile.ZipFile,
    files: list[Member],
    stored: dict[str, zipfile.ZipInfo],
    wanted: set[str],
    sink_for: SinkFor,
) -> None:
    for member in (m for m in files if m.name in wanted):
        info = stored[member.name]
        try:
            sink = checks.GuardedSink(path, member, sink_for)
            if info.compress_type in BY_ZIPFILE:
                with archive.open(info) as file:
                    while data := file.read(checks.COPY_BYTES):  # the last read verifies the CRC
                        sink.write(data)
            else:
                _unpack(archive, info, sink)
            sink.close()
        except DAMAGE as error:
            checks.raise_of_disk(error)
            raise checks.damaged(
                path, f"member {member.name!r} is damaged ({error or 'too short'})"
            ) from error


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, sink: checks.GuardedSink) -> None:
    """Decompress a member by a method that zipfile lacks, and verify its CRC."""
    packed = copy.copy(info)  # to zipfile, a stored file of those bytes, without a CRC
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
    del packed.CRC
    crc = 0
    with archive.open(packed) as file:
        for data in decompressed(file, info.compress_type, info.file_size):
            crc = zlib.crc32(data, crc)
            sink.write(data)
    if crc != info.CRC:
        raise zipfile.BadZipFile("bad CRC")
