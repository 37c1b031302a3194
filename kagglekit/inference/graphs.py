"""ONNX graphs of the blend's members, as `kagglekit.runs.graph` writes them, run by ONNX Runtime."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.config.names import LabelKind
from kagglekit.data.samples import FULL_SCALE, Int16
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.json_shape import shaped
from kagglekit.scoring.thresholds import ThresholdRule, Thresholds

Float32 = NDArray[np.float32]

GRAPHS = "graph*.onnx"
INPUT = "waveform"
AGAIN = "build and push the notebook again"
BATCH_SAMPLES = 2**21
"""Of a batch: 13 windows of 5 s at 32 kHz, whose activations in a network of images take some 100 MB."""
MOST_BATCH = 64  # windows


class OutputRule(NamedTuple):
    """A rule of thresholds and the thresholds."""

    unknown: int
    silence: int
    has_silence_output: bool
    thresholds: Thresholds | None


class Output(NamedTuple):
    """What a graph says of one of its outputs."""

    run: str
    """`model/id`."""
    output: str
    """Name of the output."""
    by_fold: bool
    """Whether it is (batch, folds, classes); else (batch, classes), the folds averaged."""
    pool: str
    """How the windows of a clip are joined: mean of their probabilities, or max of their logits."""
    rule: OutputRule | None = None
    """What is done with the joined logits of each fold (kagglekit.scoring.thresholds)."""

    def ruled(self, logits: Float32) -> Float32:
        """Apply the rule, if there is one, to logits (rows, folds, classes)."""
        if self.rule is None or self.rule.thresholds is None:
            return logits
        rule = ThresholdRule(self.rule.unknown, self.rule.silence, self.rule.has_silence_output)
        folds = [rule.apply(fold, self.rule.thresholds) for fold in logits.swapaxes(0, 1)]
        return np.stack(folds, axis=1)


@dataclass(frozen=True)
class RunningGraph:
    """A graph that is ready to run."""

    path: Path
    sample_rate: int
    """Hz."""
    samples: int
    """Of a window."""
    outputs: tuple[Output, ...]
    session: Any

    @property
    def batch(self) -> int:
        """The number of windows to run at once."""
        return max(min(BATCH_SAMPLES // self.samples, MOST_BATCH), 1)

    def run(self, windows: Sequence[Int16]) -> list[Float32]:
        """Return the logits of each output for windows (samples,); several threads may call it.

        Raises:
            KagglekitError: ONNX Runtime fails, as where memory is short.
        """
        waveform = np.stack(windows).astype(np.float32)
        waveform /= FULL_SCALE
        try:
            answers: list[Float32] = self.session.run([one.output for one in self.outputs], {INPUT: waveform})
        except Exception as error:  # its own classes have no common base
            raise KagglekitError(
                f"{self.path.name}: {str(error).strip()[:300] or type(error).__name__}",
                hint="if memory ran out, blend fewer runs; see competition.limits.memory_gb",
            ) from error
        return answers


def open_graphs(
    folder: Path, members: Sequence[str], classes: Sequence[str], kind: str
) -> list[RunningGraph]:
    """Open the graphs of a data set.

    Raises:
        MissingError: there is none, one is damaged, or a member has no output.
    """
    graphs = [_open(path, classes, kind) for path in sorted(folder.glob(GRAPHS))]
    there = [one.run for graph in graphs for one in graph.outputs]
    if lacking := sorted(set(members) - set(there)):
        raise MissingError(f"no graph in {folder} has the run {lacking[0]}", hint=AGAIN)
    return graphs


def _open(path: Path, classes: Sequence[str], kind: str) -> RunningGraph:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Batches run side by side: threads of one batch would wait for each other in every layer
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        texts: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        facts = {name: json.loads(texts[name]) for name in ("sample_rate", "samples", "classes", "kind")}
        said = [{name: one.get(name) for name in Output._fields} for one in json.loads(texts["members"])]
        outputs = shaped(tuple[Output, ...], said)
    except Exception as error:
        raise MissingError(f"{path} cannot be read: {str(error).strip()[:300]}", hint=AGAIN) from error
    if tuple(facts["classes"]) != tuple(classes) or LabelKind(facts["kind"]) != kind:
        raise MissingError(f"{path} has other classes than the competition", hint=AGAIN)
    return RunningGraph(path, int(facts["sample_rate"]), int(facts["samples"]), outputs, session)
