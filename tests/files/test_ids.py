from __future__ import annotations

import random
import unicodedata

import pytest

from kagglekit.errors import TableError
from kagglekit.files.ids import match, number, plain, stem

PATHS = ["asbfly/1.ogg", "asbfly/2.ogg", "barswa/1.ogg", "barswa/3.OGG"]


def places(ids, paths, **options):
    return match(ids, paths, "train.csv", **options).path_of


def test_equal_ids_come_first_and_may_repeat():
    found = match(["b.wav", "a.wav", "b.wav", None, ""], ["a.wav", "b.wav", "c.wav"], "train.csv")
    assert found == ({"b.wav": 1, "a.wav": 0}, [], ["c.wav"], ())


@pytest.mark.parametrize(
    ("one", "path", "how"),
    [
        (" a.wav\u00a0", "a.wav", "without spaces, in one Unicode form"),
        ("./x\\a.wav", "x/a.wav", "without spaces, in one Unicode form"),
        (
            unicodedata.normalize("NFC", "tür.wav"),
            unicodedata.normalize("NFD", "tür.wav"),
            "without spaces, in one Unicode form",
        ),
        ("a", "a.wav", "without the ending of the file"),
        ("a.wav", "a.WAV", "without the ending of the file"),
        ("a.mp3", "a.ogg", "without the ending of the file"),
        ("a.wav", "x/y/a.wav", "without folders"),
        ("x/y/a.wav", "a.flac", "without folders"),
        ("y/a.wav", "x/y/a.wav", "without folders"),
        ("z/a.wav", "x/a.wav", "without folders"),
    ],
)
def test_each_step_of_the_rule(one, path, how):
    found = match([one], [path, "other.wav"], "train.csv")
    assert (found.path_of, found.how, found.unmatched_paths) == ({one: 0}, (how,), ["other.wav"])


def test_folders_tell_equal_names_apart():
    assert places(["barswa/1", "asbfly/1", "2", "barswa/3.ogg"], PATHS) == {
        "barswa/1": 2,
        "asbfly/1": 0,
        "2": 1,
        "barswa/3.ogg": 3,
    }
    found = match(["barswa/1.ogg", "barswa/2.ogg"], [f"train/{p}" for p in PATHS], "t")
    assert found.path_of == {"barswa/1.ogg": 2}  # asbfly/2.ogg is another recording
    assert found.unmatched_ids == ["barswa/2.ogg"]


def test_the_own_ending_tells_equal_stems_apart():
    assert places(["a.wav", "a.mp3"], ["x/a.mp3", "x/a.wav"]) == {"a.wav": 1, "a.mp3": 0}


@pytest.mark.parametrize(
    ("ids", "paths", "message"),
    [
        (["1.ogg"], PATHS, "train.csv: the id '1.ogg' fits 2 files: 'asbfly/1.ogg', 'barswa/1.ogg'"),
        (["a"], ["a.wav", "a.mp3"], "train.csv: the id 'a' fits 2 files: 'a.wav', 'a.mp3'"),
        (["a.wav", "a"], ["a.wav"], "train.csv: the ids 'a.wav' and 'a' both mean the file 'a.wav'"),
        (["a", "x/a"], ["x/a.wav"], "train.csv: the ids 'x/a' and 'a' both mean the file 'x/a.wav'"),
        (["a.wav", "a.mp3"], ["a.ogg"], "train.csv: the ids 'a.wav' and 'a.mp3' both mean the file 'a.ogg'"),
        (["a.wav"], ["a.wav", "b.wav", "a.wav"], "train.csv: the id 'a.wav' means two files of that name"),
    ],
)
def test_ambiguity_shows_both_spellings(ids, paths, message):
    with pytest.raises(TableError) as caught:
        match(ids, paths, "train.csv")
    assert str(caught.value) == message
    assert caught.value.hint


def test_numbers_only_when_asked():
    assert places(["7", "10.0"], ["007.wav", "x/0010.wav"]) == {}
    assert places(["7", "10.0"], ["007.wav", "x/0010.wav"], numbers=True) == {"7": 0, "10.0": 1}
    with pytest.raises(TableError, match="fits 2 files"):
        places(["7"], ["07.wav", "007.wav"], numbers=True)


def test_words_that_are_no_ending_stay():
    assert (stem("mr.smith"), stem("a.b.WAV"), stem(".wav"), stem("x/.wav")) == (
        "mr.smith",
        "a.b",
        ".wav",
        "x/",
    )
    assert (plain("\ufeff./a\\b "), number("x/007.wav"), number("1e5"), number("٣")) == ("a/b", "7", "", "")


def test_many_ids_in_folders_go_to_their_own_files():
    paths = [f"train/s{n % 50}/{n % 997}.wav" for n in range(49_850)]  # each pair once
    ids = [path.removeprefix("train/").removesuffix(".wav") for path in paths]
    order = list(range(len(ids)))
    random.Random(0).shuffle(order)
    assert places([ids[n] for n in order], paths) == {ids[n]: n for n in order}
