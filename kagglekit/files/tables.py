"""The one reader of tables that a user or a host gives: labels, sample, solution, lists, CSVs to send."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from kagglekit.errors import TableError, close_match, plural
from kagglekit.files.parquet import text_columns
from kagglekit.files.table_bytes import PARQUET_MAGIC, check_size, decode, unpack
from kagglekit.terminal import console

SEPARATORS = {",": "','", "\t": "tab", ";": "';'", "|": "'|'"}
SPACES = (
    "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)
"""Stripped from cells and names: spaces of every width, no-break ones, zero-width ones."""
HEAD_CHARACTERS = 2**18
HEAD_ROWS = 500
"""How much of a table is looked at to find its separator."""
BATCH_CELLS = 2**18
SEP_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own way to name the separator


class Table(NamedTuple):
    """A table as text, and what was not plain about its file."""

    frame: pl.DataFrame
    """Every column String; an empty cell is null. Ragged: a String column and one of List(String)."""
    notes: tuple[str, ...]
    """What had to be guessed or left out, each once: "coding cp1252", "separator ';'", "12 blank lines"."""


def read_table(
    data: bytes,
    name: str,
    *,
    hint: str,
    header: bool = True,
    columns: Sequence[str] | None = None,
    ragged: bool = False,
) -> Table:
    """Read a CSV or Parquet table, which may be packed in gzip, or alone in a zip or 7z archive.

    UTF-8, UTF-16 or cp1252; separated by commas, semicolons, tabs or bars; any line ends. Words stay as
    they are: 007, 1e5, NA and null are text. Spaces around cells and names, blank lines, and repetitions
    of a whole row are dropped and noted.

    Args:
        data: the file's bytes, at most table_bytes.MAX_BYTES.
        name: the file's name, for messages.
        hint: what to do about a table that cannot be read.
        header: the first row has the names of the columns; otherwise they are `columns`, or column_1 ...
        columns: names that the table must have; with header=False, the name of each column.
        ragged: rows may have any number of cells: the first column is text, the second a list of the rest.

    Raises:
        TableError: it is another kind of file, not readable for certain, has a row of too few or too many
            cells, a column's name twice, no row, or not the columns.
        ArchiveError: the archive around it is damaged or unsafe.
    """
    table = unpack(data, name, hint)
    if table.data.startswith(PARQUET_MAGIC):
        names, frame, notes = text_columns(table.data, table.name, hint)
        names = [column.strip(SPACES) for column in names]
    else:
        text, notes = decode(table.data, table.name, hint)
        if marked := SEP_LINE.match(text):
            text = text[marked.end() :]
        reading = _Reading(text, table.name, hint, separator_of(text, columns if header else None, marked))
        if reading.separator != ",":
            notes += (f"separator {SEPARATORS.get(reading.separator, repr(reading.separator))}",)
        names, frame, blank = reading.ragged(header, columns) if ragged else reading.frame(header, columns)
        notes += (plural(blank, "blank line"),) if blank else ()
        notes += ("spaces before quote marks",) if reading.skips else ()
    _check_names(names, table.name, hint)
    frame, more = _clean(frame)
    frame.columns = names
    for column in columns or ():
        if column not in frame.columns:
            raise TableError(
                f"{table.name} has no column {column!r}",
                hint=f"{close_match(column, frame.columns[:20])}; {hint}",
            )
    return Table(frame, table.notes + notes + more)


def read_table_file(
    path: Path,
    *,
    hint: str,
    name: str | None = None,
    header: bool = True,
    columns: Sequence[str] | None = None,
    ragged: bool = False,
) -> Table:
    """Read a table from a file. `name` stands in messages instead of the file's; see `read_table`.

    Raises:
        TableError: it does not exist, is not a file, or as `read_table`.
    """
    name = name or path.name
    try:
        check_size(path.stat().st_size, name, hint)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise TableError(f"{name} does not exist", hint=hint) from error
    except OSError as error:
        raise TableError(f"{name} cannot be read: {error.strerror or error}", hint=hint) from error
    return read_table(data, name, hint=hint, header=header, columns=columns, ragged=ragged)


def say(name: str, table: Table) -> None:
    """Show a table's notes, where it has any."""
    if table.notes:
        console.note(f"{name}: {', '.join(table.notes)}")


