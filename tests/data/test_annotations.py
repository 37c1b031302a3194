"""What folders, file names and tables say of recordings: the axes of competition.yaml, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.dataset import dataset, wav

from kagglekit.data.annotations import SCHEMA, read_train
from kagglekit.data.cuts import with_clip_ids
from kagglekit.errors import ConfigError, KagglekitError

AUDIO = wav(0)
FILES = {"audio/x1.wav": AUDIO, "audio/x2.wav": AUDIO, "audio/sub/x3.wav": AUDIO}
SET = {"files": "audio/**/*.wav", "table": "t.csv", "file": "id", "label": "label"}
MULTI = {"kind": "multi", "classes": "from_labels"}


def read(
    tmp_path: Path, table: str, keys: dict[str, Any] | None = None, files: dict[str, Any] | None = None
) -> pl.DataFrame:
    """The annotations of a table of x1, x2 and x3."""
    train = {**SET, **(keys or {})}
    workspace = dataset(
        tmp_path,
        {**FILES, "t.csv": table, **(files or {})},
        {key: value for key, value in train.items() if value != "-"},
        labels=MULTI,
    )
    return read_train(workspace)[1]


def named(annotations: pl.DataFrame, column: str = "present") -> dict[str, Any]:
    """File name without ending to a column's value."""
    names = annotations["path"].str.extract(r"([^/]+)\.wav$")
    return dict(zip(names, annotations[column].to_list(), strict=True))


EACH = {"x1": ["dog"], "x2": ["cat"], "x3": ["dog"]}


