"""Ids of tables that are not the names of files letter by letter."""

from __future__ import annotations

import json
import unicodedata

from support.field_case import FieldCase


def test_ids_without_ending(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("word") == {"low": 8, "mid": 8, "high": 8, "other": 8}


def test_ids_with_folders(case: FieldCase) -> None:
    paths, bare = case.inside("paths"), case.inside("bare")
    paths.good("fetch")
    paths.good("prepare")
    wanted = json.loads((paths.folder / "wanted.json").read_text())
    assert dict(paths.clips().select("clip_id", "word").iter_rows()) == wanted
    bare.good("fetch")
    for setting in ("train.epochs=2", "labels.targets=[low]"):
        failed = bare.bad("prepare", "--set", setting)
        assert "the id '1.wav' fits 4 files" in failed.message
        assert "asbfly/1.wav" in failed.message and "with its folder" in failed.hint


def test_two_spellings_of_an_umlaut(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("label") == {"tür": 8, "öl": 8, "unknown": 16}
    case.up_to_a_score()
    sample = (case.folder / "host" / "sample_submission.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert list(case.submitted()) == [line.partition(",")[0] for line in sample]
    assert all(unicodedata.is_normalized("NFC", name) for name in case.submitted())


def test_sample_ids_without_ending(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    case.good("doctor")
    case.up_to_a_score()
    assert list(case.submitted()) == [f"clip_{n:04d}" for n in range(24)]
