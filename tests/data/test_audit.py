"""What does not fit: in the tables, between tables and recordings, and between train and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.dataset import dataset, wav, write

from kagglekit.data.audit import outside
from kagglekit.data.cuts import Cut
from kagglekit.data.prepare import prepare
from kagglekit.errors import KagglekitError

FILES = {f"a/x{i}.wav": wav(i, 400) for i in range(8)}
SET = {"files": "a/*.wav", "table": "t.csv", "file": "id", "label": "label"}
PARTS = {**SET, "start": "s", "end": "e"}
TABLE = "id,label\n" + "".join(f"x{i},{'dog' if i % 2 else 'cat'}\n" for i in range(8))
PLAIN = {"classes": ["cat", "dog"]}
MULTI = {"kind": "multi", **PLAIN}


def clips(
    root: Path, table: str, train: Any = SET, labels: Any = PLAIN, files: Any = None, **sections: Any
) -> pl.DataFrame:
    """The clips table of x0 ... x7."""
    sample = "id,cat,dog\nt0,0,0\n" if labels.get("kind") == "multi" else "id,label\nt0,cat\n"
    contents = {**FILES, "t.csv": table, "sample.csv": sample, **(files or {})}
    workspace = dataset(root, contents, train, labels=labels, **sections)
    return prepare(workspace).clips.filter(split="train")


def test_nothing_to_say(tmp_path: Path, said: list[str]) -> None:
    table = clips(tmp_path, TABLE)
    assert (len(table), said) == (8, []) and set(table["fold"]) == {0, 1}


@pytest.mark.parametrize("store", ["decoded", "source"])
@pytest.mark.parametrize("leave_out", [[], ["empty"]])
def test_parts_after_the_end_of_their_recording(
    store: str, leave_out: list[str], tmp_path: Path, said: list[str]
) -> None:
    rows = [f"x{i},{label},{s},{e}" for i, label, s, e in _parts(8)]
    rows += ["x0,cat,0.4,0.5", "x1,dog,7,8", "x2,cat,0.35,0.9", "x3,dog,0.3,0.45"]
    audio = {"sample_rate": 1000, "seconds": 0.1, "store": store}
    table = clips(
        tmp_path, "\n".join(["id,label,s,e", *rows]), PARTS, audio=audio, data={"leave_out": leave_out}
    )
    fold = dict(table.select("clip_id", "fold").rows())
    flags = dict(table.select("clip_id", "flags").rows())
    assert {name for name, number in fold.items() if number == -1} == {"a/x0.wav#0.4-0.5", "a/x1.wav#7-8"}
    assert {name for name in flags if "empty" in flags[name]} == {"a/x0.wav#0.4-0.5", "a/x1.wav#7-8"}
    assert [note for note in said if "after the end" in note] == [
        "train: 2 annotated parts start after the end of their recording: "
        "a/x0.wav from 0.4 s to 0.5 s, of 0.4 s",
        "train: 1 annotated part lies mostly after the end of its recording: "
        "a/x2.wav from 0.35 s to 0.9 s, of 0.4 s",
    ]


def _parts(count: int) -> list[tuple[int, str, float, float]]:
    return [(i, "dog" if i % 2 else "cat", 0.0, 0.1) for i in range(count)]


def test_outside() -> None:
    cuts = [Cut("whole"), Cut("in", 0, 1), Cut("edge", 1.5, 2.5), Cut("out", 1.6, 2.5), Cut("far", 9, 10)]
    assert [one.cut.clip_id for one in outside("x.wav", cuts, 2.0)] == ["out", "far"]
    assert outside("x.wav", cuts, 0.0) == []  # a file that cannot be read is named elsewhere


def test_overlapping_parts(tmp_path: Path, said: list[str]) -> None:
    rows = [f"x{i},{label},{s},{e}" for i, label, s, e in _parts(8)]
    rows += ["x0,dog,0.05,0.15", "x1,dog,0.05,0.15", "x2,dog,0.1,0.2"]  # other label; the same; no overlap
    text = "\n".join(["id,label,s,e", *rows])
    table = clips(tmp_path, text, PARTS, MULTI)
    assert len(table) == 11
    assert said == [
        "1 annotated part overlapping another with other labels: a/x0.wav from 0 s to 0.1 s and from 0.05 s "
        "to 0.15 s; if a part does not name all that is heard in it, set unnamed: unknown"
    ]
    said.clear()
    (tmp_path / "again").mkdir()
    unsure = clips(tmp_path / "again", text, {**PARTS, "unnamed": "unknown"}, MULTI)
    assert said == [] and set(unsure["masked"]) == {"cat", "dog"}


def test_labels_that_differ_from_a_class_in_case_are_named_where_there_is_a_filler(
    tmp_path: Path, said: list[str]
) -> None:
    text = TABLE.replace("x7,dog", "x7,Dog").replace("x6,cat", "x6,owl")
    clips(tmp_path, text, labels={**PLAIN, "filler": "other"})
    assert said == [
        "1 label of training clips outside labels.classes, 1 times: 'Dog'; they differ from classes in case "
        "alone, and are 'other'; labels.names renames them"
    ]


def test_labels_that_are_no_class(tmp_path: Path, said: list[str]) -> None:
    text = TABLE.replace("x7,dog", "x7,cow").replace("x6,cat", "x6,owl").replace("x5,dog", "x5,owl")
    table = clips(tmp_path, text)
    assert said == [
        "2 labels of training clips outside labels.classes, 3 times: 'owl', 'cow'; clips with them are not "
        "trained on"
    ]
    assert table.filter(pl.col("fold") == -1)["word"].sort().to_list() == ["cow", "owl", "owl"]


def test_labels_that_are_no_class_among_several(tmp_path: Path, said: list[str]) -> None:
    table = clips(tmp_path, TABLE.replace("x7,dog", "x7,dog;cow"), {**SET, "delimiter": ";"}, MULTI)
    assert table.filter(word="dog;cow")["label"].item() == "dog"
    assert len(said) == 1 and "1 label of training clips" in said[0] and "'cow'; these labels" in said[0]


def test_one_clip_with_two_labels(tmp_path: Path) -> None:
    with pytest.raises(
        KagglekitError, match=r"1 clip with several labels.*a/x0\.wav is 'cat' and 'dog'"
    ) as caught:
        clips(tmp_path, TABLE + "x0,dog\n")
    assert "labels.kind: multi" in str(caught.value.hint)


def test_a_class_without_a_recording(tmp_path: Path, said: list[str]) -> None:
    with pytest.raises(KagglekitError, match="no training clip for owl") as caught:
        clips(tmp_path, TABLE, labels={"classes": ["cat", "dog", "owl"]})
    assert "words found: cat, dog" in str(caught.value.hint)
    (tmp_path / "multi").mkdir()
    files = {"sample.csv": "id,cat,dog,owl\nt0,0,0,0\n"}
    three = {"kind": "multi", "classes": ["cat", "dog", "owl"]}
    assert len(clips(tmp_path / "multi", TABLE, labels=three, files=files)) == 8
    assert said == ["classes without a training clip: 1 (owl)"]


def test_given_folds_that_split_groups(tmp_path: Path, said: list[str]) -> None:
    rows = [f"x{i},{'dog' if i % 2 else 'cat'},{i // 4},{'ann' if i in (0, 7) else i}" for i in range(8)]
    rows[6] = "x6,cat,,6"
    table = clips(tmp_path, "\n".join(["id,label,part,who", *rows]), {**SET, "fold": "part", "group": "who"})
    assert table["fold"].to_list() == [0, 0, 0, 0, 1, 1, -2, 1]
    assert said == [
        "1 clip without a given fold: trained on in every fold",
        "1 group in several of the given folds: 'ann'",
    ]


def test_a_given_fold_without_a_clip_to_validate_on(tmp_path: Path) -> None:
    text = "id,label,part\n" + "".join(f"x{i},{'dog' if i % 2 else 'cat'},{i // 3}\n" for i in range(8))
    text = text.replace("x6,cat", "x6,owl").replace("x7,dog", "x7,owl")
    with pytest.raises(KagglekitError, match="the given fold '2' has no clip to validate on") as caught:
        clips(tmp_path, text, {**SET, "fold": "part"})
    assert caught.value.hint


def test_training_recordings_that_are_also_in_the_test(tmp_path: Path, said: list[str]) -> None:
    write(tmp_path / "own", {"b/y0.wav": wav(0, 400), "b/y1.wav": wav(50), "b/y2.wav": wav(51)})
    write(tmp_path / "own", {"t.csv": "id,label\ny0,cat\ny1,dog\ny2,cat\n"})
    own = {**SET, "files": "b/*.wav", "external": "own"}
    files = {"test/t0.wav": wav(50), "test/t1.wav": wav(1, 400), "sample.csv": "id,label\nt0,cat\nt1,cat\n"}
    workspace = dataset(tmp_path, {**FILES, "t.csv": TABLE, **files}, [SET, own], labels=PLAIN)
    table = prepare(workspace).clips.filter(split="train")
    fold = {path.rpartition("/")[2]: number for path, number in table.select("path", "fold").rows()}
    assert fold["x1.wav"] >= 0  # the host's own: counted, and kept
    assert (fold["y0.wav"], fold["y1.wav"], fold["y2.wav"]) == (-1, -1, -2)  # in train, in the test, in none
    assert said == [
        f"2 training recordings also in the test, the same bytes: 'a/x1.wav', '{tmp_path}/own/b/y1.wav'; "
        "leaving out the 1 clip of your own folders"
    ]


def test_parts_of_test_recordings(tmp_path: Path, said: list[str]) -> None:
    rows = "\n".join(["id,label,s,e", *(f"x{i},{label},{s},{e}" for i, label, s, e in _parts(8))])
    clips(tmp_path, rows, PARTS, files={"test/t0.wav": FILES["a/x3.wav"]})
    assert said == ["1 training recording also in the test, the same bytes: 'a/x3.wav'"]
