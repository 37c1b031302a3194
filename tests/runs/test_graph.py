"""Runs as ONNX graphs: their logits are those that predict_test writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.trainings import fetched, opened, trained

from kagglekit.config.names import LabelKind
from kagglekit.runs.graph import GraphFile, open_graph, write_graphs
from kagglekit.runs.graph_parts import FoldNetwork, MeanProbability
from kagglekit.scoring.numerics import mean_logits, softmax
from kagglekit.scoring.predictions import logits_of, read_predictions
from kagglekit.scoring.thresholds import ThresholdRule
from kagglekit.training.files import TEST
from kagglekit.training.head import Head

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHORT = ("train.epochs=1", "train.bf16=false")  # a graph computes in float32


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("tiny"))


def answers(graph: GraphFile, pcm: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The graph's outputs for int16 clips."""
    found: list[np.ndarray[Any, Any]] = open_graph(graph.path).run(
        None, {"waveform": pcm.astype(np.float32) / 32768}
    )
    return found


def test_runs_of_one_clip_length_share_a_file_and_their_log_mel(yaml: Path, tmp_path: Path) -> None:
    import onnx

    runs = [
        trained(yaml, "tcresnet", "train.tta_ms=[-40,40]", *SHORT)[2],
        trained(yaml, "gru", "train.labels=words", *SHORT)[2],
    ]
    (graph,) = write_graphs(runs, tmp_path / "graphs")
    assert graph.error < 1e-5
    _, _, prepared = opened(yaml)
    found = answers(graph, prepared.store("test")[:])
    by_clip = prepared.clips.filter(split="test")
    for run, member, logits in zip(runs, graph.members, found, strict=True):
        assert member.run == f"{run.model}/{run.id}"
        table = read_predictions(run.folder / TEST, "").join(by_clip.select("clip_id", "row"), on="clip_id")
        expected = logits_of(table)
        np.testing.assert_allclose(logits[table["row"].to_numpy()], expected, atol=1e-4)
    file = onnx.load(str(graph.path))
    reflections = [a for node in file.graph.node if node.op_type == "Pad" for a in node.attribute]
    assert sum(a.s == b"reflect" for a in reflections) == 1  # each log-mel begins with one
    facts = {entry.key: json.loads(entry.value) for entry in file.metadata_props}
    assert facts["sample_rate"] == 8000 and facts["samples"] == 4000 and facts["kind"] == "single"
    assert facts["classes"] == ["low", "mid", "silence", "unknown"] == list(graph.classes)
    assert facts["members"] == [member._asdict() for member in graph.members]


def test_clips_of_several_windows_have_the_logits_of_each_fold(yaml: Path, tmp_path: Path) -> None:
    _, prepared, run = trained(yaml, "tcresnet", "audio.seconds=0.2", "audio.longer=windows", *SHORT)
    (graph,) = write_graphs([run], tmp_path)
    assert graph.members[0].by_fold and graph.samples == 1600
    windows = prepared.store("test")[:]
    (logits,) = answers(graph, windows)
    assert logits.shape == (len(windows), 2, 4)
    clips = prepared.clips.filter(split="test").sort("clip_id")
    by_fold = np.stack(
        [
            np.log(softmax(logits[row : row + count]).mean(0))
            for row, count in clips.select("row", "windows").iter_rows()
        ],
        axis=1,
    )
    table = read_predictions(run.folder / TEST, "").sort("clip_id")
    np.testing.assert_allclose(mean_logits(by_fold, multi=False), logits_of(table), atol=1e-4)


@pytest.mark.parametrize("kind", list(LabelKind))
def test_sure_folds_keep_their_precision(kind: LabelKind) -> None:
    logits = torch.randn(5, 50, 7, generator=torch.Generator().manual_seed(0)) * 15
    head = Head(tuple("abcdefg"), tuple(range(7)), tuple("abcdefg"), words=False, double=None, kind=kind)
    found = MeanProbability(head, 0.0, 1e-12)(logits).numpy()
    np.testing.assert_allclose(found, mean_logits(logits.numpy(), kind is LabelKind.MULTI), atol=1e-4)


def test_outputs_are_summed_into_classes_as_by_the_head() -> None:
    head = Head(tuple("abcd"), (1, 0, 1, -1), ("x", "y", "z"), words=True, double=None)
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) * 20
    found = FoldNetwork(torch.nn.Identity(), head, (0,))(logits)
    torch.testing.assert_close(found, head.collapse(logits))


def test_scores_of_words_are_those_before_the_rule(tmp_path: Path) -> None:
    rule = ThresholdRule(unknown=3, silence=2)
    head = Head(tuple("abcde"), (0, 1, 3, 3, 0), tuple("wxyz"), words=True, double=None, rule=rule)
    logits = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    found = FoldNetwork(torch.nn.Identity(), head, (0,))(logits)
    torch.testing.assert_close(found, head.collapse(logits))
