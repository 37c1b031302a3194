"""Recordings that lie together, of which a table says which are the test; and tables by way of another."""

from __future__ import annotations

import polars as pl
import pytest

from kagglekit.competitions.answers import find_sample
from kagglekit.competitions.joined import is_label_list, tables_of
from kagglekit.competitions.look import Facts
from kagglekit.competitions.recordings import Group, groups
from kagglekit.competitions.splits import split_test

PATHS = [f"all/PC{number}_x.wav" for number in range(6)]
GROUP = Group("all/*.wav", PATHS, "")
NAMES = "id,name\n" + "".join(f"{number},PC{number}_x\n" for number in range(6))
RAGGED = "id,[labels]\n0,a,b\n1\n2,a\n3,b,a\n4,?\n5,?\n"
FOLDS = "id,fold\n0,0\n1,0\n2,0\n3,0\n4,1\n5,1\n"


def facts(**tables: str) -> Facts:
    shown = Facts("tiny")
    shown.audio = PATHS
    for name, text in tables.items():
        shown.table(f"{name}.csv", text.encode())
    return shown


def test_tables_by_way_of_another() -> None:
    names, labels, folds = tables_of(facts(names=NAMES, labels=RAGGED, folds=FOLDS), GROUP, [])
    assert (names.table, names.by_way_of) == ("names.csv", None)
    by_way_of = {"table": "names.csv", "id": "id", "file": "name"}
    assert (labels.table, labels.file, labels.ragged, labels.by_way_of) == (
        *("labels.csv", "id", True),
        by_way_of,
    )
    assert (folds.table, folds.ragged, folds.by_way_of) == ("folds.csv", False, by_way_of)
    assert folds.path_of == {str(number): number for number in range(6)}


def test_rows_with_hidden_labels_are_the_test() -> None:
    split = split_test(facts(names=NAMES, labels=RAGGED, folds=FOLDS), GROUP, [])
    assert split is not None and split.paths == PATHS[4:]
    assert (split.table, split.file, split.keys["where"].value) == ("folds.csv", "id", {"fold": 1})


@pytest.mark.parametrize(("words", "tests"), [("train val TEST", [2, 5]), ("dev dev eval", [2, 5])])
def test_words_say_which_are_the_test(words: str, tests: list[int]) -> None:
    rows = "".join(f"PC{number}_x,a,{words.split()[number % 3]}\n" for number in range(6))
    split = split_test(facts(t=f"file,label,part\n{rows}"), GROUP, [])
    assert split is not None and split.paths == [PATHS[number] for number in tests]
    assert split.keys == {"table": "t.csv", "file": "file", "split": "part"}
    assert split.train_keys == {"split": "part"}


def test_no_split() -> None:
    rows = "".join(f"PC{number}_x,{'ab'[number % 2]},{number % 3}\n" for number in range(6))
    assert split_test(facts(t=f"file,label,fold\n{rows}"), GROUP, []) is None
    assert split_test(facts(), GROUP, []) is None


def test_lists_of_labels() -> None:
    def lists(*rows: list[str]) -> pl.DataFrame:
        return pl.DataFrame({"id": [str(number) for number in range(len(rows))], "more": rows})

    assert is_label_list(lists(["0", "4"], ["4"], ["?"], ["0", "?"]))
    assert not is_label_list(lists(["0.1", "0.4"], ["0.1", "0.4"]))  # a histogram
    assert not is_label_list(lists(["a", "b"], ["c"], ["d"]))
    assert not is_label_list(lists([]))


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        *(
            ("contest_data/wavs", ""),
            ("latest", ""),
            ("my_contest/test_wavs", "test"),
            ("strains/train", "train"),
        ),
        *(("data.dev_audio", "train"), ("FSD50K.eval_audio", "test"), ("devices/evaluators", "")),
        *(("audio_test2", "test"), ("train/valid", "train"), ("traintest/x", "")),
    ],
)
def test_roles_by_folders(folder: str, role: str) -> None:
    shown = Facts("tiny")
    shown.audio = [f"{folder}/{number}.wav" for number in range(3)]
    assert groups(shown)[0].role == role


@pytest.mark.parametrize("by", ["table", "sample"])
def test_a_list_of_the_test_among_recordings_that_lie_together(by: str) -> None:
    shown = facts(train="path,label\n" + "".join(f"PC{n}_x.wav,{'ab'[n % 2]}\n" for n in range(4)))
    listed = "path,label\nPC4_x.wav,a\nPC5_x.wav,a\n"
    shown.table("test.csv" if by == "table" else "sample_submission.csv", listed.encode())
    sample = find_sample(shown)
    split = split_test(shown, GROUP, [sample.path] if sample else [], sample)
    assert split is not None and split.paths == PATHS[4:]
    assert split.keys == {"table": "test.csv" if by == "table" else "sample_submission.csv", "file": "path"}


def test_folders_in_folders_are_one_set() -> None:
    shown = Facts("tiny")
    shown.audio = [
        f"data/train/{c}/{s}/{n}.wav" for c in ("cat", "dog") for s in ("ann", "bob") for n in "12"
    ]
    shown.audio += [f"data/test/{n}.wav" for n in "12"]
    assert [(one.pattern, one.role) for one in groups(shown)] == [
        ("data/train/*/*/*.wav", "train"),
        ("data/test/*.wav", "test"),
    ]


def test_a_solution_stands_for_a_sample_that_is_not_there() -> None:
    shown = facts()
    assert find_sample(shown) is None
    shown.solution = pl.DataFrame({"id": ["a"], "label": ["cat"], "Usage": ["Public"]})
    sample = find_sample(shown)
    assert sample is not None and (sample.path, sample.id, sample.others) == (None, "id", ["label"])
