from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest

from kagglekit.errors import ArchiveError, MissingError, SubmissionError
from kagglekit.files.atomic import write_bytes
from kagglekit.files.sample import Sample, parse, read_sample
from kagglekit.submission.shapes import build, check, class_balance, file_name, to_csv

CLASSES = ("yes", "no", "silence")
SAMPLE = Sample(["b.wav", "a.wav", "d.wav", "c.wav"], "fname", ("label",))
PREDICTED = pl.DataFrame(
    {"clip_id": ["a.wav", "b.wav", "c.wav", "d.wav"], "label": ["yes", "no", "yes", "silence"]}
)
CSV = "fname,label\nb.wav,silence\na.wav,silence\nd.wav,silence\nc.wav,silence\n"


def submission(**columns):
    return build(SAMPLE, PREDICTED).with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def test_read_sample_of_a_csv(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(CSV)
    assert read_sample(path, "fname", ("label",)) == SAMPLE


def test_read_sample_keeps_ids_as_text_and_takes_windows_files(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_bytes(b"\xef\xbb\xbflabel,id\r\n0,007\r\n0,1e3\r\n")
    assert read_sample(path, "id", ("label",)).ids == ["007", "1e3"]


def test_read_sample_of_an_archive_by_its_content(tmp_path):
    path = tmp_path / "sample_submission.csv"  # as the host sometimes names a zip
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("sample_submission.csv", CSV)
        file.writestr("README.txt", "hello")
    assert read_sample(path, "fname", ("label",)) == SAMPLE


@pytest.mark.parametrize(("names", "count"), [(("readme.txt",), 0), (("a.csv", "b.csv"), 2)])
def test_read_sample_wants_one_csv_in_an_archive(tmp_path, names, count):
    path = tmp_path / "sample.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, CSV)
    with pytest.raises(SubmissionError, match=f"sample.zip holds {count} CSV files"):
        read_sample(path, "fname", ("label",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\na,x\n", "has the columns 'id', 'label', not 'fname', 'label'"),
        ("fname,label,more\na,x,y\n", "has the columns 'fname', 'label', 'more'"),
        ("fname,label\n", "has no rows"),
        ("", "is not a CSV"),
        ("fname,label\na,x\na,y\n", r"1 repeated \('a'\)"),
        ("fname,label\n,x\nb,y\n", "1 empty"),
        ("fname,label\na,x,y,z\n", "is not a CSV"),
    ],
)
def test_read_sample_refuses(tmp_path, text, message):
    path = tmp_path / "sample.csv"
    path.write_text(text)
    with pytest.raises(SubmissionError, match=message) as caught:
        read_sample(path, "fname", ("label",))
    assert caught.value.hint and "\n" not in str(caught.value) + caught.value.hint


def test_read_sample_names_the_settings_of_its_columns(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(CSV)
    with pytest.raises(SubmissionError) as caught:
        read_sample(path, "id", ("label",))
    assert "submission.id" in caught.value.hint and "submission.label" in caught.value.hint


def test_read_sample_that_is_missing_or_cut_off(tmp_path):
    with pytest.raises(MissingError, match=r"no sample submission .*none.csv"):
        read_sample(tmp_path / "none.csv", "fname", ("label",))
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ArchiveError):
        read_sample(tmp_path / "cut.zip", "fname", ("label",))


def test_build_follows_the_sample():
    frame = build(SAMPLE, PREDICTED)
    assert frame.columns == ["fname", "label"]
    assert frame.rows() == [("b.wav", "no"), ("a.wav", "yes"), ("d.wav", "silence"), ("c.wav", "yes")]


def test_build_refuses_other_clips():
    sample = Sample([f"{i}.wav" for i in range(1234)], "fname", ("label",))
    with pytest.raises(SubmissionError) as caught:
        build(sample, PREDICTED)
    assert "1,234 of its 1,234 ids have no prediction ('0.wav', '1.wav', '2.wav', …)" in str(caught.value)
    assert "4 predictions are for ids it does not have ('a.wav', 'b.wav', 'c.wav', …)" in str(caught.value)
    assert "do not belong together" in caught.value.hint


def test_build_refuses_a_clip_predicted_twice():
    with pytest.raises(SubmissionError, match=r"predicted twice: 1 repeated \('a.wav'\)"):
        build(SAMPLE, pl.concat([PREDICTED, PREDICTED.head(1)]))


def test_check_passes_what_build_makes():
    assert check(submission(), SAMPLE, CLASSES) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (submission().rename({"fname": "id"}), "columns 'id', 'label', not 'fname', 'label'"),
        (submission().select("label", "fname"), "columns 'label', 'fname'"),
        (submission().head(3), "has 3 rows, the sample 4"),
        (submission(fname=["b.wav", "a.wav", "x.wav", "c.wav"]), "1 ids are not in the sample: 'x.wav'"),
        (submission(fname=["b.wav", "a.wav", "a.wav", "c.wav"]), r"repeats ids: 1 repeated \('a.wav'\)"),
        (submission(fname=["b.wav", "d.wav", "a.wav", "c.wav"]), "row 2 is 'd.wav', not 'a.wav'"),
        (submission(label=["yes", None, "", "no"]), "2 of 4 rows have no label"),
        (submission(label=["yes", "no", "silense", "no"]), "no class: 'silense'"),
        (submission(label=["yes"] * 4), "all 4 rows say 'yes'"),
    ],
)
def test_check_refuses(frame, message):
    with pytest.raises(SubmissionError, match=message) as caught:
        check(frame, SAMPLE, CLASSES)
    assert caught.value.hint


