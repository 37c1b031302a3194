"""Write trained runs as ONNX graphs: from waveforms to the logits of every run, folds averaged.

Runs whose clips have the same sample rate and length share a file, and in it what they take: each distinct
log-mel is computed once. Every file is checked against torch before it is moved into place. It needs nothing
but ONNX Runtime; its metadata says the rest (`GraphFile.facts`).
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.onnx.errors import OnnxExporterError

from kagglekit.config import Train
from kagglekit.config.names import LabelKind
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.atomic import replacing
from kagglekit.runs.graph_parts import FoldNetwork, FoldNetworks, Graph, input_of, rate_of, without_fft
from kagglekit.runs.graph_precision import Precision, convert
from kagglekit.runs.store import Run, load_fold, read_meta
from kagglekit.scoring.numerics import mean_logits
from kagglekit.training.inputs import audio_of, inputs_of_waveforms
from kagglekit.training.predict import classify

Float32 = NDArray[np.float32]

INPUT = "waveform"
OPSET = 17
LARGEST_ERROR = {"float32": 1e-3, "float16": 1e-2, "int8": 1e-2}
"""Between two ways to the same logits, of size 10 or so, by the precision of the weights."""
LOUDNESS = (0, 3, 300, 3000, 10_000)  # standard deviation of the noise in each clip compared, of int16


class GraphMember(NamedTuple):
    """A run in a graph."""

    output: str
    """Name of its output: `logits_<n>`, n being the run's place in the call of `write_graphs`."""
    run: str
    """`model/id`."""
    folds: int
    by_fold: bool
    """Whether the output is (batch, folds, classes): where a clip may have several windows, these are joined
    first, where there is a rule, it is applied, and then the folds are averaged
    (`kagglekit.scoring.numerics.mean_logits`). Else it is (batch, classes)."""
    pool: str
    """How the windows of a clip are joined: mean of their probabilities, or max of their logits."""
    rule: dict[str, Any] | None
    """Fields of `ThresholdRule` and of its `thresholds`, to apply to each fold's logits; None for none."""


class GraphFile(NamedTuple):
    """An ONNX file. Input `waveform`, float32 (batch, samples) in [-1, 1]."""

    path: Path
    sample_rate: int
    """Hz."""
    samples: int
    classes: tuple[str, ...]
    kind: str
    """single: the logits are log-probabilities up to a constant; multi: log-odds."""
    members: tuple[GraphMember, ...]
    """In the order of the outputs."""
    parameters: int
    """Of all networks."""
    size: int
    """Bytes."""
    error: float
    """Largest difference from torch's logits."""


class _Clips(NamedTuple):
    """What a graph takes."""

    sample_rate: int
    samples: int


class _Folds(NamedTuple):
    """A run, and which of its folds are in a graph."""

    run: Run
    paths: list[Path]
    apart: bool = False
    """Whether its output keeps the folds apart."""


def write_graphs(
    runs: Sequence[Run], folder: Path, precision: Precision = "float32", *, by_fold: bool = False
) -> list[GraphFile]:
    """Write the graphs of runs into a folder, one for each distinct sample rate and length of a clip.

    Args:
        precision: of the weights in the file. float16: half the size, computed in float32. int8: of matrix
            products alone, which are then computed with integers; convolutions stay as they are.
        by_fold: keep the folds apart, as blends that are not linear need them; see `GraphMember.by_fold`.

    Raises:
        ConfigError: onnx and onnxruntime are not installed, or a run's networks cannot be in a graph.
        KagglekitError: a graph's logits differ from torch's by more than LARGEST_ERROR.
    """
    need_packages()
    folder.mkdir(parents=True, exist_ok=True)
    takes = {place: _clips_of(run) for place, run in enumerate(runs)}
    files = []
    for clips, places in groupby(sorted(takes, key=lambda place: takes[place]), takes.__getitem__):
        members = {place: _Folds(runs[place], _all_folds(runs[place]), by_fold) for place in places}
        path = folder / f"graph_{clips.sample_rate}_{clips.samples}.onnx"
        files.append(_write(clips, members, path, precision))
    return files


def write_graph(run: Run, path: Path, fold: int | None, precision: Precision = "float32") -> GraphFile:
    """Write the graph of one run, of one of its folds or (None) of all; errors as `write_graphs`."""
    need_packages()
    folds = _all_folds(run) if fold is None else [run.folder / f"fold_{fold}"]
    return _write(_clips_of(run), {0: _Folds(run, folds)}, path, precision)


def need_packages() -> None:
    """Raise ConfigError if onnx or onnxruntime is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'kagglekit[onnx]'") from error


def open_graph(path: Path, threads: int = 1) -> Any:
    """Open an ONNX file in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _clips_of(run: Run) -> _Clips:
    audio = audio_of(read_meta(run.folder / "fold_0"))
    return _Clips(audio.sample_rate, audio.samples)


def _all_folds(run: Run) -> list[Path]:
    folds = [run.folder / f"fold_{number}" for number in range(len(run.metrics["folds"]))]
    # a network that nothing was trained of is the same in every fold
    return folds[:1] if read_meta(folds[0])["train"]["labels"] == "zero_shot" else folds


