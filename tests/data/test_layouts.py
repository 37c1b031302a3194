"""One real data set, ESC-10, in the four layouts that competitions have: equal clips, labels and folds."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from support.dataset import write
from support.places import SHARED

from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch

ESC = SHARED / "data" / "esc-10"
EVERY = 4  # recordings: 80 of 320, all ten classes and all four folds
Files = Mapping[str, bytes]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Part of the files: recordings, the table, and a sample of the same test recordings."""
    if not (ESC / "audio_train.zip").is_file():
        pytest.skip("../shared/data/esc-10 is missing")
    content: dict[str, bytes] = {}
    for name in ("audio_train", "audio_test"):
        with zipfile.ZipFile(ESC / f"{name}.zip") as archive:
            for member in sorted(archive.namelist())[:: EVERY * (5 if name == "audio_test" else 1)]:
                content[member] = archive.read(member)
    names = {path.rpartition("/")[2] for path in content}
    for table in ("train.csv", "sample_submission.csv"):
        frame = pl.read_csv(ESC / table).filter(pl.col("fname").is_in(names))
        content[table] = frame.write_csv().encode()
    return content


def zipped(path: Path, files: Files) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def under(files: Files, start: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith(start)}


def clips(root: Path, train: str, test: str, table: str) -> pl.DataFrame:
    """The clips table of the local host's files in `root`/host, or of the bundle that was fetched."""
    (root / "host").mkdir(parents=True, exist_ok=True)
    (root / "solution.csv").write_text("id,label\nx,rain\n")
    fields = {"file": "fname", "label": "label", "group": "recording", "fold": "fold"}
    settings = {
        "competition": {
            "slug": "esc-10",
            "host": "local",
            "local": {"files": "host", "solution": "solution.csv"},
        },
        "data": {
            "sample": "sample_submission.csv",
            "train": {"files": train, "table": table, **fields},
            "test": {"files": test},
        },
        "audio": {"sample_rate": 16_000, "seconds": 1},
        "labels": {"classes": "from_labels"},
        "submission": {"shape": "label", "id": "fname"},
    }
    (root / "competition.yaml").write_text(json.dumps(settings))
    config = load_config(root / "competition.yaml")
    workspace = Workspace(config)
    if any((root / "host").iterdir()):
        fetch(workspace, open_host(config, workspace.root))
    else:
        (root / "esc-10.zip").rename(_folder(workspace.raw) / "esc-10.zip")
    prepared = prepare(workspace)
    assert len(prepared.task.classes) == 10 and prepared.config.validation.folds == 4
    return prepared.clips.drop("path")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_four_layouts(files: dict[str, bytes], tmp_path: Path) -> None:
    tables = {name: data for name, data in files.items() if name.endswith(".csv")}
    sample = under(files, "sample")
    train, test = under(files, "audio_train/"), under(files, "audio_test/")
    inside, beside, loose, bundle = (tmp_path / n for n in ("inside", "beside", "loose", "bundle"))

    zipped(inside / "host" / "audio_train.zip", {**train, "train.csv": files["train.csv"]})
    zipped(inside / "host" / "audio_test.zip", test)
    write(inside / "host", sample)

    zipped(beside / "host" / "audio_train.zip", train)
    zipped(beside / "host" / "audio_test.zip", test)
    write(beside / "host", tables)

    write(loose / "host", files)

    zipped(bundle / "esc-10.zip", files)

    archived = ("audio_train.zip/*/*.ogg", "audio_test.zip/*/*.ogg")
    plain = ("audio_train/*.ogg", "audio_test/*.ogg")
    first = clips(inside, *archived, "audio_train.zip/train.csv")
    assert first.equals(clips(beside, *archived, "train.csv"))
    assert first.equals(clips(loose, *plain, "train.csv"))
    assert first.equals(clips(bundle, *plain, "train.csv"))

    table = pl.read_csv(files["train.csv"], schema_overrides={"recording": pl.String})
    rows = first.filter(split="train").with_columns(fname=pl.col("clip_id").str.split("/").list.last())
    both = rows.join(table, on="fname", validate="1:1")
    assert len(both) == len(rows) == len(train) == 80
    used = both.filter(pl.col("fold") >= 0)  # but for duplicates
    assert both["word"].equals(both["label_right"]) and both["speaker"].equals(both["recording"])
    assert used["fold"].to_list() == [fold - 1 for fold in used["fold_right"]]
    assert len(first.filter(split="test")) == len(test) == 4
