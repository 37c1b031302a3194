"""Classes, their names and folds, as competition.yaml leaves them to the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.dataset import dataset, wav

from kagglekit.data.annotations import read_train
from kagglekit.data.classes import given_folds, named, resolve, spelled
from kagglekit.data.expected_rows import sample_table
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.wanted import host_files

FILES = {"a/x1.wav": wav(0), "a/x2.wav": wav(1), "a/x3.wav": wav(2)}
SET = {"files": "a/*.wav", "table": "t.csv", "file": "id", "label": "label", "delimiter": ";"}
TABLE = "id,label\nx1,10\nx2,9;2\nx3,b;nocall\n"


def classes(
    tmp_path: Path, labels: dict[str, Any], files: dict[str, str] | None = None, **sections: Any
) -> tuple[str, ...]:
    kind = {} if labels.get("kind") == "single" else {"kind": "multi"}
    contents = {**FILES, "t.csv": TABLE, **(files or {})}
    workspace = dataset(tmp_path, contents, SET, labels={**kind, **labels}, **sections)
    annotations = named(workspace, read_train(workspace)[1])
    return resolve(workspace, annotations).config.labels.targets


def test_a_list(tmp_path: Path) -> None:
    assert classes(tmp_path, {"classes": ["b", "10"]}) == ("b", "10")


def test_from_labels(tmp_path: Path) -> None:
    assert classes(tmp_path, {"classes": "from_labels"}) == ("2", "9", "10", "b", "nocall")
    assert classes(tmp_path, {"classes": "from_labels", "none": "nocall"}) == ("2", "9", "10", "b")


def test_auxiliary_classes_are_the_other_labels(tmp_path: Path) -> None:
    def auxiliary(labels: dict[str, Any]) -> tuple[str, ...] | None:
        workspace = dataset(tmp_path, {**FILES, "t.csv": TABLE}, SET, labels={"kind": "multi", **labels})
        return resolve(workspace, named(workspace, read_train(workspace)[1])).config.labels.auxiliary

    some = {"classes": ["b", "10"], "none": "nocall"}
    assert auxiliary(some) is None
    assert auxiliary({**some, "auxiliary": "from_labels"}) == ("2", "9")
    assert auxiliary({**some, "auxiliary": ["9"]}) == ("9",)
    with pytest.raises(ConfigError, match=r"data\.train has no label besides the 4 classes"):
        auxiliary({"classes": "from_labels", "none": "nocall", "auxiliary": "from_labels"})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"kind": "multi", "classes": ["a"], "auxiliary": ["a"]}, "duplicate labels: a"),
        ({"kind": "single", "classes": ["a", "b"], "auxiliary": ["c"]}, "auxiliary needs kind multi"),
        (
            {"kind": "multi", "classes": ["a"], "auxiliary": "from_sample"},
            r"from_labels or .*not 'from_sample'",
        ),
        ({"kind": "multi", "classes": ["a"], "auxiliary": 3}, "not 3"),
    ],
)
def test_auxiliary_classes_that_cannot_be(tmp_path: Path, labels: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset(tmp_path, {**FILES, "t.csv": TABLE}, SET, labels=labels)


def test_no_value_is_no_class(tmp_path: Path) -> None:
    table = "id,label\nx1,dog\nx2,NA\nx3,none\n"
    assert classes(tmp_path, {"classes": "from_labels"}, {"t.csv": table}) == ("dog", "none")


def test_the_table_of_auxiliary_classes_is_fetched(tmp_path: Path) -> None:
    labels = {"kind": "multi", "classes": ["b"], "auxiliary": {"table": "more.csv", "column": "name"}}
    workspace = dataset(tmp_path, {**FILES, "t.csv": TABLE, "more.csv": "name\n9\nb\n"}, SET, labels=labels)
    assert "more.csv" in host_files(workspace.config)
    assert resolve(workspace, named(workspace, read_train(workspace)[1])).config.labels.auxiliary == ("9",)


def test_absent_labels_are_classes_too(tmp_path: Path) -> None:
    workspace = dataset(
        tmp_path,
        {**FILES, "t.csv": TABLE, "fp.csv": "id,label\nx1,zebra\n"},
        [SET, {**SET, "table": "fp.csv", "positive": False, "unnamed": "unknown"}],
        labels={"kind": "multi", "classes": "from_labels"},
    )
    assert resolve(workspace, read_train(workspace)[1]).config.labels.targets[-1] == "zebra"


def test_from_the_samples_columns(tmp_path: Path) -> None:
    files = {"sample.csv": "id,b,10,9\nt0,0,0,0\n"}
    assert classes(tmp_path, {"classes": "from_sample"}, files) == ("b", "10", "9")


def test_from_the_samples_labels(tmp_path: Path) -> None:
    labels = {"kind": "single", "classes": "from_sample", "filler": "other"}
    files = {"sample.csv": "id,label\nt0,dog\nt1,cat\nt2,dog\nt3,other\n", "t.csv": "id,label\nx1,dog\n"}
    assert classes(tmp_path, labels, files, competition={"slug": "tiny"}) == ("cat", "dog")


def test_a_sample_that_repeats_one_label(tmp_path: Path) -> None:
    labels = {"kind": "single", "classes": "from_sample"}
    files = {"sample.csv": "id,label\nt0,dog\nt1,dog\n", "t.csv": "id,label\nx1,dog\n"}
    with pytest.raises(ConfigError, match="only the class 'dog'") as caught:
        classes(tmp_path, labels, files)
    assert "from_labels" in str(caught.value.hint)


def test_a_table_and_a_json_list(tmp_path: Path) -> None:
    files = {"birds.csv": "code,name\nb,Bee\n9,Nine\nb,Bee 2\n", "scored.json": '["9", "b"]'}
    table = {"classes": {"table": "birds.csv", "column": "code"}}
    assert classes(tmp_path, table, files) == ("b", "9")
    assert classes(tmp_path, {"classes": {"table": "scored.json"}}, files) == ("9", "b")


@pytest.mark.parametrize(
    ("listed", "content", "message"),
    [
        ({"table": "l.csv", "column": "kode"}, "code\nb\n", r"l\.csv has no column 'kode'"),
        ({"table": "l.json"}, "{", r"l\.json is no JSON list"),
        ({"table": "l.json"}, '{"b": 1}', "is no JSON list of names"),
        ({"table": "l.json"}, "[1, 2]", "is no JSON list of names"),
        ({"table": "l.json"}, "[]", "gives no class"),
        ({"table": "gone.json"}, "[]", r"no file matches 'gone\.json'"),
    ],
)
def test_wrong_lists(listed: dict[str, str], content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match=message) as caught:
        classes(tmp_path, {"classes": listed}, {"l.csv": content, "l.json": content})
    assert caught.value.hint


def test_a_class_with_the_separator(tmp_path: Path) -> None:
    files = {"scored.json": '["a;b", "b"]'}
    with pytest.raises(ConfigError, match="the class 'a;b' contains ';'"):
        classes(tmp_path, {"classes": {"table": "scored.json"}}, files)


def names(tmp_path: Path, labels: dict[str, Any], files: dict[str, str] | None = None) -> list[list[str]]:
    """The labels of x1, x2 and x3."""
    contents = {**FILES, "t.csv": TABLE, **(files or {})}
    workspace = dataset(
        tmp_path, contents, SET, labels={"kind": "multi", "classes": ["a", "b"], "none": "nocall", **labels}
    )
    return named(workspace, read_train(workspace)[1])["present"].to_list()


def test_names(tmp_path: Path) -> None:
    assert names(tmp_path, {}) == [["10"], ["9", "2"], ["b"]]
    assert names(tmp_path, {"names": "s{label}"}) == [["s10"], ["s9", "s2"], ["sb"]]
    table = {"names": {"table": "n.csv", "label": "number", "name": "name"}}
    files = {"n.csv": "number,name\n10,Owl\n9,Wren\n2,Wren\nb,\n"}
    assert names(tmp_path, table, files) == [["Owl"], ["Wren"], ["b"]]  # two labels of one name are one


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("number,title\n9,Wren\n", "no column 'name'"),
        ("nr,name\n9,Wren\n", "no column 'number'"),
        ("number,name\n9,Wren\n9,Owl\n", "gives the label '9' two names"),
    ],
)
def test_wrong_tables_of_names(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        names(tmp_path, {"names": {"table": "n.csv", "label": "number", "name": "name"}}, {"n.csv": content})
    assert caught.value.hint


def folds(*names: str | None, judged: bool = True) -> pl.DataFrame:
    return pl.DataFrame({"fold": pl.Series(names, dtype=pl.String), "judged": [judged] * len(names)})


def test_given_folds() -> None:
    assert given_folds(folds("2", "1", "10", None)) == {"1": 0, "2": 1, "10": 2}
    assert given_folds(folds("south", "north", "north")) == {"north": 0, "south": 1}
    assert given_folds(folds(None, None)) == given_folds(folds("1", "2", judged=False)) == {}
    with pytest.raises(ConfigError, match="all recordings are in fold '1'"):
        given_folds(folds("1", "1", None))


def test_the_number_of_folds_is_the_given_ones(tmp_path: Path) -> None:
    table = "id,label,part\nx1,a,n\nx2,b,s\nx3,a,w\n"
    contents = {**FILES, "t.csv": table}
    labels = {"classes": ["a", "b"]}
    workspace = dataset(tmp_path, contents, {**SET, "delimiter": None, "fold": "part"}, labels=labels)
    assert resolve(workspace, read_train(workspace)[1]).config.validation.folds == 3
    plain = dataset(tmp_path, contents, {**SET, "delimiter": None}, labels=labels)
    assert resolve(plain, read_train(plain)[1]) is plain


def test_the_sample_as_a_table(tmp_path: Path) -> None:
    workspace = dataset(tmp_path, FILES, {"files": "a/*.wav"})
    table = sample_table(workspace)
    assert table is not None and table.frame.to_dicts() == [{"id": "t0.wav", "label": "cat"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.json", "[" * 100_000, "is no JSON list"),
        ("c.json", "[]", r"labels\.classes: c\.json gives no class"),
        ("c.json", '["b", " 10"]', "the class ' 10' is empty, or begins or ends with a space"),
    ],
)
def test_lists_that_are_none(name: str, content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        classes(tmp_path, {"classes": {"table": name}}, {name: content})


def test_labels_of_another_unicode_form(tmp_path: Path) -> None:
    table = "id,label\nx1,tu\u0308r\nx2,t\u00fcr;b\n"  # NFD, as macOS names folders, and NFC
    for name in ("t\u00fcr", "tu\u0308r"):
        workspace = dataset(
            tmp_path, {**FILES, "t.csv": table}, SET, labels={"kind": "multi", "classes": ["b", name]}
        )
        annotations = named(workspace, read_train(workspace)[1])
        assert spelled(annotations, workspace.config.labels)["present"].to_list() == [[name], [name, "b"]]