def test_the_schema(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label\nx1,dog\n")
    assert dict(table.schema) == SCHEMA
    row = table.row(0, named=True)
    assert row == {
        **dict.fromkeys(("start", "end", "group", "fold", "low", "high")),
        **{"absent": [], "masked": [], "soft": []},
        **{"path": "audio/x1.wav", "present": ["dog"], "soft_target": 0.5, "unknown": False},
        **{"weight": 1.0, "judged": True, "domain": "train", "external": False},
    }


@pytest.mark.parametrize(
    "ids",
    [
        ("x1.wav", "x2.wav", "x3.wav"),
        ("x1", "x2", "x3"),
        ("audio/x1.wav", "audio/x2.wav", "audio/sub/x3.wav"),
        ("audio/x1", "x2", "sub/x3"),
        ("x1.ogg", "x2.ogg", "sub/x3.ogg"),
        ("X/x1.wav", "X/x2.wav", "X/x3.wav"),
    ],
)
def test_ids_with_and_without_ending_and_folder(ids: Sequence[str], tmp_path: Path) -> None:
    rows = zip(ids, ("dog", "cat", "dog"), strict=True)
    assert named(read(tmp_path, "id,label\n" + "".join(f"{i},{c}\n" for i, c in rows))) == EACH


def test_a_part_of_the_file_name_is_the_id(tmp_path: Path) -> None:
    files = {"audio/10534_SSW.wav": AUDIO, "audio/00077_DSG.wav": AUDIO}
    keys = {"files": "audio/*_*.wav", "file_pattern": {"name": r"^(\d+)_"}}
    table = read(tmp_path, "id,label\n10534,dog\n77,cat\n", keys, files)
    assert named(table) == {"10534_SSW": ["dog"], "00077_DSG": ["cat"]}


def test_ids_by_way_of_another_table(tmp_path: Path) -> None:
    way = {"by_way_of": {"table": "names.txt", "id": "rec", "file": "filename"}}
    files = {"names.txt": "rec,filename\n0,x2\n1,x1\n2,x3\n"}
    assert named(read(tmp_path, "id,label\n1,dog\n0,cat\n2,dog\n", way, files)) == EACH


def test_no_label_field_but_the_path(tmp_path: Path) -> None:
    files = {"audio/dog/a.wav": AUDIO, "audio/cat/b.wav": AUDIO}
    by_folder = {"files": "audio/*/*.wav"}
    loose = dataset(tmp_path, files, by_folder, labels={"classes": ["dog", "cat"]})
    assert named(read_train(loose)[1]) == {"a": ["dog"], "b": ["cat"]}
    by_name = dataset(
        tmp_path,
        {"b/ann_dog_1.wav": AUDIO, "b/bob_cat_2.wav": AUDIO},
        {"files": "b/*.wav", "label": {"name": "_([a-z]+)_"}, "group": {"name": "^(.+?)_"}},
        labels={"classes": ["dog", "cat"]},
    )
    table = read_train(by_name)[1]
    assert named(table) == {"ann_dog_1": ["dog"], "bob_cat_2": ["cat"]}
    assert named(table, "group") == {"ann_dog_1": "ann", "bob_cat_2": "bob"}


@pytest.mark.parametrize("label", ["folder", {"name": r"^(\w)"}])
def test_the_label_of_the_path_with_a_table_of_the_rest(label: Any, tmp_path: Path) -> None:
    table = read(tmp_path, "id,who\nx1,ann\nx3,bob\n", {"label": label, "group": "who"})
    assert named(table, "group") == {"x1": "ann", "x3": "bob"}
    assert named(table) == (
        {"x1": ["audio"], "x3": ["sub"]} if label == "folder" else {"x1": ["x"], "x3": ["x"]}
    )


@pytest.mark.parametrize(
    ("cell", "keys", "labels"),
    [
        ('"dog,cat"', {"delimiter": ","}, ["dog", "cat"]),
        ("dog; cat ;", {"delimiter": ";"}, ["dog", "cat"]),
        ("dog cat dog", {"delimiter": " "}, ["dog", "cat"]),
        ("dog cat", {}, ["dog cat"]),
        ("\"['dog', 'cat']\"", {}, ["dog", "cat"]),
        ('"[dog, cat]"', {}, ["dog", "cat"]),
        ("\"['3', 4]\"", {}, ["3", "4"]),
        ("[]", {}, []),
        ("", {"delimiter": ","}, []),
    ],
)
def test_cells_of_labels(cell: str, keys: dict[str, str], labels: list[str], tmp_path: Path) -> None:
    assert named(read(tmp_path, f"id,label\nx1,{cell}\nx2,cow\n", keys))["x1"] == labels


def test_ragged_rows(tmp_path: Path) -> None:
    keys = {"ragged": True, "columns": ["id", "label"], "hidden": "?"}
    table = read(tmp_path, "x1,0,4\nx2\nx3,?\n", keys)
    assert named(table) == {"x1": ["0", "4"], "x2": []}  # x3 is hidden


def test_one_column_for_each_class(tmp_path: Path) -> None:
    keys = {"label": "-", "group": "who", "where": {"ok": 1}, "secondary": {"column": "more", "as": "soft"}}
    keys["label"] = None
    table = read(tmp_path, "id,who,ok,more,dog,cat\nx1,a,1,cow,1,0\nx2,b,1,,1,1.0\nx3,c,0,,1,1\n", keys)
    assert named(table) == {"x1": ["dog"], "x2": ["dog", "cat"]}
    assert named(table, "soft") == {"x1": ["cow"], "x2": []}


def test_rows_of_id_and_class(tmp_path: Path) -> None:
    rows = "id,label,there\nx1,dog,1\nx1,cat,0\nx1,cow,1\nx2,cat,True\nx2,cow,1\n"
    table = read(tmp_path, rows, {"where": {"there": 1}})
    assert named(table) == {"x1": ["dog", "cow"], "x2": ["cow"]}
    assert len(table) == 2


@pytest.mark.parametrize(
    ("kind", "present", "masked", "soft"),
    [("masked", ["dog"], ["cat", "cow"], []), ("soft", ["dog"], [], ["cat", "cow"]), ("positive", ["dog", "cat", "cow"], [], [])],
)  # fmt: skip
def test_secondary_labels(
    kind: str, present: list[str], masked: list[str], soft: list[str], tmp_path: Path
) -> None:
    keys = {"secondary": {"column": "more", "as": kind, "target": 0.3}}
    table = read(tmp_path, "id,label,more\nx1,dog,\"['cat', 'dog', 'cow']\"\nx2,cat,[]\n", keys)
    row, other = table.rows(named=True)
    assert (row["present"], row["masked"], row["soft"]) == (present, masked, soft)
    assert (other["present"], other["masked"], other["soft"]) == (["cat"], [], [])
    assert row["soft_target"] == 0.3


def test_delimited_secondary_labels(tmp_path: Path) -> None:
    keys = {"secondary": {"column": "more", "as": "masked"}}
    assert named(read(tmp_path, "id,label,more\nx1,dog,cat cow\n", keys), "masked") == {"x1": ["cat", "cow"]}


TIMES = ("1.5,3,", "0:01.5,0:00:03,", "0:00:01.500,3.0,")


@pytest.mark.parametrize("row", TIMES)
def test_parts_with_start_and_end(row: str, tmp_path: Path) -> None:
    keys = {"start": "s", "end": "e", "low": "lo", "high": "hi"}
    table = read(tmp_path, f"id,s,e,label,lo,hi\nx1,{row}dog,200,4e2\nx1,5,6,cat,,\n", keys)
    columns = table.select("start", "end", "present", "low", "high").rows()
    assert columns == [(1.5, 3.0, ["dog"], 200.0, 400.0), (5.0, 6.0, ["cat"], None, None)]


@pytest.mark.parametrize(
    ("keys", "times"),
    [({"start": "t", "length": 5}, [(3.0, 8.0), (10.0, 15.0)]), ({"end": "t", "length": 5}, [(0.0, 3.0), (5.0, 10.0)])],
)  # fmt: skip
def test_one_of_start_and_end(keys: dict[str, Any], times: list[tuple[float, float]], tmp_path: Path) -> None:
    assert read(tmp_path, "id,t,label\nx1,3,dog\nx1,10,cat\n", keys).select("start", "end").rows() == times


def test_labels_of_one_part_are_united(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "id,e,label\nx1,5,dog;cow\nx1,5,cat\nx1,10,cat\n",
        {"end": "e", "length": 5, "delimiter": ";"},
    )
    assert table.select("end", "present").rows() == [(5.0, ["dog", "cow", "cat"]), (10.0, ["cat"])]


def test_absent_labels_and_unknown_others(tmp_path: Path) -> None:
    keys = {"positive": False, "unnamed": "unknown"}
    row = read(tmp_path, "id,label\nx1,dog\n", keys).row(0, named=True)
    assert (row["present"], row["absent"], row["unknown"]) == ([], ["dog"], True)


def test_hidden_rows_are_no_annotations(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label,w\nx1,?,1\nx2,cat,2\n", {"hidden": "?", "weight": "w"})
    assert (named(table), named(table, "weight")) == ({"x2": ["cat"]}, {"x2": 2.0})


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"ok": 1}, ["x1", "x3"]),
        ({"ok": "1.0"}, ["x1", "x3"]),
        ({"kind": "Train"}, ["x1", "x2"]),
        ({"ok": 1, "kind": "train"}, ["x1"]),
        ({"kind": False}, ["x3"]),
    ],
)
def test_where(where: dict[str, Any], kept: list[str], tmp_path: Path, said: list[str]) -> None:
    table = read(
        tmp_path, "id,label,ok,kind\nx1,dog,1,train\nx2,cat,0,TRAIN\nx3,dog,1.0,false\n", {"where": where}
    )
    assert list(named(table)) == kept
    assert said == []  # files without a chosen row are no surprise


