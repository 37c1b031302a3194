"""Every architecture as a graph: random weights, clips of noise, and batches of another size than was traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import checkpoints
from support.untrained import CLASSES, untrained

from kagglekit.config import Audio, Features
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.models.speech_embedding import FEATURES
from kagglekit.runs.graph import LARGEST_ERROR, write_graphs

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LOG_MEL = {
    "tcresnet": {"depth": 8},
    "convs2s": {"channels": 16, "blocks": 2},
    "lstm": {"hidden": 16, "layers": 1},
    "gru": {"hidden": 16, "layers": 1},
    "cascade-gru": {"hidden": 16, "layers": 1},
    "crnn": {},
    "deepspeech2": {},
    "matchboxnet": {},
    "bcresnet": {},
    "kwt": {},
    "resnet": {},
    "speech_embedding": {"pretrained": False, "tune": "full"},
}
HUB = {
    "ast": checkpoints.save_tiny_ast,
    "wav2vec2": checkpoints.save_tiny_wav2vec2,
    "hubert": checkpoints.save_tiny_hubert,
    "wavlm": checkpoints.save_tiny_wavlm,
    "whisper": checkpoints.save_tiny_whisper,
}
QUICK = ("gru", "kwt", "ast", "whisper")


def each(names: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("model", each(LOG_MEL))
def test_networks_of_log_mels(model: str, tmp_path: Path) -> None:
    features = Features(**FEATURES) if model == "speech_embedding" else Features()
    run = untrained(tmp_path / "run", model, LOG_MEL[model], audio=Audio(), features=features, folds=1)
    (graph,) = write_graphs([run], tmp_path)
    assert graph.error < 1e-4


@pytest.mark.parametrize("tune", ["full", "frozen"])
@pytest.mark.parametrize("model", each(HUB))
def test_networks_of_the_hub(model: str, tune: str, tmp_path: Path) -> None:
    checkpoint = HUB[model](tmp_path / "checkpoint", CLASSES)
    run = untrained(
        tmp_path / "run",
        model,
        {"checkpoint": str(checkpoint), "tune": tune, "embeddings": "float32"},
        audio=Audio(),
        features=Features(),
    )
    (graph,) = write_graphs([run], tmp_path)
    assert graph.error < 1e-4


def test_frozen_speech_embedding(tmp_path: Path) -> None:
    pytest.importorskip("livekit")
    run = untrained(
        tmp_path / "run", "speech_embedding", {"tune": "frozen"}, audio=Audio(), features=Features()
    )
    (graph,) = write_graphs([run], tmp_path)
    assert graph.error < 1e-4


def test_weights_of_fewer_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = untrained(tmp_path / "run", "kwt", {}, audio=Audio(), features=Features(), folds=1)
    (whole,) = write_graphs([run], tmp_path / "float32")
    (half,) = write_graphs([run], tmp_path / "float16", "float16")
    assert half.size < 0.65 * whole.size and whole.error < half.error < 1e-2
    (bytes_,) = write_graphs([run], tmp_path / "int8", "int8")
    assert bytes_.size < half.size and half.error < bytes_.error < 1e-2
    monkeypatch.setitem(LARGEST_ERROR, "int8", half.error)
    with pytest.raises(KagglekitError, match="in int8 differs from torch by"):
        write_graphs([run], tmp_path / "refused", "int8")
    assert not list((tmp_path / "refused").iterdir())


def test_int8_is_refused_where_it_gains_nothing(tmp_path: Path) -> None:
    run = untrained(tmp_path / "run", "tcresnet", {}, audio=Audio(), features=Features(), folds=1)
    with pytest.raises(ConfigError, match="int8 makes this network no smaller"):
        write_graphs([run], tmp_path / "int8", "int8")
    assert not list((tmp_path / "int8").iterdir())
