"""A built notebook run offline, in time and out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.notebooks import linear_graph, read_csv

from kagglekit.config import Config
from kagglekit.ensemble.blends import Mean
from kagglekit.ensemble.fitted import FittedBlend
from kagglekit.ensemble.smoothing import ALONE, Smoothing
from kagglekit.errors import KagglekitError, SubmissionError
from kagglekit.files.atomic import write_json, write_text
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.sandbox import has_namespaces
from kagglekit.inference.manifest import MANIFEST, ManifestFile
from kagglekit.notebooks.build import notebook_config
from kagglekit.notebooks.folder import DATASET, KERNEL, OUTPUT, SCRIPT, BuildRecord, Built, finish, read_built
from kagglekit.notebooks.rehearse import rehearse
from kagglekit.notebooks.script import script
from kagglekit.notebooks.wheel import NAME, write_wheel
from kagglekit.scoring.task import Task

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RATE = 8000


def competition(folder: Path, **limits: object) -> Config:
    """Two recordings of 3 s that the host shows, of 200 in the hidden test."""
    files = folder / "mounted"
    (files / "test").mkdir(parents=True)
    for name in ("b", "a"):
        noise = np.random.default_rng(ord(name)).normal(0, 0.1, 3 * RATE)
        soundfile.write(files / "test" / f"{name}.ogg", noise, RATE)
    (files / "sample.csv").write_text("row_id,x,y\nz_1,0.5,0.5\n")
    limits = {"minutes": 9, "recordings": 200, "cores": 4, "memory_gb": 4, **limits}
    sections = {
        "competition": {
            **{"slug": "birds", "metric": "roc_auc_macro", "delivery": "notebook", "limits": limits}
        },
        "data": {
            **{"sample": "sample.csv", "train": {"files": "train/*"}, "test": {"files": "test/*.ogg"}},
            "mounted": files,
        },
        "audio": {"sample_rate": RATE, "seconds": 1},
        "rows": {"every": 1},
        "labels": {"kind": "multi", "classes": ["x", "y"]},
        "submission": {"id": "row_id"},
        "workspace": folder / "work",
    }
    return Config.model_validate(sections)


def built(folder: Path, config: Config, extra: str = "") -> Built:
    """A notebook of a matrix; `extra` are lines at the script's end before it predicts."""
    weights = np.random.default_rng(0).normal(0, 0.3, (RATE, 1, 2))
    task = Task.of(config)
    blend = FittedBlend(Mean(np.ones(1)), Smoothing(ALONE, 0.0, True), None, task).record()
    fields = {"members": ["gru/1"], "folds": 1, "blend": blend, "prior": [0.2, 0.3]}
    manifest = ManifestFile(key="k", config=notebook_config(config), **fields)
    (folder / DATASET).mkdir(parents=True)
    linear_graph(folder / DATASET / "graph_a.onnx", config, {"gru/1": weights})
    write_json(folder / DATASET / MANIFEST, vars(manifest))
    write_wheel(folder / DATASET)
    text = script("k", "kagglekit submit birds", "a matrix", "kagglekit-weights-birds", OUTPUT, "1", NAME)
    text = text.replace("sys.exit(main(", f"{extra}\nsys.exit(main(")
    write_text(folder / KERNEL / SCRIPT, text)
    record = BuildRecord(key="k", competition="birds", dataset="kagglekit-weights-birds", kernel="n")
    return finish(folder, record)


def test_a_rehearsal_says_how_long_the_hidden_test_takes(tmp_path: Path) -> None:
    config = competition(tmp_path, slowdown=2)
    notebook = built(tmp_path / "built", config)
    shown = rehearse(notebook, Workspace(config), recordings=12)
    record = shown.record
    assert record == read_built(notebook.path).rehearsal()
    assert shown.rows == {"visible": 6, "empty": 1, "large": 36}
    assert shown.recordings == {"visible": 2, "empty": 0, "large": 12}
    assert (record.recordings, record.limit) == (200, 9) and shown.fits
    assert record.factor == 2 * shown.cores / 4
    clock = record.clock
    each = sum(seconds for name, seconds in clock.items() if name != "start") / 12
    assert record.minutes == pytest.approx((2 * clock["start"] + 200 * each * record.factor) / 60, abs=0.006)
    assert read_csv(notebook.output("visible"))["row_id"].to_list() == [
        f"{s}_{t}" for s in "ab" for t in (1, 2, 3)
    ]
    assert read_csv(notebook.output("empty")).rows() == [("z_1", "0.5", "0.5")]
    assert shown.isolated is has_namespaces() and shown.unread == []


@pytest.mark.parametrize(
    ("limits", "extra", "said"),
    [
        ({"minutes": 0.05}, "time.sleep(60)", "had not finished after 0.05 minutes, the limit"),
        ({"memory_gb": 0.3}, "x = bytearray(4 * 10**8); time.sleep(5)", "used more than 0.3 GB of memory"),
        ({}, "raise ValueError('no luck')", "ended with code 1\n.*ValueError: no luck"),
        ({}, "sys.exit(0)", "wrote no submission"),
        ({}, "open(folder / 'x', 'w')", "Read-only file system"),
        ({}, "import socket; socket.create_connection(('192.0.2.1', 80), 2)", "Network is unreachable"),
    ],
)
def test_what_the_host_would_stop_is_stopped_here(
    tmp_path: Path, limits: dict[str, object], extra: str, said: str
) -> None:
    if not has_namespaces() and ("Read-only" in said or "Network" in said):
        pytest.skip("this machine allows no namespaces")
    config = competition(tmp_path, **limits)
    notebook = built(tmp_path / "built", config, extra)
    with pytest.raises(SubmissionError, match=f"(?s)the notebook with the visible test .*{said}"):
        rehearse(notebook, Workspace(config), recordings=0)
    assert read_built(notebook.path).rehearsal() is None


def test_nothing_to_measure_with(tmp_path: Path) -> None:
    config = competition(tmp_path)
    for path in (tmp_path / "mounted" / "test").iterdir():
        path.unlink()
    notebook = built(tmp_path / "built", config)
    with pytest.raises(KagglekitError, match="no recording to measure"):
        rehearse(notebook, Workspace(config), recordings=0)


def test_a_notebook_knows_no_path_of_this_machine(tmp_path: Path) -> None:
    config = competition(tmp_path)
    assert str(tmp_path) not in json.dumps(notebook_config(config))
