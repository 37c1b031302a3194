"""Export a fold's model as an ONNX file, from log-mels to logits of the classes.

The file's metadata has what a program without kagglekit needs: the classes, the sample rate and the log-mel's
parameters. The file is checked against torch before it is moved into place.
"""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kagglekit.config import Audio, Features
from kagglekit.config.names import LabelKind
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.features.logmel import log_mel
from kagglekit.files.atomic import replacing
from kagglekit.runs.store import load_fold
from kagglekit.training.head import Head
from kagglekit.training.predict import threads

OPSET = 17
INPUT, OUTPUT = "log_mel", "logits"
LARGEST_ERROR = 1e-3  # between two ways to the same logits, of size 10 or so, in float32
CLIPS = 16  # compared by the check
RUNS = 200  # timed, after WARMUP_RUNS
WARMUP_RUNS = 3


class Exported(NamedTuple):
    """The file, its size and its speed."""

    path: Path
    parameters: int
    size: int
    """Bytes."""
    error: float
    """Largest difference from torch's logits."""
    network_ms: float
    """Median time per clip on one core, without the log-mel."""
    clip_ms: float
    """The same with the log-mel."""


class _Network(nn.Module):
    """A model whose outputs are summed into classes."""

    def __init__(self, model: nn.Module, head: Head) -> None:
        super().__init__()
        self.model = model
        self.direct = len(head.classes) if head.direct else None
        members = torch.tensor(head.class_of)
        self.register_buffer("member", torch.stack([members == c for c in range(len(head.classes))]).float())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> logits (batch, classes)."""
        logits: Tensor = self.model(x)
        if self.direct is not None:
            return logits[:, : self.direct]
        return (logits.softmax(1) @ self.member.T).clamp(min=1e-12).log()  # type: ignore[operator]


def export(folder: Path, path: Path) -> Exported:
    """Write the model of a folder fold_<k> as ONNX, check it before it replaces `path`, and time it.

    Raises:
        ConfigError: onnx and onnxruntime are not installed, or the model cannot be exported.
        KagglekitError: the ONNX file's logits differ from the model's.
    """
    _need_packages()
    model, head, meta = load_fold(folder)
    if head.rule is not None or "n_mels" not in meta["params"]:
        raise ConfigError(
            f"{meta['model']} cannot be exported: it takes no log-mels, or its labels need thresholds",
            hint="export a model that takes log-mels, with train.labels: targets or words",
        )
    audio, features = Audio(**meta["audio"]), Features(**meta["features"])
    network = _Network(model, head).eval()
    noise = np.random.default_rng(0).normal(0, 3000, (CLIPS, audio.samples))
    waveforms = torch.from_numpy(noise).to(torch.int16)
    x = log_mel(waveforms, features, audio.sample_rate)
    facts = {
        "classes": list(head.classes),
        "activation": "sigmoid" if head.kind is LabelKind.MULTI else "softmax",
        "pool": head.pool,
        "audio": meta["audio"],
        "features": meta["features"],
    }
    with replacing(path) as part:
        _write(network, x[:1], facts, part)
        session = _session(part)
        with torch.inference_mode():
            expected = network(x).numpy()
        error = float(np.abs(session.run(None, {INPUT: x.numpy()})[0] - expected).max())
        if not error <= LARGEST_ERROR:
            raise KagglekitError(
                f"the ONNX file of {folder} differs from the model by {error:.3g}",
                hint="report it with the versions of torch and onnxruntime",
            )

    def whole_clip() -> None:
        session.run(None, {INPUT: log_mel(waveforms[:1], features, audio.sample_rate).numpy()})

    first = x[:1].numpy()
    return Exported(
        path,
        sum(parameter.numel() for parameter in model.parameters()),
        path.stat().st_size,
        error,
        median_ms(lambda: session.run(None, {INPUT: first}), RUNS),
        median_ms(whole_clip, RUNS),
    )


def _need_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'kagglekit[onnx]'") from error


def _write(network: nn.Module, x: Tensor, facts: dict[str, Any], path: Path) -> None:
    """Trace the network with one clip, and write the facts into the file's metadata."""
    import onnx

    batch = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
    with warnings.catch_warnings():  # the newer exporter would need onnxscript
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (x,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes=batch,
        )
    exported = onnx.load(str(path))
    for name, value in facts.items():
        entry = exported.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value)
    onnx.checker.check_model(exported)
    onnx.save(exported, str(path))


def _session(path: Path) -> Any:
    """Open the file in ONNX Runtime, on one core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def median_ms(work: Callable[[], object], runs: int) -> float:
    """Return the median time of `work` in milliseconds, torch on one core, after WARMUP_RUNS."""
    times = []
    with threads(1):
        for _ in range(WARMUP_RUNS + runs):
            started = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times[WARMUP_RUNS:]))