def test_groups_folds_and_weights(tmp_path: Path) -> None:
    keys = {"group": "who", "fold": "part", "weight": "w"}
    table = read(tmp_path, "id,label,who,part,w\nx1,dog,ann,1,0.5\nx2,cat,bob,2,1e1\n", keys)
    assert named(table, "group") == {"x1": "ann", "x2": "bob"}
    assert named(table, "fold") == {"x1": "1", "x2": "2"}
    assert named(table, "weight") == {"x1": 0.5, "x2": 10.0}
    by_folder = read(tmp_path, "id,label\nx1,dog\nx3,cat\n", {"group": "folder", "fold": {"name": r"(\d)"}})
    assert named(by_folder, "group") == {"x1": "audio", "x3": "sub"}
    assert named(by_folder, "fold") == {"x1": "1", "x3": "3"}


def test_several_sets_of_different_trust(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    (own / "a").mkdir(parents=True)
    (own / "a" / "x1.wav").write_bytes(AUDIO)
    (own / "t.csv").write_text("id,label\nx1,cow\n")
    files = {
        **FILES,
        "t.csv": "id,label\nx1,dog\n",
        "noisy.csv": "id,label\nx2,cat\n",
        "test.csv": "id,label\nx3,cat\n",
    }
    train = [
        SET,
        {**SET, "table": "noisy.csv", "weight": 0.3, "validate": False},
        {**SET, "table": "test.csv", "domain": "test"},
        {**SET, "files": "a/*.wav", "external": "mine"},
        {**SET, "files": "a/*.wav", "external": "mine", "validate": True},
    ]
    sets, table = read_train(dataset(tmp_path, files, train[:4]))
    assert [len(files) for files in sets] == [3, 3, 3, 1]
    columns = table.select("path", "present", "weight", "judged", "domain", "external").rows()
    assert columns == [
        ("audio/x1.wav", ["dog"], 1.0, True, "train", False),
        ("audio/x2.wav", ["cat"], 0.3, False, "train", False),
        ("audio/sub/x3.wav", ["cat"], 1.0, True, "test", False),
        (f"{own}/a/x1.wav", ["cow"], 1.0, False, "train", True),
    ]
    _, chosen = read_train(dataset(tmp_path, files, [train[0], train[4]]))
    assert chosen["judged"].to_list() == [True, True]


def test_one_recording_with_two_weights_or_groups_is_named(tmp_path: Path, said: list[str]) -> None:
    files = {**FILES, "t.csv": "id,label,who\nx1,dog,ann\nx1,cat,bob\n", "noisy.csv": "id,label\nx1,cow\n"}
    train = [{**SET, "group": "who"}, {**SET, "table": "noisy.csv", "weight": 0.3}]
    table = read_train(dataset(tmp_path, files, train, labels=MULTI))[1]
    assert table.select("present", "group", "weight").rows() == [(["dog", "cat", "cow"], "ann", 1.0)]
    differing = [note for note in said if "with rows of another" in note]
    assert differing == [
        "1 recording with rows of another group, such as audio/x1.wav (ann and bob): the first counts",
        "1 recording with rows of another weight, such as audio/x1.wav (1 and 0.3): the first counts",
    ]


def test_a_field_says_which_are_the_test(tmp_path: Path) -> None:
    files = {"all/train_1.wav": AUDIO, "all/test_2.wav": AUDIO, "all/val_3.wav": AUDIO}
    keys = {"files": "all/*.wav", "split": {"name": "^(.+?)_"}, "label": "folder", "table": "-", "file": "-"}
    assert set(named(read(tmp_path, "", keys, files))) == {"train_1", "val_3"}
    table = "id,label,part\nx1,dog,train\nx2,cat,test\nx3,cow,\n"
    assert named(read(tmp_path, table, {"split": "part"})) == {"x1": ["dog"]}


def test_two_sets_of_the_same_part(tmp_path: Path) -> None:
    """RFCX: what is there, what is not, and nothing of the rest."""
    box = {
        "files": "audio/*.wav",
        "file": "id",
        "start": "s",
        "end": "e",
        "label": "label",
        "unnamed": "unknown",
    }
    files = {
        **FILES,
        "tp.csv": "id,s,e,label\nx1,0,1,3\nx2,0,1,4\n",
        "fp.csv": "id,s,e,label\nx1,0,1,5\nx1,1,2,3\n",
    }
    train = [{**box, "table": "tp.csv"}, {**box, "table": "fp.csv", "positive": False}]
    table = read_train(dataset(tmp_path, files, train, labels=MULTI))[1]
    assert table.select("path", "start", "present", "absent", "unknown").rows() == [
        ("audio/x1.wav", 0.0, ["3"], ["5"], True),
        ("audio/x2.wav", 0.0, ["4"], [], True),
        ("audio/x1.wav", 1.0, [], ["3"], True),
    ]
    ids = with_clip_ids(table)
    assert ids["clip_id"].to_list() == ["audio/x1.wav#0-1", "audio/x2.wav#0-1", "audio/x1.wav#1-2"]
    assert ids["group"].to_list() == ["audio/x1.wav", "audio/x2.wav", "audio/x1.wav"]


def test_rows_without_files_and_files_without_rows_are_counted_and_named(
    tmp_path: Path, said: list[str]
) -> None:
    table = read(tmp_path, "id,label\nx1,dog\ngone,cat\nlost,cat\n,cow\n")
    assert named(table) == {"x1": ["dog"]}
    assert said == [
        "t.csv: 2 ids without a file: 'gone', 'lost'",
        "audio/**/*.wav: 2 files without a row: 'audio/sub/x3.wav', 'audio/x2.wav'",
        "t.csv: 1 row without a file's name or id",
    ]


def test_parts_that_end_before_they_start_are_counted_and_left_out(tmp_path: Path, said: list[str]) -> None:
    table = read(tmp_path, "id,s,e,label\nx1,0,1,dog\nx2,3,2,cat\nx3,1,1,cat\n", {"start": "s", "end": "e"})
    assert named(table) == {"x1": ["dog"]}
    assert said == [
        "t.csv: leaving out 2 annotated parts with an end before its start: audio/x2.wav from 3 s to 2 s"
    ]


def test_files_of_no_name_are_counted(tmp_path: Path, said: list[str]) -> None:
    files = {"b/ann_dog.wav": AUDIO, "b/odd.wav": AUDIO}
    train = {"files": "b/*.wav", "label": {"name": "_([a-z]+)"}, "group": {"name": "^(who)"}}
    assert named(read_train(dataset(tmp_path, files, train))[1]) == {"ann_dog": ["dog"], "odd": []}
    assert said == [
        "1 file name without a label (_([a-z]+)): 'b/odd.wav'",
        "2 file names without a group (^(who)): 'b/ann_dog.wav', 'b/odd.wav'",
    ]


WRONG = [
    ("id,label\nnone,dog\n", {}, r"no row of 't.csv' means one of 3 files \('none'\)"),
    ("id,label\nx1,dog\nx1.wav,cat\n", {}, "'x1' and 'x1.wav' both mean the file 'audio/x1.wav'"),
    ("id,label\nx1,dog\n", {"label": "lable"}, "no column 'lable'"),
    ("id,label\nx1,dog\n", {"file": "fname"}, "no column 'fname'"),
    ("id,label\nx1,dog\n", {"group": "who"}, r"no column 'who' \(group\)"),
    ("id,label\nx1,dog\n", {"where": {"ok": 1}}, "no column 'ok'"),
    ("id,label\nx1,dog\n", {"secondary": {"column": "more", "as": "soft"}}, "no column 'more'"),
    ("id,label,s,e\nx1,dog,a,2\n", {"start": "s", "end": "e"}, "column 's' has the cell 'a'"),
    ("id,label,s,e\nx1,dog,-1,2\n", {"start": "s", "end": "e"}, "-1 is not a time in seconds"),
    ("id,label,s,e\nx1,dog,nan,2\n", {"start": "s", "end": "e"}, "1 row with only one of start and end"),
    ("id,label,s,e\nx1,dog,1,\n", {"start": "s", "end": "e"}, "1 row with only one of start and end"),
    ("id,label,s,e\nx1,dog,2,1\n", {"start": "s", "end": "e"}, "each annotated part ends before it starts"),
    ("id,label,w\nx1,dog,heavy\n", {"weight": "w"}, "column 'w' has the cell 'heavy': 'heavy' is no number"),
    ("id;label;w\nx1;dog;0,5\n", {"weight": "w"}, "'0,5' is no number; write a point instead of the comma"),
    ("id,label,w\nx1,dog,-1\n", {"weight": "w"}, "-1 is no number from 0 to"),
    ("id,label,w\nx1,dog,inf\n", {"weight": "w"}, "inf is no number from 0 to"),
    ("id,label,w\nx1,dog,\n", {"weight": "w"}, "column 'w' has the cell ''"),
    ("id,label,w\nx1,dog,1e300\n", {"weight": "w"}, "1e300 is no number from 0 to"),
    ("id,label,w\nx1,dog,0\nx2,cat,0.0\n", {"weight": "w"}, "each weight by 'w' is 0"),
    ("id,label\nx1,[{}]\n", {}, "is not a list of labels"),
    ("id,label\nx,dog\n", {"file_pattern": {"name": "^(x)"}}, "'x' of 't.csv' means two files: 'audio/sub/x3.wav' and 'audio/x1.wav'"),
    ("id,label\nx1,dog\n", {"label": {"name": "(dog)"}}, r"the label '\(dog\)' matches no file name"),
    ("id,label\nfoldA/x1,dog\nfoldB/x1,cat\n", {}, "the ids 'foldA/x1' and 'foldB/x1' both mean the file 'audio/x1.wav'"),
    ("id,label\n1,dog\n", {"by_way_of": {"table": "t.csv", "id": "rec", "file": "id"}}, "no column 'rec'"),
    ("id,label\nx1,dog\nx1,cat\n", {"by_way_of": {"table": "t.csv", "id": "id", "file": "label"}}, "the id 'x1' means several files"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "keys", "message"), WRONG)
def test_wrong_tables(table: str, keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match=message) as caught:
        read(tmp_path, table, keys)
    assert caught.value.hint


def test_an_id_of_two_files_shows_both(tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match=r"'x1' fits 2 files: 'audio/sub/x1\.wav', 'audio/x1\.wav'"):
        read(tmp_path, "id,label\nx1,dog\n", files={"audio/sub/x1.wav": AUDIO})


def test_the_same_name_in_two_folders_stays_two_files(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label\nsub/x1,dog\naudio/x1,cat\n", files={"audio/sub/x1.wav": AUDIO})
    assert dict(table.select("path", "present").rows()) == {
        "audio/sub/x1.wav": ["dog"],
        "audio/x1.wav": ["cat"],
    }


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file matches 'gone\.csv'"):
        read(tmp_path, "id,label\nx1,dog\n", {"table": "gone.csv"})
