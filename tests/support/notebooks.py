"""Built notebooks for tests, and the mounts that a host's notebook finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kagglekit.config import Config
from kagglekit.ensemble.blends import Mean
from kagglekit.ensemble.fitted import FittedBlend
from kagglekit.ensemble.smoothing import ALONE, Smoothing
from kagglekit.files.atomic import write_json
from kagglekit.inference.manifest import MANIFEST, ManifestFile
from kagglekit.notebooks.build import notebook_config
from kagglekit.scoring.task import Task

REFUSED = ("torch", "transformers", "datasets", "optuna", "kaggle", "rich", "py7zr", "pyarrow", "sklearn")
"""Packages that a notebook must do without."""
_REFUSING = f"""
import sys
from importlib.machinery import ModuleSpec
class Refusing:
    def find_spec(self, name, path=None, target=None):  # polars asks which packages there are
        return ModuleSpec(name, self) if name in {REFUSED!r} else None
    def create_module(self, spec):
        raise ImportError(spec.name + " is refused", name=spec.name)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Refusing())
"""


def linear_graph(path: Path, config: Config, runs: dict[str, np.ndarray], rate: int | None = None) -> None:
    """Write a graph whose runs' logits are waveform @ weights, (samples, folds, classes) each."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, outputs, members = [], [], [], []
    for number, (run, values) in enumerate(runs.items()):
        samples, folds, classes = values.shape
        flat = values.reshape(samples, -1).astype(np.float32)
        weights.append(numpy_helper.from_array(flat, f"w{number}"))
        weights.append(numpy_helper.from_array(np.array([-1, folds, classes]), f"s{number}"))
        nodes.append(helper.make_node("MatMul", ["waveform", f"w{number}"], [f"m{number}"]))
        nodes.append(helper.make_node("Reshape", [f"m{number}", f"s{number}"], [f"logits_{number}"]))
        shape = ["batch", folds, classes]
        outputs.append(helper.make_tensor_value_info(f"logits_{number}", TensorProto.FLOAT, shape))
        member = {"run": run, "output": f"logits_{number}", "folds": folds, "by_fold": True}
        members.append({**member, "pool": config.rows.pool})
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", samples])
    graph = helper.make_graph(nodes, "linear", [waveform], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    facts: dict[str, Any] = {"sample_rate": rate or config.audio.sample_rate, "samples": samples}
    facts |= {"classes": config.labels.all_classes, "kind": str(config.labels.kind), "members": members}
    for name, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value)
    onnx.save(model, str(path))


def data_set(folder: Path, config: Config, runs: dict[str, np.ndarray], prior: list[float]) -> None:
    """Write a data set of a plain mean of linear graphs."""
    folder.mkdir(parents=True)
    task, count = Task.of(config), len(runs)
    fitted = FittedBlend(Mean(np.full(count, 1 / count)), Smoothing(ALONE, 0.0, task.multi), None, task)
    folds = next(iter(runs.values())).shape[1]
    fields = {"members": list(runs), "folds": folds, "blend": fitted.record(), "prior": prior}
    manifest = ManifestFile(key="key", config=notebook_config(config), **fields)
    write_json(folder / MANIFEST, {name: getattr(manifest, name) for name in manifest.__dataclass_fields__})
    linear_graph(folder / "graph_linear.onnx", config, runs)


def run_script(script: Path, kaggle: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Run a built script as a notebook does, without the packages that it must do without.

    `kaggle` stands for /kaggle.
    """
    work.mkdir(parents=True, exist_ok=True)
    (work.parent / "refusing").mkdir(exist_ok=True)
    (work.parent / "refusing" / "sitecustomize.py").write_text(_REFUSING)
    variables = {
        "KAGGLEKIT_KAGGLE": str(kaggle),
        "PYTHONPATH": str(work.parent / "refusing"),
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, str(script)]
    return subprocess.run(
        command, cwd=work, env=variables, capture_output=True, text=True, timeout=120, check=False
    )


def read_csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)