def separator_of(text: str, columns: Sequence[str] | None, marked: re.Match[str] | None = None) -> str:
    """Guess the separator: the one by which the most rows have as many cells as the first one.

    Of several, one whose first row has the wanted `columns` comes first, then the one with most cells. A
    table of one column is taken as separated by commas.
    """
    if marked:
        return marked[1]
    head = text[:HEAD_CHARACTERS]
    if len(head) < len(text):
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    best, choice = (False, 0.0, 0), ","
    for separator in SEPARATORS:
        rows = [[cell.strip(SPACES) for cell in row] for row in _head_rows(head, separator)]
        rows = [row for row in rows if any(row)]
        if not rows or len(rows[0]) == 1:
            continue
        wanted = columns is not None and set(columns) <= set(rows[0])
        equal = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        if (wanted, equal, len(rows[0])) > best:
            best, choice = (wanted, equal, len(rows[0])), separator
    return choice


def _head_rows(head: str, separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=separator, skipinitialspace=True)
        rows.extend(islice(reader, HEAD_ROWS))
    except csv.Error:  # a cell that is too long: named when the whole table is read
        pass
    return rows


class _Reading:
    """A table's text on its way to columns."""

    def __init__(self, text: str, name: str, hint: str, separator: str) -> None:
        self.text, self.name, self.hint, self.separator = text, name, hint, separator
        mark = re.escape(separator)
        spaces = "[^\\S\t\r\n]" if separator == "\t" else "[^\\S\r\n]"
        self.skips = re.search(rf"(?:^|{mark}){spaces}+\"", text, re.MULTILINE) is not None

    def frame(self, header: bool, columns: Sequence[str] | None) -> tuple[list[str], pl.DataFrame, int]:
        """Return the columns' names, the cells, and the number of blank lines."""
        batches: list[pl.DataFrame] = []
        names: list[str] | None = None
        width = blank = 0
        for rows, empty in self._batches():
            blank += empty
            if names is None and rows:
                first = [cell.strip(SPACES) for cell in rows[0]]
                width, names = len(first), first
                if header:
                    rows = rows[1:]
                else:
                    names = list(columns or (f"column_{n}" for n in range(1, width + 1)))
                    if len(names) != width:
                        raise TableError(
                            f"{self.name} has {plural(width, 'column')}, not {len(names)}", hint=self.hint
                        )
            if any(len(row) != width for row in rows):
                raise self._uneven(width, header)
            if rows:
                cells = zip(*rows, strict=True)
                batches.append(
                    pl.DataFrame([pl.Series(str(i), c, dtype=pl.String) for i, c in enumerate(cells)])
                )
        if names is None:
            raise TableError(f"{self.name} has only blank lines", hint=self.hint)
        empty_frame = pl.DataFrame(schema={str(i): pl.String for i in range(width)})
        frame = pl.concat(batches) if batches else empty_frame
        return (*_named(names, frame), blank)

    def ragged(self, header: bool, columns: Sequence[str] | None) -> tuple[list[str], pl.DataFrame, int]:
        """Return two names; the first cell of each row and a list of the others; the number of blanks."""
        keys: list[str] = []
        lists: list[list[str]] = []
        names = list(columns or ()) if not header else []
        blank, first = 0, header
        for rows, empty in self._batches():
            blank += empty
            for row in rows:
                cells = [cell.strip(SPACES) for cell in row]
                if first:
                    names, first = cells[:2], False
                    continue
                keys.append(cells[0])
                lists.append([cell for cell in cells[1:] if cell])
        if first or (not header and not keys):
            raise TableError(f"{self.name} has only blank lines", hint=self.hint)
        names = [*names[:2], *("column_1", "column_2")[len(names[:2]) :]]
        frame = pl.DataFrame({"0": keys, "1": lists}, schema={"0": pl.String, "1": pl.List(pl.String)})
        return names, frame, blank

    def _batches(self) -> Iterator[tuple[list[list[str]], int]]:
        """Yield rows with something in them, and the number of those without, BATCH_CELLS at a time."""
        reader = self._reader()
        size = 1
        while True:
            try:
                rows = list(islice(reader, size))
            except csv.Error as error:
                raise self._broken(error) from error
            if not rows:
                return
            filled = [row for row in rows if "".join(row).strip(SPACES)]
            yield filled, len(rows) - len(filled)
            size = max(BATCH_CELLS // max(1, len(rows[-1])), 1)

    def _reader(self) -> Any:
        lines = io.StringIO(self.text, newline="")
        return csv.reader(lines, delimiter=self.separator, strict=True, skipinitialspace=self.skips)

    def _broken(self, error: csv.Error) -> TableError:
        """Name the line in which a row begins that cannot be split into cells."""
        reader, line = self._reader(), 1
        try:
            for _ in reader:
                line = reader.line_num + 1
        except csv.Error:
            pass
        if "end of data" in str(error):
            what = f'line {line} has a quote mark (") that is never closed'
        elif "field limit" in str(error):
            what = f"line {line} has a cell of more than {csv.field_size_limit():,} characters"
        else:
            what = f'line {line} has text behind a closing quote mark (")'
        return TableError(
            f"{self.name}: {what}", hint=f'write a quote mark in a quoted cell twice (""); {self.hint}'
        )

    def _uneven(self, width: int, header: bool) -> TableError:
        """Name the first line whose number of cells is not the first one's."""
        reader, line = self._reader(), 1
        for row in reader:
            if len(row) != width and "".join(row).strip(SPACES):
                break
            line = reader.line_num + 1
        first = "the header" if header else "the first line"
        return TableError(
            f"{self.name}: line {line} has {plural(len(row), 'cell')}, {first} {width:,} "
            f"(separator {SEPARATORS.get(self.separator, repr(self.separator))})",
            hint=f"quote cells that contain the separator; {self.hint}",
        )


def _named(names: list[str], frame: pl.DataFrame) -> tuple[list[str], pl.DataFrame]:
    """Drop columns with neither a name nor a cell, as trailing separators make them."""
    kept = [
        place
        for place, (name, column) in enumerate(zip(names, frame, strict=True))
        if name or (column.str.strip_chars(SPACES) != "").any()
    ]
    return [names[place] for place in kept], frame[:, kept]


def _check_names(names: Sequence[str], name: str, hint: str) -> None:
    if twice := next((one for place, one in enumerate(names) if one in names[:place]), None):
        raise TableError(f"{name} has the column {twice!r} twice", hint=f"rename one; {hint}")
    if list(names).count("") > 1:
        raise TableError(f"{name} has {list(names).count('')} columns without a name", hint=hint)


def _clean(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Strip the cells, make empty ones null, and keep one of equal rows; with notes."""
    text = [name for name, kind in frame.schema.items() if kind == pl.String]
    stripped = frame.with_columns(pl.col(text).str.strip_chars(SPACES))
    spaces = sum(int((frame[name] != stripped[name]).sum()) for name in text)
    cells = stripped.with_columns(pl.col(text).replace("", None))
    rows = cells.with_columns(pl.col(name).list.join("\x1f") for name in frame.columns if name not in text)
    first = rows.with_row_index("row").unique(frame.columns, keep="first", maintain_order=True)["row"]
    notes = [f"spaces around {plural(spaces, 'cell')}"] if spaces else []
    if repeated := len(cells) - len(first):
        notes.append(plural(repeated, "repeated row"))
        cells = cells[first]
    return cells, tuple(notes)
