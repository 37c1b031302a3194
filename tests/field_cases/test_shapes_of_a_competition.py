"""Competitions whose files lie otherwise than the YAML says, or whose labels stand elsewhere."""

from __future__ import annotations

from support.field_case import FieldCase

EIGHT = {"low": 8, "mid": 8, "high": 8, "other": 8}


def test_labels_beside_the_archive(case: FieldCase) -> None:
    assert "train.csv" in case.good("fetch").out
    assert "reading 'train.csv' beside it" in case.good("prepare").err
    assert case.counts("word") == EIGHT
    case.good("train", "--model", "tcresnet")
    case.good("submit", "--ensemble", "tcresnet")


def test_one_flat_bundle(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("word") == EIGHT
    case.good("train", "--model", "tcresnet")
    case.good("submit", "--ensemble", "tcresnet")
    assert len(case.submitted()) == 24


def test_loose_files(case: FieldCase) -> None:
    assert case.good("fetch", "--list").out.startswith("58 files, ")
    case.good("fetch")
    case.good("doctor")
    case.good("prepare")
    assert case.counts("word") == EIGHT
    assert len(case.clips("test")) == 24


def test_no_test_yet(case: FieldCase) -> None:
    case.good("fetch")
    assert case.good("prepare").err.count("no test recordings") == 1
    case.good("train", "--model", "tcresnet")
    case.good("cv")
    case.good("tune", "--model", "tcresnet", "--trials", "1", "--no-train")
    case.good("report")
    case.good("predict", "--model", "tcresnet", "word.wav")
    assert "nothing to predict" in case.bad("submit", "--ensemble", "tcresnet").message


def test_labels_in_file_names(case: FieldCase) -> None:
    case.good("fetch")
    failed = case.bad("prepare")
    assert "words found: recordings" in failed.hint
    assert "{name: 'REGEX'}" in failed.hint and "set table, file and label" in failed.hint
    case.good("init", "--upgrade", "competition.yaml")
    case.good("prepare", "--set", "data.train.label={name: '^(\\d)_'}")
    assert case.counts("word") == {"0": 8, "1": 8, "2": 8, "3": 8}


def test_a_column_for_each_class(case: FieldCase) -> None:
    case.good("fetch")
    failed = case.bad("prepare")
    assert "there is a column for each class" in failed.hint
    assert "submission: {shape: probabilities, id: row_id}" in failed.hint
    shape = ("--set", "submission.shape=probabilities")
    case.good("prepare", *shape)
    case.up_to_a_score(*shape)
    multi = ("-C", "multi.yaml")
    case.good(*multi, "fetch")
    case.good(*multi, "prepare")
    case.up_to_a_score(*multi)