def test_check_suggests_the_class_that_was_meant():
    with pytest.raises(SubmissionError) as caught:
        check(submission(label=["yes", "no", "silense", "no"]), SAMPLE, CLASSES)
    assert "did you mean 'silence'?" in caught.value.hint


def test_check_warns_of_odd_balances():
    sample = Sample([str(i) for i in range(10)], "fname", ("label",))
    frame = pl.DataFrame({"fname": sample.ids, "label": ["yes"] * 9 + ["no"]})
    assert check(frame, sample, CLASSES) == ["'silence' is never predicted", "'yes' is 90% of the rows"]


def test_class_balance_counts_every_class():
    frame = submission(label=["yes", "yes", "yes", "no"])
    assert class_balance(frame, CLASSES) == [("yes", 3, 0.75), ("no", 1, 0.25), ("silence", 0, 0.0)]


def test_write(tmp_path):
    path = tmp_path / "new" / "out.csv"
    write_bytes(path, to_csv(submission()))
    assert path.read_bytes() == b"fname,label\nb.wav,no\na.wav,yes\nd.wav,silence\nc.wav,yes\n"
    assert [p.name for p in path.parent.iterdir()] == ["out.csv"]


def test_parse_keeps_text_as_it_is():
    assert parse(b"fname,label\r\n007,1e3\r\n", "a.csv", hint="").rows() == [("007", "1e3")]
    with pytest.raises(SubmissionError, match=r"a\.csv is not a CSV") as caught:
        parse(b"a,b\n1,2,3\n", "a.csv", hint="send another")
    assert caught.value.hint == "send another"


def test_file_name():
    time = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)
    assert file_name(time, ["convs2s", "lstm"], 0.87123) == "20261122-101500_convs2s+lstm_0.8712.csv"
    assert file_name(time, ["lstm"], None) == "20261122-101500_lstm.csv"
    assert file_name(time.astimezone(timezone(timedelta(hours=9))), ["lstm"], None).startswith(
        "20261122-101500"
    )


def test_file_name_is_safe_and_short():
    time = datetime(2026, 1, 2, tzinfo=UTC)
    odd = file_name(time, ["../a b:ü/é"], 0.5)
    many = file_name(time, [f"model-number-{i}" for i in range(20)], 0.5)
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", odd) and "/" not in odd
    assert (
        many
        == "20260102-000000_model-number-0+model-number-1+model-number-2+model-number-3+16-more_0.5000.csv"
    )
    assert len(file_name(time, ["x" * 500], 0.5)) < 100
