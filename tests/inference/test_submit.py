"""From mounted recordings to submission.csv, by graphs that are matrices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from support.notebooks import data_set, read_csv

from kagglekit.config import Config
from kagglekit.inference.submit import FACTS, main
from kagglekit.terminal import console

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RATE, CLASSES = 8000, ("a", "b", "c")


def birds(**changes: object) -> Config:
    """Windows of half a second, several classes."""
    sections = {
        "competition": {"slug": "birds", "metric": "roc_auc_macro", "delivery": "notebook"},
        "data": {"sample": "sample.csv", "train": {"files": "t/*"}, "test": {"files": "test/*.ogg"}},
        "audio": {"sample_rate": RATE, "seconds": 0.5},
        "rows": {"every": 0.5},
        "labels": {"kind": "multi", "classes": list(CLASSES)},
        "submission": {"id": "row_id"},
    }
    return Config.model_validate(sections | changes)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The competition's folder, empty but for the sample."""
    folder = tmp_path / "input"
    (folder / "test").mkdir(parents=True)
    (folder / "sample.csv").write_text("row_id,a,b,c\nx_0.5,0.1,0.2,0.3\n")
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(folder))
    monkeypatch.setattr(console.Mode, "send", None)
    return folder


def record(path: Path, seconds: float, seed: int, rate: int = RATE) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    soundfile.write(path, noise, rate, format="FLAC", subtype="PCM_16")


def weights(seed: int, folds: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, (RATE // 2, folds, 3))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def expected(path: Path, row: int, runs: dict[str, np.ndarray]) -> np.ndarray:
    """The probabilities of a window, by hand."""
    samples, _ = soundfile.read(path, dtype="float64")
    window = np.zeros(RATE // 2)
    part = samples[row * RATE // 2 : (row + 1) * RATE // 2]
    window[: len(part)] = part
    folds = [sigmoid(np.einsum("s,sfc->fc", window, w)) for w in runs.values()]
    return np.mean(folds, axis=(0, 1))


def test_windows_of_recordings_are_blended(mounted: Path, tmp_path: Path) -> None:
    runs = {"gru/1": weights(1), "lstm/2": weights(2)}
    for number, seconds in enumerate((1.5, 40.0, 0.3, 1.7)):
        record(mounted / "test" / f"rec{number}.ogg", seconds, number)
    data_set(tmp_path / "data", birds(), runs, [0.1, 0.2, 0.3])
    assert main(tmp_path / "data", tmp_path / "submission.csv") == 0
    table = read_csv(tmp_path / "submission.csv")
    assert table.columns == ["row_id", *CLASSES]
    assert len(table) == 3 + 80 + 1 + 4 and table["row_id"].is_sorted()
    for name, row in (("rec0_1.5", 2), ("rec1_40", 79), ("rec2_0.5", 0), ("rec3_2", 3)):
        (values,) = table.filter(row_id=name).select(CLASSES).cast(pl.Float64).rows()
        path = mounted / "test" / f"{name.partition('_')[0]}.ogg"
        assert values == pytest.approx(tuple(expected(path, row, runs)), abs=1e-5)
    facts = json.loads((tmp_path / FACTS).read_text())
    assert facts["recordings"] == 4 and facts["unread"] == []
    assert set(facts["seconds"]) == {"start", "find", "predict", "blend", "write"}


def test_an_unreadable_recording_gets_the_prior(
    mounted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        record(mounted / "test" / f"rec{number}.ogg", 1.0, number)
    (mounted / "test" / "bad.ogg").write_bytes(b"no sound")
    (mounted / "test" / "empty.ogg").write_bytes(b"")
    data_set(tmp_path / "data", birds(), {"gru/1": weights(1)}, [0.1, 0.2, 0.3])
    assert main(tmp_path / "data", tmp_path / "submission.csv") == 0
    table = read_csv(tmp_path / "submission.csv")
    assert len(table) == 8  # each as many rows as the others have
    bad = table.filter(pl.col("row_id").str.starts_with("bad"))
    assert bad["row_id"].to_list() == ["bad_0.5", "bad_1"]
    assert bad.select(CLASSES).cast(pl.Float64).rows() == [(0.1, 0.2, 0.3)] * 2
    assert (
        "2 recordings cannot be read, 4 rows by the classes' shares: test/bad.ogg" in capsys.readouterr().out
    )


@pytest.mark.parametrize("has_sample", [True, False])
def test_an_empty_test_gives_the_sample_or_a_header(mounted: Path, tmp_path: Path, has_sample: bool) -> None:
    config = birds()
    if not has_sample:
        (mounted / "sample.csv").unlink()
    data_set(tmp_path / "data", config, {"gru/1": weights(1)}, [0.1, 0.2, 0.3])
    assert main(tmp_path / "data", tmp_path / "submission.csv") == 0
    rows = "x_0.5,0.1,0.2,0.3\n" if has_sample else ""
    assert (tmp_path / "submission.csv").read_text() == "row_id,a,b,c\n" + rows


def test_rows_of_the_sample_without_a_recording_get_the_prior(mounted: Path, tmp_path: Path) -> None:
    record(mounted / "test" / "rec0.ogg", 1.0, 0)
    (mounted / "sample.csv").write_text("row_id,a,b,c\nlost_0.5,0,0,0\nrec0_1,0,0,0\nrec0_0.5,0,0,0\n")
    data_set(tmp_path / "data", birds(), {"gru/1": weights(1)}, [0.1, 0.2, 0.3])
    assert main(tmp_path / "data", tmp_path / "submission.csv") == 0
    table = read_csv(tmp_path / "submission.csv")
    assert table["row_id"].to_list() == ["lost_0.5", "rec0_1", "rec0_0.5"]
    assert [float(table[name][0]) for name in CLASSES] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda data: (data / "manifest.json").write_text("{}"), "manifest.json cannot be read: key: Field"),
        (lambda data: (data / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda data: (data / "graph_linear.onnx").write_bytes(b"x"), "graph_linear.onnx cannot be read"),
        (lambda data: (data / "graph_linear.onnx").unlink(), "no graph in .* has the run gru/1"),
    ],
)
def test_a_damaged_data_set_is_explained(
    mounted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], break_it, said: str
) -> None:
    data_set(tmp_path / "data", birds(), {"gru/1": weights(1)}, [0.1, 0.2, 0.3])
    break_it(tmp_path / "data")
    assert main(tmp_path / "data", tmp_path / "submission.csv") == 1
    error = capsys.readouterr().err
    assert pl.Series([error]).str.contains(said)[0]
    assert "hint:  build and push the notebook again" in error
    assert not (tmp_path / "submission.csv").exists()
