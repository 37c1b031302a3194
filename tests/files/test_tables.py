"""Every kind of table that people have, each with the right value; and bytes that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile

import polars as pl
import pytest

from kagglekit.errors import KagglekitError, TableError
from kagglekit.files import table_bytes, tables
from kagglekit.files.tables import read_table, read_table_file

WORDS = "fname,label\na.wav,höher\nb.wav,Größe\n"
ROWS = [("a.wav", "höher"), ("b.wav", "Größe")]


def read(data, **options):
    return read_table(data.encode() if isinstance(data, str) else data, "t.csv", hint="look", **options)


def rows(data, **options):
    return read(data, **options).frame.rows()


def refused(data, **options):
    with pytest.raises(KagglekitError) as caught:
        read(data, **options)
    assert caught.value.hint and "\n" not in str(caught.value)
    return str(caught.value)


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return file.getvalue()


def parquet(columns):
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


# --- codings ---


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (WORDS.encode(), ()),
        (WORDS.encode("utf-8-sig"), ()),
        (WORDS.encode("cp1252"), ("coding cp1252",)),
        (WORDS.encode("utf-16"), ("UTF-16",)),
        (b"\xfe\xff" + WORDS.encode("utf-16-be"), ("UTF-16",)),
        (WORDS.encode("utf-16-le"), ("UTF-16-LE",)),
        (WORDS.encode("utf-16-be"), ("UTF-16-BE",)),
        (WORDS.encode("utf-32"), ("UTF-32",)),
        (WORDS.encode() + b"\x1a", ()),
    ],
)
def test_codings(data, notes):
    table = read(data)
    assert (table.frame.columns, table.frame.rows(), table.notes) == (["fname", "label"], ROWS, notes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b\n1,\xc3\xa4\n2,\xe4\n", "t.csv is UTF-8 except for byte 0xe4 in line 3"),
        (b"a,b\n1,\x81\n", "t.csv is neither UTF-8, UTF-16 nor cp1252: byte 0x81 in line 2"),
        (b"a,b\n1,\x00\n", "t.csv is not a text: line 2 has the control character U+0000"),
        (b"\xff\xfea", "t.csv is damaged UTF-16: truncated data"),
    ],
)
def test_codings_that_cannot_be_told(data, message):
    assert refused(data) == message


# --- separators, quotes, line ends ---


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(separator, end):
    text = end.join(separator.join(row) for row in [("fname", "label"), *ROWS])
    table = read(text)
    assert table.frame.rows() == ROWS
    assert table.notes == (() if separator == "," else (f"separator {tables.SEPARATORS[separator]}",))


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("a,b\r\n1,2\n3,4\r5,6", ["a", "b"], [("1", "2"), ("3", "4"), ("5", "6")]),
        ("id;p\n1;0,5\n2;0,7\n", ["id", "p"], [("1", "0,5"), ("2", "0,7")]),  # a decimal comma
        ("f,l\n1,a;b\n2,c\n", ["f", "l"], [("1", "a;b"), ("2", "c")]),
        ("f|l\n1|a,b\n2|c\n", ["f", "l"], [("1", "a,b"), ("2", "c")]),
        ('f;l\n1;"a;b,c"\n2;"d,e"\n', ["f", "l"], [("1", "a;b,c"), ("2", "d,e")]),
        ("labels\na;b\nc\n", ["labels"], [("a;b",), ("c",)]),
        ("sep=;\nf;l\n1;2\n", ["f", "l"], [("1", "2")]),
        ('f,l\n1,"x\ny, ""z"""\n', ["f", "l"], [("1", 'x\ny, "z"')]),
        ('f,l\n1,5" nail\n', ["f", "l"], [("1", '5" nail')]),
        ('f, l\n1, "x, y"\n', ["f", "l"], [("1", "x, y")]),
        ("f,l,,\n1,2,,\n", ["f", "l"], [("1", "2")]),
        (",f\n0,a\n1,b\n", ["", "f"], [("0", "a"), ("1", "b")]),  # pandas' index
        ("f,l\n", ["f", "l"], []),
    ],
)
def test_cells(text, columns, expected):
    table = read(text)
    assert (table.frame.columns, table.frame.rows()) == (columns, expected)


