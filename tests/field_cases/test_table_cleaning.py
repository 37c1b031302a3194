"""Tables as spreadsheets, exports and people leave them."""

from __future__ import annotations

from support.field_case import FieldCase

EIGHT = {"low": 8, "mid": 8, "high": 8, "other": 8}


def test_labels_with_spaces_behind(case: FieldCase) -> None:
    for kind in ("some", "all"):
        part = case.inside(kind)
        part.good("fetch")
        part.good("prepare")
        assert part.counts("word") == EIGHT
        assert part.counts("label") == {"low": 8, "mid": 8, "unknown": 16}


def test_tabs_and_semicolons(case: FieldCase) -> None:
    for kind, separators in {
        "tabs": {"train.zip/train.csv": "tab"},
        "semicolons": {"train.zip/train.csv": "';'", "sample_submission.csv": "';'"},
        "sample": {"sample_submission.csv": "';'"},
    }.items():
        part = case.inside(kind)
        part.good("fetch")
        shown = part.good("prepare").err
        assert all(f"{name}: separator {mark}" in shown for name, mark in separators.items()), shown
        assert part.counts("word") == EIGHT
    part.good("train", "--model", "tcresnet")
    part.good("submit", "--ensemble", "tcresnet")
    assert len(part.submitted()) == 24


def test_tables_in_other_codings(case: FieldCase) -> None:
    for kind, note in {"cp1252": "coding cp1252", "utf16": "UTF-16"}.items():
        part = case.inside(kind)
        part.good("fetch")
        assert f"train.zip/train.csv: {note}" in part.good("prepare").err
        assert part.counts("word") == {"low": 8, "mid": 8, "höher": 8, "Größe": 8}


def test_stray_quote(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("word") == EIGHT


def test_one_clip_two_labels(case: FieldCase) -> None:
    case.good("fetch")
    failed = case.bad("prepare")
    assert "4 clips with several labels" in failed.message
    assert "train/0003.wav is 'low' and 'mid'" in failed.message


def test_blank_lines(case: FieldCase) -> None:
    case.good("fetch")
    assert "sample_submission.csv: 3 blank lines" in case.good("prepare").err
    case.good("doctor")
    case.up_to_a_score()
    sample = (case.folder / "host" / "sample_submission.csv").read_text().splitlines()
    (case.folder / "host" / "sample_submission.csv").write_text("\n".join(filter(None, sample)) + "\n")
    case.good("fetch", "--force")
    case.good("submit", "--ensemble", "tcresnet", "--upload", "--yes", "--force")
    assert case.public_score is not None
