"""competition.yaml as people type it and Windows keeps it."""

from __future__ import annotations

from support.field_case import FieldCase

NUMBERS = ["22961", "007", "1e3", "12-30", "ashgre1"]
NULLS = ["null", "NA", "nan", "None", "yes"]


def test_classes_that_look_like_numbers(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("label") == dict.fromkeys(NUMBERS, 8)
    _quoted(case, NUMBERS)
    case.good("-C", "quoted.yaml", "cv")
    case.good("-C", "quoted.yaml", "report")


def test_classes_called_null(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("label") == dict.fromkeys(NULLS, 8)
    _quoted(case, NULLS)


def _quoted(case: FieldCase, classes: list[str]) -> None:
    quoted = ("-C", "quoted.yaml")
    case.good(*quoted, "fetch")
    case.good(*quoted, "prepare")
    assert case.counts("label") == dict.fromkeys(classes, 8)
    case.up_to_a_score(*quoted, rows=25)


def test_yaml_from_windows(case: FieldCase) -> None:
    case.good("-C", "good.yaml", "fetch")
    case.good("-C", "good.yaml", "prepare")
    for name, line, what, remedy in (
        ("tab", 6, "tab", "spaces"),
        ("nbsp", 17, "U+00A0", "space"),
        ("dquote", 12, "backslash", "single quotes"),
        ("curly", 6, "curly quotes", "straight"),
        ("utf16", 0, "UTF-16", "UTF-8"),
        ("colon", 2, "colon", "in quotes"),
    ):
        for verb in ("fetch", "prepare"):
            failed = case.bad("-C", f"{name}.yaml", verb)
            assert "\n" not in failed.message and "\n" not in failed.hint
            assert failed.message.startswith(f"{name}.yaml:{line}" if line else f"{name}.yaml"), failed.err
            assert what in failed.message and remedy in failed.hint, failed.err
            assert "-C FILE" not in failed.hint