def test_the_wanted_columns_decide_between_separators():
    text = "a,b;c\n1,2;3\n"
    assert read(text, columns=["c"]).frame.columns == ["a,b", "c"]
    assert read(text, columns=["a"]).frame.columns == ["a", "b;c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f,l\n1,2\n\n3,4,5\n", "t.csv: line 4 has 3 cells, the header 2 (separator ',')"),
        ('f,l\n"1\n1",2\n3\n', "t.csv: line 4 has 1 cell, the header 2 (separator ',')"),
        ("f\na,b\n", "t.csv: line 2 has 2 cells, the header 1 (separator ',')"),
        ('f,l\n1,2\n3,"4\n5,6\n', 't.csv: line 3 has a quote mark (") that is never closed'),
        ('f,l\n1,2\n3,"4"4\n', 't.csv: line 3 has text behind a closing quote mark (")'),
        (f"f,l\n1,{'x' * 200_000}\n", "t.csv: line 2 has a cell of more than 131,072 characters"),
        ("f,l, f\n1,2,3\n", "t.csv has the column 'f' twice"),
        ("f,,\n1,2,3\n", "t.csv has 2 columns without a name"),
        ("", "t.csv is empty"),
        (" \r\n\n", "t.csv is empty"),
        (",\n,,\n", "t.csv has only blank lines"),
    ],
)
def test_tables_that_are_broken(text, message):
    assert refused(text) == message


# --- cells ---


def test_spaces_blank_lines_and_repetitions_are_dropped_and_noted():
    text = "\n fname,label\u00a0\na.wav,low \n\n,\n\u200bb.wav,mid\nb.wav,mid\nb.wav,low\n"
    table = read(text)
    assert table.frame.columns == ["fname", "label"]
    assert table.frame.rows() == [("a.wav", "low"), ("b.wav", "mid"), ("b.wav", "low")]
    assert table.notes == ("3 blank lines", "spaces around 2 cells", "1 repeated row")


@pytest.mark.parametrize(
    "word",
    ["007", "1e5", "1139490", "NA", "nan", "None", "null", "NULL", "true", "1.0", "-", "?", "0x1F", "=A1"],
)
def test_words_stay_as_they_are(word):
    table = read(f'id,label\nx,{word}\ny,\nz,""\n')
    assert table.frame.schema == {"id": pl.String, "label": pl.String}
    assert table.frame.rows() == [("x", word), ("y", None), ("z", None)]


def test_ragged_rows_where_they_are_asked_for():
    text = "rec_id,[labels]\n0,?\n1\n2, 4,7\n"
    table = read(text, ragged=True)
    assert table.frame.schema == {"rec_id": pl.String, "[labels]": pl.List(pl.String)}
    assert table.frame.rows() == [("0", ["?"]), ("1", []), ("2", ["4", "7"])]
    assert rows("0,3,4\n1\n", ragged=True, header=False, columns=["id", "x"]) == [
        ("0", ["3", "4"]),
        ("1", []),
    ]


def test_columns():
    assert rows("a.wav\nb.wav\n", header=False, columns=["clip_id"]) == [("a.wav",), ("b.wav",)]
    assert read("1,2\n", header=False).frame.columns == ["column_1", "column_2"]
    assert refused("1,2\n", header=False, columns=["x"]) == "t.csv has 2 columns, not 1"
    assert refused("fnam,label\n1,2\n", columns=["fname"]) == "t.csv has no column 'fname'"


# --- other kinds of file ---


def test_packed_tables_are_read():
    assert read(gzip.compress(WORDS.encode())).frame.rows() == ROWS
    assert rows(gzip.compress(WORDS[:20].encode()) + gzip.compress(WORDS[20:].encode())) == ROWS
    table = read(zipped({"__MACOSX/._t.csv": b"x", "README.txt": b"hello", "x/t.csv": WORDS}))
    assert (table.frame.rows(), table.notes) == (ROWS, ("unpacked",))
    assert rows(zipped({"labels.tsv": "fname\tlabel\n1\t2\n"})) == [("1", "2")]


def test_packed_tables_are_bounded(monkeypatch):
    monkeypatch.setattr(table_bytes, "MAX_BYTES", 2000)
    assert refused(gzip.compress(bytes(10**6))) == "t.csv would unpack to more than 2,000 bytes"
    assert refused(b"a" * 2001) == "t.csv has 2,001 bytes; a table may have 2,000"
    assert refused(gzip.compress(WORDS.encode())[:-9]) == "t.csv is cut off: its gzip stream has no end"
    monkeypatch.setattr(table_bytes, "MAX_MEMBER_BYTES", 30)
    assert refused(zipped({"t.csv": WORDS})) == "t.csv: t.csv has 39 bytes; in an archive it may have 30"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            zipped({"[Content_Types].xml": "x", "xl/workbook.xml": "x"}),
            "is an Excel or office document, not a CSV",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is an Excel workbook (.xls), not a CSV"),
        ("\n<!DOCTYPE html><html>sign in</html>", "is a web page, not a CSV"),
        ('{"code": 403, "message": "no"}', "is JSON, not a CSV"),
        (bz2.compress(b"a"), "is packed with bzip2"),
        (lzma.compress(b"a"), "is packed with xz"),
        (gzip.compress(gzip.compress(b"a,b\n", mtime=0), mtime=0), "is packed twice"),
        (b"a.csv" + bytes(252) + b"ustar" + bytes(99), "is a tar archive"),
        (b"RIFF....WAVEfmt ", "is a recording"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (zipped({"a.csv": "a", "b.csv": "b"}), "contains 2 tables, not one: 'a.csv', 'b.csv'"),
        (zipped({"a.wav": "a"}), "contains 0 tables, not one"),
        (b"PK\x03\x04 and no more", "damaged"),
    ],
)
def test_other_kinds_are_named(data, message):
    assert message in refused(data)


