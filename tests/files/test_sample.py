from __future__ import annotations

import zipfile

import pytest

from kagglekit.config import Submission
from kagglekit.errors import ArchiveError, KagglekitError, SubmissionError, TableError
from kagglekit.files.sample import Sample, clips_of, column_classes, read_sample
from kagglekit.files.tables import read_table_file

SAMPLE = Sample(["b.wav", "a.wav", "d.wav", "c.wav"], "fname", ("label",))
CSV = "fname,label\nb.wav,silence\na.wav,silence\nd.wav,silence\nc.wav,silence\n"


def read(path, id_column="fname", **settings):
    table = read_table_file(path, hint="data.sample names it")
    return read_sample(table, path.name, Submission(id=id_column, **settings), ("low", "High_pitch"))


def test_read_sample_of_a_csv(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(CSV)
    assert read(path, "fname") == SAMPLE


def test_read_sample_keeps_ids_as_text_and_takes_windows_files(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_bytes(b"\xef\xbb\xbflabel,id\r\n0,007\r\n0,1e3\r\n")
    assert read(path, "id").ids == ["007", "1e3"]


def test_read_sample_of_an_archive_by_its_content(tmp_path):
    path = tmp_path / "sample_submission.csv"  # as the host sometimes names a zip
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("sample_submission.csv", CSV)
        file.writestr("README.txt", "hello")
    sample = read(path, "fname")
    assert (sample.ids, sample.columns, sample.notes) == (SAMPLE.ids, SAMPLE.columns, ("unpacked",))


@pytest.mark.parametrize(("names", "count"), [(("readme.md",), 0), (("a.csv", "b.csv"), 2)])
def test_read_sample_wants_one_csv_in_an_archive(tmp_path, names, count):
    path = tmp_path / "sample.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, CSV)
    with pytest.raises(TableError, match=f"sample.zip contains {count} tables, not one"):
        read(path, "fname")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\na,x\n", "has the columns 'id', 'label', not 'fname', 'label'"),
        ("fname,label,more\na,x,y\n", "has the columns 'fname', 'label', 'more'"),
        ("fname,label\n", "has no rows"),
        ("", "is empty"),
        ("fname,label\na,x\na,y\n", r"1 repeated \('a'\)"),
        ("fname,label\n,x\nb,y\n", "1 empty"),
        ("fname,label\na,x,y,z\n", "line 2 has 4 cells, the header 2"),
    ],
)
def test_read_sample_refuses(tmp_path, text, message):
    path = tmp_path / "sample.csv"
    path.write_text(text)
    with pytest.raises(KagglekitError, match=message) as caught:
        read(path, "fname")
    assert caught.value.hint and "\n" not in str(caught.value) + caught.value.hint


def test_read_sample_names_the_settings_of_its_columns(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(CSV)
    with pytest.raises(SubmissionError) as caught:
        read(path, "id")
    assert "submission.id" in caught.value.hint and "submission.label" in caught.value.hint


def test_read_sample_that_is_cut_off(tmp_path):
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ArchiveError):
        read(tmp_path / "cut.zip")


def test_columns_of_classes_may_be_spelled_otherwise(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text("fname,high pitch,low\na,0,0\n")
    assert read(path, shape="probabilities").columns == ("high pitch", "low")
    assert column_classes(("high pitch", "low"), ("low", "High_pitch")) == [1, 0]
    path.write_text("fname,low\na,0\n")
    with pytest.raises(SubmissionError, match="there is no column for the class 'High_pitch'"):
        read(path, shape="probabilities")
    path.write_text("fname,low,hihg\na,0,0\n")
    with pytest.raises(SubmissionError, match="'hihg' is no class"):
        read(path, shape="probabilities")


@pytest.mark.parametrize(
    ("columns", "classes", "message"),
    [
        (["Hi Hat"], ["hi_hat", "hi-hat"], "'Hi Hat' means 'hi_hat' and 'hi-hat'"),
        (["a", "A"], ["a"], "'a' and 'A' both mean the class 'a'"),
        (["s1", "s2"], ["s1", "s3"], "'s2' is no class"),
    ],
)
def test_columns_that_do_not_mean_one_class_each(columns, classes, message):
    with pytest.raises(ValueError, match=message):
        column_classes(columns, classes)


def test_columns_of_signs_are_told_apart():
    assert column_classes(["-", "+"], ["+", "-"]) == [1, 0]


def test_the_answers_may_have_any_name(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text("id,target\na,0\n")
    assert read(path, "id").columns == ("target",)
    with pytest.raises(SubmissionError, match="not 'id', 'label'"):
        read(path, "id", label="label")


def test_an_id_of_two_columns(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text("clip,species,probability\na,x,0\na,y,0\n")
    sample = read(path, "clip", shape="long", class_column="species")
    assert (sample.ids, sample.columns) == (["a\x1fx", "a\x1fy"], ("probability",))


def test_read_sample_passes_over_blank_lines_and_other_separators(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_bytes(b"\xef\xbb\xbffname;label\r\na;x\r\n\r\nb;y\r\n\r\n")
    assert read(path, "fname") == Sample(["a", "b"], "fname", ("label",), ("separator ';'", "2 blank lines"))


def test_clips_of_bridges_endings_and_numbers():
    assert clips_of(SAMPLE, ["a.wav", "b.wav", "c.wav", "d.wav"]) == SAMPLE.ids
    assert clips_of(Sample(["b", "a"], "id", ("x",)), ["a.wav", "b.wav"]) == ["b.wav", "a.wav"]
    assert clips_of(Sample(["7", "10"], "id", ("x",)), ["010.wav", "007.wav"]) == ["007.wav", "010.wav"]


def test_clips_of_names_what_has_no_partner():
    with pytest.raises(SubmissionError) as caught:
        clips_of(SAMPLE, ["a.wav", "b.wav", "e.wav"])
    assert str(caught.value) == (
        "the test clips do not match the sample submission: 2 of 4 ids without a clip ('d.wav', 'c.wav'); "
        "1 of 3 clips without an id ('e.wav')"
    )
    with pytest.raises(TableError, match=r"the id 'a' fits 2 files: 'a\.flac', 'a\.wav'"):
        clips_of(Sample(["a"], "id", ("x",)), ["a.flac", "a.wav"])
