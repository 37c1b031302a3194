"""What `prepare` decodes besides train and test: recordings without labels."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from support.dataset import dataset, wav

from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError
from kagglekit.terminal import console

FILES = {
    **{f"scapes/s{number}.wav": wav(number, 450) for number in range(6)},
    **{f"more/m{number}.wav": wav(20 + number) for number in range(2)},
    "t.csv": "id,label,s,e\n"
    + "".join(f"s{n},{label},0,0.1\n" for n, label in enumerate(("cat", "dog", "cat", "dog"))),
}
TRAIN = {"files": "scapes/*.wav", "table": "t.csv", "file": "id", "label": "label", "start": "s", "end": "e"}


def made(root: Path, unlabelled: object, **sections: object) -> Prepared:
    data = {} if unlabelled is None else {"unlabelled": unlabelled}
    workspace = dataset(root, FILES, TRAIN, data=data, labels={"classes": ["cat", "dog"]}, **sections)  # type: ignore[arg-type]
    return prepare(workspace)


def ids(prepared: Prepared, split: str = "unlabelled") -> list[str]:
    return prepared.clips.filter(pl.col("split") == split)["clip_id"].to_list()


def test_recordings_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    prepared = made(tmp_path, ["scapes/*.wav", "more/*.wav", "test/*.wav"])
    assert ids(prepared) == ["scapes/s4.wav", "scapes/s5.wav", "more/m0.wav", "more/m1.wav"]
    assert len(prepared.store("unlabelled")) == 4 and ids(prepared, "test") == ["t0.wav"]
    assert "data.unlabelled: 5 recordings left out, labelled or the test's\n" in capsys.readouterr().err
    assert set(training_rows(prepared.clips, 0, prepared.config, 0)["split"]) == {"train"}
    without = made(tmp_path, None)
    assert set(without.keys) == {"train", "test"} and ids(without) == []


def test_they_are_cut_as_the_rows_of_the_test(tmp_path: Path) -> None:
    rows = {"every": 0.1, "id": "{stem}_{end}"}
    sample = {"sample": None, "unlabelled": "scapes/*.wav"}
    workspace = dataset(tmp_path, FILES, TRAIN, data=sample, labels={"classes": ["cat", "dog"]}, rows=rows)
    assert ids(prepare(workspace))[:3] == [
        *("scapes/s4.wav#0-0.1", "scapes/s4.wav#0.1-0.2", "scapes/s4.wav#0.2-0.3"),
    ]


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match="no file matches 'gone/"):
        made(tmp_path, "gone/*.wav")