def test_parquet_as_text_without_its_sound():
    data = parquet(
        {
            "id": [7, 8],
            "label": ["none ", None],
            "audio": [b"RIFF", b"x"],
            "more": [["a", "b"], []],
            "fake": [True, False],
            "p": [0.5, 1.0],
        }
    )
    table = read(data)
    assert table.frame.schema == dict.fromkeys(["id", "label", "more", "fake", "p"], pl.String)
    assert table.frame.rows() == [
        ("7", "none", "['a', 'b']", "True", "0.5"),
        ("8", None, "[]", "False", "1.0"),
    ]
    assert table.notes == ("left out 1 column: 'audio'", "spaces around 1 cell")
    assert "cannot be read" in refused(data[:-9])
    assert (
        refused(parquet({"audio": [b"x"]})) == "t.csv is a Parquet table without a column of text or numbers"
    )


def test_read_table_file_names_what_is_missing(tmp_path):
    (tmp_path / "t.csv").write_text(WORDS, encoding="utf-8")
    assert read_table_file(tmp_path / "t.csv", hint="").frame.rows() == ROWS
    with pytest.raises(TableError, match=r"^none\.csv does not exist"):
        read_table_file(tmp_path / "none.csv", hint="")
    with pytest.raises(TableError, match="cannot be read"):
        read_table_file(tmp_path, hint="")


# --- anything at all ---


def test_many_rows_in_batches(monkeypatch):
    monkeypatch.setattr(tables, "BATCH_CELLS", 6)
    text = "f,l\n" + "".join(f"{n},{n % 7}\n" + "\n" * (n % 3 == 0) for n in range(100))
    table = read(text)
    assert table.frame.rows() == [(str(n), str(n % 7)) for n in range(100)]
    assert table.notes == ("34 blank lines",)
    assert refused(text + "1\n") == "t.csv: line 136 has 1 cell, the header 2 (separator ',')"


SEEDS = [
    WORDS.encode(),
    WORDS.encode("utf-16"),
    WORDS.encode("cp1252").replace(b",", b";"),
    b'f,l\n1,"x\ny"\n2, "a,b"\n\n3,4\n',
    b"rec_id\tl\r\n1\t2\r\n1\t2\r\n",
    gzip.compress(WORDS.encode(), mtime=0),
    zipped({"t.csv": WORDS}),
    zipped({"a.txt": "a", "b.parquet": parquet({"a": ["x"]})}),
    parquet({"id": [1, 2], "l": ["x", "y"], "b": [b"1", b"2"], "m": [["a"], ["b"]]}),
]
PIECES = [
    b",",
    b";",
    b"\t",
    b"|",
    b'"',
    b'""',
    b"\r",
    b"\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\xe4",
    b"\xc3\xa4",
    b" ",
    b"\xa0",
    b"sep=",
    b"PAR1",
    b"<html",
]


def mutated(draw):
    """Return a table with a few bytes changed, cut out, put in or repeated."""
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0:
                data[place : place + 1] = bytes([draw.randrange(256)])
            case 1:
                data[place : place + draw.randint(1, 9)] = b""
            case 2:
                data[place:place] = draw.choice(PIECES)
            case 3:
                data[place:place] = data[: draw.randint(0, 40)]
            case _:
                data[place:] = data[place:][::-1] if draw.random() < 0.1 else data[place:]
    return bytes(data)


def anything(draw):
    if draw.random() < 0.8:
        return mutated(draw)
    start = draw.choice([b"", b"PAR1", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"\xff\xfe", b"a,b\n"])
    alphabet = draw.choice([bytes(range(256)), b'a1,;|\t"\n\r ', b"\x00a,\n"])
    return start + bytes(draw.choices(alphabet, k=draw.randint(0, 300)))


def test_anything_is_a_table_or_an_explained_error():
    draw, read_ones = random.Random(19), 0
    for turn in range(4000):
        data = anything(draw)
        options = {"header": draw.random() < 0.8, "ragged": draw.random() < 0.2}
        try:
            frame, _ = read(data, **options)
        except KagglekitError as error:
            assert error.hint and "\n" not in str(error), data
        except BaseException as error:
            raise AssertionError(f"turn {turn}: {data!r} {options} ended in {error!r}") from error
        else:
            read_ones += 1
            kinds = {pl.String, pl.List(pl.String)} if options["ragged"] else {pl.String}
            assert set(frame.dtypes) <= kinds and len(set(frame.columns)) == frame.width
    assert 500 < read_ones < 3600
