from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kagglekit import models
from kagglekit.config import Config, Features, ModelSection
from kagglekit.config.first_edition import upgrade
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.errors import ConfigError, MissingError
from kagglekit.features.embeddings import embed, embedding_cache
from kagglekit.features.logmel import log_mel, mel_filters
from kagglekit.models import speech_embedding
from kagglekit.models.speech_embedding import FEATURES, build, weights_path
from kagglekit.training.inputs import frozen_network
from kagglekit.training.plan import resolve

CONFIG = upgrade({"competition": {"slug": "a"}, "labels": {"targets": ["yes", "no"]}})


@pytest.fixture
def _wheel() -> None:
    pytest.importorskip("onnx", reason="kagglekit[speech] is not installed")
    try:
        weights_path()
    except MissingError:
        pytest.skip("kagglekit[speech] is not installed")


@pytest.mark.usefixtures("_wheel")
def test_the_trunk_is_the_wheels_network() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    trunk = build(speech_embedding.Config(), 12).trunk.eval()
    x = 2 * torch.randn(3, 76, 32)
    session = onnxruntime.InferenceSession(str(weights_path()), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"input_1": x[..., None].numpy()})[0].reshape(3, 96)
    with torch.inference_mode():
        ours = trunk(x[:, None])[..., 0, 0].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)  # values go up to 50
    assert sum(p.numel() for p in trunk.parameters()) == 328_128  # of the ONNX file's initialisers


@pytest.mark.usefixtures("_wheel")
def test_its_first_convolution_does_not_hear_a_constant() -> None:
    first = build(speech_embedding.Config(), 12).trunk[0]
    assert isinstance(first, nn.Conv2d)
    assert first.weight.sum((1, 2, 3)).abs().max() < 1e-4 * first.weight.abs().sum((1, 2, 3)).max()


@pytest.mark.usefixtures("_wheel")
def test_what_is_saved_needs_the_wheel_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.build("speech_embedding", {}, 5)
    monkeypatch.setattr(speech_embedding, "WHEEL", "no-such-wheel")
    again = models.build("speech_embedding", model.config.model_dump(mode="json"), 5)
    assert again.load_state_dict(model.state_dict())


def test_the_log_mel_is_what_the_weights_were_trained_on() -> None:
    # tf.signal.linear_to_mel_weight_matrix, first and last entries of its bands 0, 15 and 31, as the module has them
    filters = mel_filters(Features(**FEATURES), 16_000)
    assert filters.shape == (257, 32)
    peaks = filters.argmax(0)
    assert (peaks[0], peaks[15], peaks[31]) == (3, 35, 114)
    assert resolve(Config(**CONFIG), "speech_embedding").features == Features(**FEATURES)


def test_features_of_the_config_do_not_change_what_the_weights_need() -> None:
    asked = Config(**CONFIG, features={"n_mels": 64}, models={"speech_embedding": ModelSection()})
    assert resolve(asked, "speech_embedding").features.n_mels == 32
    assert resolve(asked, "tcresnet").features.n_mels == 64


@pytest.mark.parametrize(
    ("params", "first"), [({"tune": "full"}, 0), ({}, 3), ({"stages": 3}, 7), ({"stages": 1}, 15)]
)
def test_only_the_last_stages_learn(params: dict[str, Any], first: int) -> None:
    trunk = build(speech_embedding.Config(pretrained=False, **params), 5).trunk
    convolutions = [layer for layer in trunk if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 20
    learning = [layer.weight.requires_grad for layer in convolutions]
    assert learning == [False] * first + [True] * (20 - first)


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_embedding, "WHEEL", "no-such-wheel")
    with pytest.raises(MissingError, match="the weights of speech_embedding are not installed") as caught:
        models.build("speech_embedding", {}, 5)
    assert caught.value.hint is not None and "kagglekit[speech]" in caught.value.hint


@pytest.mark.usefixtures("_wheel")
def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = str(Path(speech_embedding.FILE).with_name("melspectrogram.onnx"))
    monkeypatch.setattr(speech_embedding, "FILE", other)
    with pytest.raises(ConfigError, match=r"melspectrogram.onnx is not the expected file: its SHA-256"):
        models.build("speech_embedding", {}, 5)


@pytest.mark.usefixtures("_wheel")
def test_frozen_it_hears_what_the_whole_network_would(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", 16_000) as writer:
        for number in range(3):
            rows = np.random.default_rng(number).integers(-9000, 9000, 16_000).astype(np.int16)
            writer.add(f"{number}", rows)
    store, params = open_store(tmp_path / "store"), {"tune": "frozen", "embeddings": "float32"}
    cached = embedding_cache(
        tmp_path, store, "key", frozen_network("speech_embedding", params), torch.device("cpu"), "train"
    )
    assert cached.shape == (3, 7, 96)
    whole = build(speech_embedding.Config(tune="full"), 5).eval()
    head = build(speech_embedding.Config(**params), 5).eval()
    head.load_state_dict(whole.head.state_dict())
    spectrum = log_mel(torch.tensor(store[:]), Features(**FEATURES), 16_000)
    with torch.inference_mode():
        assert torch.allclose(head(torch.tensor(cached[:])), whole(spectrum), atol=1e-3)
    other = np.random.default_rng(9).integers(-9000, 9000, (1, 16_000)).astype(np.float32) / 32768
    assert embed(
        torch.from_numpy(other), frozen_network("speech_embedding", params), torch.device("cpu")
    ).shape == (1, 7, 96)


def test_a_frozen_network_of_random_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match="it would embed with random weights"):
        speech_embedding.embedding_key(speech_embedding.Config(tune="frozen", pretrained=False))
