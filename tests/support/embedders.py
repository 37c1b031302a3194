"""A small ONNX network that hears pitch: the energy in bands of a window of a quarter of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE, SAMPLES, BANDS = 16_000, 4000, 24
INNER, OUTPUT = "embedding", "classes"


def save_pitch_network(path: Path, shape: tuple[int | str, ...] = (1, SAMPLES), scale: float = 1.0) -> Path:
    """Write the network; `embedding`, (1, BANDS), is a tensor inside, and `classes` (1, 2) its output."""
    from onnx import TensorProto, helper, numpy_helper, save

    hz = np.linspace(200, 3600, BANDS)
    phase = 2 * np.pi * hz * np.arange(SAMPLES)[:, None] / RATE
    values = {
        "flat": np.array([1, -1], np.int64),
        "cos": np.cos(phase).astype(np.float32),
        "sin": np.sin(phase).astype(np.float32),
        "floor": np.array(1e-3, np.float32),
        "times": np.array(scale, np.float32),
        "head": np.eye(BANDS, 2, dtype=np.float32),
    }
    nodes = [
        ("Reshape", ["waveform", "flat"], "x"),
        *((kind, ["x", name], f"by_{name}") for name in ("cos", "sin") for kind in ("MatMul",)),
        *(("Mul", [f"by_{name}"] * 2, f"{name}2") for name in ("cos", "sin")),
        ("Add", ["cos2", "sin2"], "energy"),
        ("Add", ["energy", "floor"], "above"),
        ("Log", ["above"], "log"),
        ("Mul", ["log", "times"], INNER),
        ("MatMul", [INNER, "head"], OUTPUT),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes],
        "pitch",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path