def _write(clips: _Clips, runs: dict[int, _Folds], path: Path, precision: Precision) -> GraphFile:
    """Write the graph of runs that take the same clips, check it, and move it into place."""
    inputs: dict[str, nn.Module] = {}
    members, described = [], []
    for place, folds in runs.items():
        member, description = _member(place, folds, inputs)
        members.append(member)
        described.append(description)
    head = members[0].head
    graph = Graph(inputs, members).eval()
    classes, kind = head.classes, str(head.kind)
    facts: dict[str, Any] = {
        **clips._asdict(),
        "classes": classes,
        "kind": kind,
        "members": [member._asdict() for member in described],
    }
    with replacing(path) as part:
        _trace(graph, clips, [member.output for member in described], facts, part)
        convert(part, precision)
        error = _error(part, clips, list(runs.values()), described)
        if not error <= LARGEST_ERROR[precision]:
            raise KagglekitError(
                f"{path.name} in {precision} differs from torch by {error:.3g}, more than "
                f"{LARGEST_ERROR[precision]:g}",
                hint="report it with the versions of torch and onnxruntime"
                if precision == "float32"
                else "choose another precision: float32 is always right",
            )
    parameters = sum(parameter.numel() for parameter in graph.parameters())
    return GraphFile(path, *clips, classes, kind, tuple(described), parameters, path.stat().st_size, error)


def _member(place: int, source: _Folds, inputs: dict[str, nn.Module]) -> tuple[FoldNetworks, GraphMember]:
    """Load a run's folds; add their input to `inputs` unless it is there."""
    networks, audio, run = [], None, source.run
    for folder in source.paths:
        model, head, meta = load_fold(folder)
        audio = audio or audio_of(meta)
        rate = rate_of(meta, audio)
        offsets = [round(ms / 1000 * rate) for ms in (0.0, *Train(**meta["train"]).tta_ms)]
        networks.append(FoldNetwork(without_fft(model, audio.samples), head, offsets))
    assert audio is not None
    key, module = input_of(meta, audio)
    inputs.setdefault(key, module)
    rule = None
    if head.rule is not None:
        rule = asdict(head.rule) | {"thresholds": head.thresholds and head.thresholds._asdict()}
    by_fold = source.apart or rule is not None or audio.longer == "windows"
    named = GraphMember(f"logits_{place}", f"{run.model}/{run.id}", len(networks), by_fold, head.pool, rule)
    return FoldNetworks(networks, key, by_fold), named


def _trace(graph: Graph, clips: _Clips, outputs: list[str], facts: dict[str, Any], path: Path) -> None:
    """Trace the graph with one clip, and write the facts into the file's metadata."""
    import onnx

    try:
        with warnings.catch_warnings():  # the newer exporter would need onnxscript
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (torch.zeros(1, clips.samples),),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_axes={name: {0: "batch"} for name in (INPUT, *outputs)},
            )
    except (OnnxExporterError, RuntimeError) as error:
        runs = ", ".join(member["run"] for member in facts["members"])
        raise ConfigError(
            f"{runs} cannot be written as ONNX: {str(error).strip().partition(chr(10))[0][:200]}",
            hint="leave the run out whose network torch cannot export",
        ) from error
    exported = onnx.load(str(path))
    for name, value in facts.items():
        entry = exported.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value)
    onnx.checker.check_model(exported)
    onnx.save(exported, str(path))


def _error(path: Path, clips: _Clips, runs: Sequence[_Folds], members: Sequence[GraphMember]) -> float:
    """Return the largest difference between the file's logits and torch's, for noise."""
    noise = np.random.default_rng(0).normal(0, 1, (len(LOUDNESS), clips.samples))
    waveforms = (noise * np.array(LOUDNESS)[:, None]).clip(-32768, 32767).astype(np.int16)
    answers = open_graph(path).run(None, {INPUT: waveforms.astype(np.float32) / 32768})
    errors = []
    for answer, folds, member in zip(answers, runs, members, strict=True):
        expected = _expected(folds.paths, waveforms, member.by_fold)
        if member.rule is not None:  # the rest, silence, is a difference: its logarithm has few digits
            answer, expected = np.exp(answer), np.exp(expected)
        errors.append(np.abs(answer - expected).max())
    return float(max(errors))


def _expected(folds: Sequence[Path], waveforms: NDArray[np.int16], by_fold: bool) -> Float32:
    """Return torch's logits, as runs.predict_test: (clips, classes), or (clips, folds, classes) by fold."""
    logits: list[Float32] = []
    for folder in folds:
        model, head, meta = load_fold(folder)
        head = replace(head, thresholds=None)
        if not logits:
            x, rate = inputs_of_waveforms(meta, torch.from_numpy(waveforms))
        train = Train(**meta["train"]).model_copy(update={"bf16": False})
        logits.append(classify(model, x, head, train, rate))
    stacked = np.stack(logits)
    if by_fold:
        return stacked.swapaxes(0, 1)
    return mean_logits(stacked, multi=head.kind is LabelKind.MULTI).astype(np.float32)
