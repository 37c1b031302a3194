"""Ids of a row and a class: written by a template and read back, and templates that would go wrong."""

from __future__ import annotations

import re

import pytest

from kagglekit.scoring.long_ids import LongIds

CLASSES = ("ant", "bee", "ant_bee")
WINDOWS = "{stem}_{end}"


def ids(template: str, row_template: str = "{name}") -> LongIds:
    return LongIds(template, row_template, CLASSES)


@pytest.mark.parametrize(
    ("template", "row_template", "row", "expected"),
    [
        ("{id}_{class}", "{name}", "a.wav", ["a.wav_ant", "a.wav_bee", "a.wav_ant_bee"]),
        ("{id}_classnumber_{number}", "{name}", "a.wav", [f"a.wav_classnumber_{n}" for n in (0, 1, 2)]),
        ("{name}_{number+1}", "{name}", "a.wav", ["a.wav_1", "a.wav_2", "a.wav_3"]),
        ("{id*100+number}", "{name}", "007", ["700", "701", "702"]),
        ("{100*id + number + 1}", "{name}", "7", ["701", "702", "703"]),
        ("r{stem*10+number}", "{name}", "12.wav", ["r120", "r121", "r122"]),
        (
            "{stem}_{class}_{end}",
            WINDOWS,
            "sound_1_5",
            ["sound_1_ant_5", "sound_1_bee_5", "sound_1_ant_bee_5"],
        ),
    ],
)
def test_ids_are_written_and_read_back(template, row_template, row, expected):
    made = ids(template, row_template)
    written = [made.write(row, number) for number in range(3)]
    assert written == expected
    keys, numbers = zip(*map(made.read, written), strict=True)
    assert numbers == (0, 1, 2) and len(set(keys)) == 1


def test_rows_keep_different_keys():
    made = ids("{id*3+number}")
    assert [made.read(str(one)) for one in (5, 6)] == [("1", 2), ("2", 0)]


@pytest.mark.parametrize(
    ("template", "row", "message"),
    [
        ("{id}", "a", "has neither {class} nor {number}"),
        ("row", "a", "has neither {class} nor {number}"),
        ("{id*2+number}", "1", "3 classes need a factor of 3 or more"),
        ("{id*100+number*2}", "1", "gives two rows one id"),
        ("{id*100+number}", "a.wav", "'a.wav' is no number"),
        ("{id*100+number}", "²", "'²' is no number"),
        ("{record*100+number}", "1", r"names {record}; known are class, id, name, number, stem"),
        ("{end}_{class}", "a.wav", "names {end}"),
        ("{id-1}_{class}", "1", "is no part or sum"),
        ("{__import__('os')}{class}", "1", "is no part or sum"),
        ("{id**9}{class}", "1", "is no part or sum"),
        ("{}{class}", "1", "is no part or sum"),
    ],
)
def test_templates_that_give_no_id(template, row, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ids(template).write(row, 0)


@pytest.mark.parametrize(
    ("template", "text", "message"),
    [
        ("{id*100+number}", "703", "'703' means class number 3 of 3"),
        ("{id*100+number+1}", "700", "means class number 99 of 3"),
        ("{id*100+number}", "-1", "is not of the form"),
        ("{id*100+number}", "x", "is not of the form"),
        ("{id}_{class}", "a.wav_wasp", "is not of the form"),
        ("{id}_{number+1}", "a.wav_0", "means class number -1 of 3"),
        ("{id}_{number}", "a.wav_²", "is not of the form"),
    ],
)
def test_ids_that_mean_nothing(template, text, message):
    with pytest.raises(ValueError, match=message):
        ids(template).read(text)
