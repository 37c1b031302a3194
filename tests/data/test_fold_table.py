"""Folds from a table of ids and folds, as people share them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from support.tiny import make

from kagglekit.config.load import load_config
from kagglekit.config.validation import FoldTable
from kagglekit.data.fold_table import with_fold_table
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch

PATHS = ["train.zip/train/a.wav", "train.zip/train/b.wav", "train.zip/train/c.wav", "more/d.wav"]
ANNOTATIONS = pl.DataFrame(
    {"path": PATHS, "judged": [True] * 3 + [False], "fold": pl.Series([None] * 4, dtype=pl.String)}
)


def folds_of(tmp_path: Path, text: str, **settings: str) -> list[str | None]:
    path = tmp_path / "folds.csv"
    path.write_text(text)
    return with_fold_table(ANNOTATIONS, FoldTable(table=path, **settings))["fold"].to_list()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("id,fold\na.wav,0\nb.wav,1.0\nc.wav,\n", {}),
        ("fold;id\n0;a\n1;train/b\n;c\n1;b2\n", {}),
        ("n,name,kfold\n7,a,0\n8,b,1\n9,c,NaN\n", {"file": "name", "fold": "kfold"}),
        ("id,fold\na,0\na,0\nb,1\n", {}),
    ],
)
def test_a_table_gives_the_folds(text: str, settings: dict[str, str], tmp_path: Path) -> None:
    assert folds_of(tmp_path, text, **settings) == ["0", "1", None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,fold\na,0\na.wav,1\n", "'a'"),
        ("id,fold\na,0\na,1\n", "'a' has two folds, '0' and '1'"),
        ("id,split\na,0\n", "folds.csv has no column 'fold'"),
        ("fold\n0\n", "folds.csv has no column of ids"),
        (
            "id,fold\nx,0\ny,1\n",
            "gives no recording a fold: its ids look like 'x', files like 'train.zip/train/a.wav'",
        ),
        ("", "folds.csv"),
    ],
)
def test_what_is_no_table_of_folds(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(KagglekitError) as caught:
        folds_of(tmp_path, text)
    assert message in str(caught.value) and caught.value.hint


def test_prepare_takes_the_folds_and_sees_that_they_have_changed(tmp_path: Path) -> None:
    yaml, folds = make(tmp_path, speakers=4), tmp_path / "folds.csv"
    text = ["validation.given={table: folds.csv, file: clip}"]
    workspace = Workspace(load_config(yaml))
    fetch(workspace, open_host(workspace.config, workspace.root))
    clips = prepare(workspace).clips.filter((pl.col("split") == "train") & (pl.col("fold") >= 0))
    ids = clips.filter(pl.col("word").is_not_null())["clip_id"].to_list()
    for turn in range(2):
        rows = "".join(f"{one},{(place + turn) % 2}\n" for place, one in enumerate(ids))
        folds.write_text(f"clip,fold\n{rows}")
        made = prepare(Workspace(load_config(yaml, text))).clips
        of_clip = dict(made.filter(pl.col("split") == "train").select("clip_id", "fold").iter_rows())
        assert [of_clip[one] for one in ids] == [(place + turn) % 2 for place in range(len(ids))]


def test_folds_are_given_once(tmp_path: Path) -> None:
    yaml = tmp_path / "competition.yaml"
    yaml.write_text(
        "competition: {slug: any}\nlabels: {classes: [a, b]}\nvalidation: {given: {table: folds.csv}}\n"
        "data: {train: {files: t/*.wav, table: t.csv, file: id, label: l, fold: f}, test: {files: e/*.wav}}\n"
    )
    with pytest.raises(ConfigError, match="both give the folds"):
        load_config(yaml)
