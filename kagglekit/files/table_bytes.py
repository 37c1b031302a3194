"""Turn the bytes of a table into text: unpack them, refuse other kinds of files, and decode the text."""

import io
import json
import re
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kagglekit.errors import TableError, plural
from kagglekit.files import archive
from kagglekit.files.archive.checks import MAX_MEMBER_BYTES, MAX_RATIO, MIN_BOMB_BYTES
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.patterns import is_junk

MAX_BYTES = 256 * 2**20
"""Largest table, unpacked, in bytes; a table in a zip or 7z may have archive.checks.MAX_MEMBER_BYTES."""
MAX_PARQUET_BYTES = 2**30
"""Largest Parquet table, with its recordings, which are not read with it."""
TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
ARCHIVE_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c")

OTHER_KINDS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"ARROW1", "an Arrow file"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ\x00", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"RIFF", "a recording"),
    (b"OggS", "a recording"),
    (b"fLaC", "a recording"),
    (b"ID3", "a recording"),
    (b"version https://git-lfs.github.com/", "a pointer of Git LFS, not the file itself"),
)
BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
MARKUP = re.compile(r"<(!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


class Unpacked(NamedTuple):
    """A table's bytes, without what they were packed in."""

    data: bytes
    name: str
    """The name in messages, with the member's name if it was in an archive."""
    notes: tuple[str, ...] = ()


def unpack(data: bytes, name: str, hint: str) -> Unpacked:
    """Return the bytes of a table that may be packed: in gzip, or alone in a zip or 7z archive.

    Raises:
        TableError: the bytes are too many, or those of another kind of file, which is named.
        ArchiveError: the archive is damaged, unsafe or a decompression bomb.
    """
    check_size(len(data), name, hint, MAX_PARQUET_BYTES if data.startswith(PARQUET_MAGIC) else None)
    if data.startswith(GZIP_MAGIC):
        table = Unpacked(_gunzip(data, name, hint), name, ("packed with gzip",))
    elif data.startswith(ARCHIVE_MAGICS):
        table = _only_member(data, name, hint)
    else:
        table = Unpacked(data, name)
    _check_kind(table, packed=bool(table.notes), hint=hint)
    return table


def check_size(size: int, name: str, hint: str, limit: int | None = None) -> None:
    """Raise TableError for a table of more than `limit` bytes, by default MAX_BYTES."""
    limit = MAX_BYTES if limit is None else limit
    if size > limit:
        raise TableError(f"{name} has {size:,} bytes; a table may have {limit:,}", hint=f"split it; {hint}")


def decode(data: bytes, name: str, hint: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of a table, without its byte order mark, and a note where its coding is not UTF-8.

    Raises:
        TableError: the bytes are no text, or in no coding that is known for certain.
    """
    coding = next((coding for mark, coding in BOMS if data.startswith(mark)), _coding_by_nuls(data))
    note = ""
    try:
        if coding is None:
            text = data.decode("utf-8-sig")
        else:
            note = coding.upper()
            text = data.decode(coding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if coding is not None:
            raise TableError(f"{name} is damaged {coding.upper()}: {error.reason}", hint=hint) from error
        text = _cp1252(data, error.start, name, hint)
        note = "coding cp1252"
    text = text.removesuffix("\x1a")  # DOS ends a file with it
    if odd := CONTROLS.search(text):
        raise TableError(
            f"{name} is not a text: line {_line(text, odd.start())} has the control character "
            f"U+{ord(odd[0]):04X}",
            hint=hint,
        )
    _check_text(text, name, hint)
    return text, (note,) if note else ()


def _check_kind(table: Unpacked, *, packed: bool, hint: str) -> None:
    data = table.data
    if not data.strip():
        raise TableError(f"{table.name} is empty", hint=hint)
    if packed and data.startswith((GZIP_MAGIC, *ARCHIVE_MAGICS)):
        raise TableError(f"{table.name} is packed twice", hint=f"unpack it first; {hint}")
    kind = next((kind for magic, kind in OTHER_KINDS if data.startswith(magic)), None)
    if data[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise TableError(
            f"{table.name} is {kind}, not a CSV or Parquet table", hint=f"save it as CSV; {hint}"
        )


def _check_text(text: str, name: str, hint: str) -> None:
    """Refuse texts that are no table: a web page saved as CSV, a server's JSON."""
    start = text[:1000].lstrip()
    if MARKUP.match(start):
        raise TableError(
            f"{name} is a web page, not a CSV: it starts with {start[:20]!r}",
            hint=f"it may be a page that asks to sign in: fetch the file again; {hint}",
        )
    if start.startswith(("{", "[{")) and text.rstrip().endswith(("}", "]")):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return
        raise TableError(f"{name} is JSON, not a CSV: it starts with {start[:40]!r}", hint=hint)


def _gunzip(data: bytes, name: str, hint: str) -> bytes:
    limit = min(MAX_BYTES, max(MIN_BOMB_BYTES, MAX_RATIO * len(data)))
    parts: list[bytes] = []
    size, rest = 0, data
    try:
        while rest.startswith(GZIP_MAGIC):  # a file may hold several streams
            stream = zlib.decompressobj(wbits=31)
            parts.append(stream.decompress(rest, limit + 1 - size))
            size += len(parts[-1])
            if size > limit:
                raise TableError(f"{name} would unpack to more than {limit:,} bytes", hint=hint)
            if not stream.eof:
                raise TableError(f"{name} is cut off: its gzip stream has no end", hint=hint)
            rest = stream.unused_data
    except zlib.error as error:
        raise TableError(f"{name} is damaged gzip: {error}", hint=hint) from error
    return b"".join(parts)


def _only_member(data: bytes, name: str, hint: str) -> Unpacked:
    """Return the only table in an archive; README files and what operating systems add do not count."""
    chosen: list[str] = []

    def choose(members: list[archive.Member]) -> list[str]:
        names = [m.name for m in members if not is_junk(m.name)]
        if "[Content_Types].xml" in names or "mimetype" in names or "xl/workbook.bin" in names:
            raise TableError(
                f"{name} is an Excel or office document, not a CSV", hint=f"save it as CSV; {hint}"
            )
        for ending in (".csv", ".parquet", *TEXT_ENDINGS):
            if tables := [n for n in names if n.lower().endswith(ending)]:
                break
        if len(tables) != 1 or not tables[0].lower().endswith((*TEXT_ENDINGS, ".parquet")):
            shown = ", ".join(repr(n) for n in tables[:3])
            raise TableError(f"{name} contains {plural(len(tables), 'table')}, not one: {shown}", hint=hint)
        size = next(m.size for m in members if m.name == tables[0])
        if size > MAX_MEMBER_BYTES:
            raise TableError(
                f"{name}: {tables[0]} has {size:,} bytes; in an archive it may have {MAX_MEMBER_BYTES:,}",
                hint=f"unpack it first; {hint}",
            )
        chosen.extend(tables)
        return tables

    contents: list[bytes] = []
    with temporary_folder() as folder:
        path = Path(folder, PurePosixPath(name.replace("\\", "/")).name[-100:].replace("\x00", "") or "table")
        path.write_bytes(data)
        archive.stream(path, lambda member, content: contents.append(content), choose)
    return Unpacked(contents[0], f"{chosen[0]} in {name}", ("unpacked",))


def _coding_by_nuls(data: bytes) -> str | None:
    """Return utf-16-le or utf-16-be where NULs in every second place show it; None elsewhere."""
    head = data[:4000]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 or even + odd < 0.3 * len(head) / 2 or min(even, odd) > 0.01 * len(head):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _cp1252(data: bytes, place: int, name: str, hint: str) -> str:
    """Decode text as cp1252, unless most of its bytes above 127 are valid UTF-8: then it is damaged UTF-8."""
    where = f"byte 0x{data[place]:02x} in line {data.count(10, 0, place) + 1}"
    remedy = f"save it as UTF-8; {hint}"
    if MULTIBYTE.search(data):
        good = sum(len(match) for match in MULTIBYTE.findall(data))
        rest = sum(byte > 127 for byte in data) - good
        if good >= rest:
            raise TableError(f"{name} is UTF-8 except for {where}", hint=remedy)
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise TableError(f"{name} is neither UTF-8, UTF-16 nor cp1252: {where}", hint=remedy) from error


def _line(text: str, place: int) -> int:
    return sum(1 for _ in io.StringIO(text[:place], newline="")) or 1
