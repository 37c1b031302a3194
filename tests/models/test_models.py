from __future__ import annotations

import importlib
import math
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import torch.nn.functional as F
from support.checkpoints import (
    save_tiny_ast,
    save_tiny_hubert,
    save_tiny_wav2vec2,
    save_tiny_wavlm,
    save_tiny_whisper,
)
from torch import Tensor, nn

import kagglekit.models
from kagglekit import models
from kagglekit.config import Train
from kagglekit.config.names import FAMILIES, InputKind
from kagglekit.errors import ConfigError, MissingError
from kagglekit.models.bcresnet import SubSpectralNorm
from kagglekit.models.convs2s import scale_gradient
from kagglekit.models.matchboxnet import TemporalConvolution

CLASSES = 8
SMALL: dict[str, dict[str, Any]] = {
    "convs2s": {"channels": 64, "blocks": 2},
    "lstm": {"hidden": 32},
    "gru": {"hidden": 32},
    "crnn": {"channels": 8, "hidden": 32},
    "deepspeech2": {"channels": 8, "hidden": 32, "layers": 2},
    "tcresnet": {"depth": 8},
    "matchboxnet": {},
    "bcresnet": {},
    "kwt": {"layers": 2},
    "resnet": {"depth": 8},
    "speech_embedding": {"pretrained": False},
}
FROZEN = {"birdnet": {"dim": 24, "head": "mlp"}, "embedder": {"dim": 24, "head": "attention"}}
ANY_BANDS = [name for name in SMALL if not models.needed_features(name)]
TINY = {
    "ast": save_tiny_ast,
    "wav2vec2": save_tiny_wav2vec2,
    "hubert": save_tiny_hubert,
    "wavlm": save_tiny_wavlm,
    "whisper": save_tiny_whisper,
    "pretrained": save_tiny_hubert,  # as its distilhubert
}
every_model = pytest.mark.parametrize("name", list(models.MODELS))
every_scratch_model = pytest.mark.parametrize("name", list(SMALL))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def build(name: str, folder: Path) -> nn.Module:
    if name in TINY:
        labels = [f"word{i}" for i in range(CLASSES)]
        return models.build(name, {"checkpoint": str(TINY[name](folder / name, labels))}, CLASSES)
    return models.build(name, {**SMALL, **FROZEN}[name], CLASSES)


def batch(name: str, seconds: float = 1.0) -> Tensor:
    """Eight plausible inputs: a tone each, as waveform or as the log power of a few mel bands."""
    if models.MODELS[name].input is InputKind.EMBEDDING:
        return torch.randn(CLASSES, 3, 24)
    time = torch.arange(round(16_000 * seconds)) / 16_000
    if models.MODELS[name].input is InputKind.WAVEFORM:
        pitch = 200.0 * torch.arange(1, CLASSES + 1).unsqueeze(1)
        return 0.3 * torch.sin(2 * torch.pi * pitch * time) + 0.01 * torch.randn(CLASSES, len(time))
    frames = 1 + len(time) // 160
    bands = models.needed_features(name).get("n_mels", 40)
    log_mel = torch.randn(CLASSES, bands, frames) - 8
    for clip in range(CLASSES):
        log_mel[clip, 4 * clip : 4 * clip + 4, frames // 4 : frames // 2] += 10
    return log_mel


@every_model
def test_learns_one_batch(name: str, tmp_path: Path) -> None:
    model = build(name, tmp_path)
    inputs, labels = batch(name), torch.arange(CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    learnt = False
    # batch norm over eight clips in every block takes longer to agree with its running means
    for step in range(1, 121 if name == "bcresnet" else 61):
        loss = F.cross_entropy(model.train()(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 10 == 0 and losses[-1] < 0.5 * losses[0]:
            with torch.inference_mode():
                learnt = bool((model.eval()(inputs).argmax(dim=1) == labels).all())
            if learnt:
                break
    assert losses[0] < 2 * math.log(CLASSES)  # the first guess is near to even
    assert learnt, losses


@every_model
def test_a_gradient_reaches_every_parameter(name: str, tmp_path: Path) -> None:
    model = build(name, tmp_path)
    logits = model(batch(name))
    F.cross_entropy(logits, torch.arange(CLASSES)).backward()
    assert logits.shape == (CLASSES, CLASSES)
    assert logits.isfinite().all()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]  # not Whisper's sinusoids
    blind = [n for n, p in trained if p.grad is None or not p.grad.any()]
    assert blind == []


@every_model
def test_eval_is_deterministic_and_clip_by_clip(name: str, tmp_path: Path) -> None:
    model = build(name, tmp_path).eval()
    inputs = batch(name)
    with torch.inference_mode():
        logits = model(inputs)
        assert torch.equal(model(inputs), logits)
        assert torch.allclose(model(inputs[3:5]), logits[3:5], atol=1e-5)


@every_model
@pytest.mark.parametrize("seconds", [0.25, 1.7])
def test_accepts_other_lengths(name: str, seconds: float, tmp_path: Path) -> None:
    model = build(name, tmp_path).eval()
    with torch.inference_mode():
        assert model(batch(name, seconds)).shape == (CLASSES, CLASSES)


@pytest.mark.parametrize("name", ANY_BANDS)
@pytest.mark.parametrize("n_mels", [20, 64])
def test_accepts_other_mel_bands(name: str, n_mels: int) -> None:
    model = models.build(name, SMALL[name] | {"n_mels": n_mels}, CLASSES)
    logits = model(torch.randn(CLASSES, n_mels, 51) - 8)
    F.cross_entropy(logits, torch.arange(CLASSES)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_model
def test_config_and_weights_rebuild_it(name: str, tmp_path: Path) -> None:
    model, inputs = build(name, tmp_path).eval(), batch(name)
    again = models.build(name, model.config.model_dump(mode="json"), CLASSES).eval()
    again.load_state_dict(model.state_dict())
    assert again.config == model.config
    assert torch.allclose(again(inputs), model(inputs), atol=1e-5)


@every_model
def test_search_space_and_defaults_are_settings(name: str) -> None:
    architecture = models.load(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        models.configure(name, architecture.search_space(study.ask()))
    Train(**architecture.DEFAULTS)


@every_scratch_model
def test_default_size(name: str) -> None:
    model = models.build(name, {}, 12)
    assert 9_000 < sum(p.numel() for p in model.parameters()) < 1_000_000


@pytest.mark.parametrize("name", ["convs2s", "kwt"])
def test_refuses_clips_beyond_its_positions(name: str) -> None:
    model = models.build(name, SMALL[name] | {"max_frames": 100}, CLASSES)
    with pytest.raises(ConfigError, match="a clip of 101 frames is longer than max_frames=100") as caught:
        model(batch(name))
    assert caught.value.hint == f"set models.{name}.model.max_frames to 101 and train again"


def test_scaled_gradient_leaves_the_values() -> None:
    z = torch.randn(2, 8, 5, requires_grad=True)
    scaled = scale_gradient(z, 0.25)
    scaled.sum().backward()
    assert torch.allclose(scaled, z)
    assert z.grad is not None
    assert z.grad.unique().tolist() == [0.25]


def test_only_positions_tell_convs2s_when() -> None:
    model = models.build("convs2s", SMALL["convs2s"], CLASSES).eval()
    early = torch.full((1, 40, 102), -8.0)
    early[:, 10:20, 30:39] = 2.0
    late = early.roll(30, dims=-1)  # whole steps of 3 frames
    assert not torch.allclose(model(early), model(late), atol=1e-3)
    torch.nn.init.zeros_(model.encoder.position)
    assert torch.allclose(model(early), model(late), atol=1e-5)


@pytest.mark.parametrize("pooling", ["attention", "mean", "last"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(
    ("name", "params"),
    [("gru", {}), ("gru", {"convolution": 24}), ("lstm", {"projection": 16}), ("lstm", {"layers": 1})],
)
def test_other_recurrent_networks(
    name: str, params: dict[str, Any], bidirectional: bool, pooling: str
) -> None:
    options = {"hidden": 32, "bidirectional": bidirectional, "pooling": pooling, **params}
    model = models.build(name, options, CLASSES)
    logits = model(batch(name))
    F.cross_entropy(logits, torch.arange(CLASSES)).backward()
    assert logits.shape == (CLASSES, CLASSES)
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_last_is_where_each_direction_ends() -> None:
    model = models.build("gru", {"hidden": 8, "layers": 1, "pooling": "last"}, CLASSES).eval()
    inputs = batch("gru")
    _, ends = model.recurrent(model._steps(model.normalise(inputs)))  # (directions, batch, hidden)
    assert torch.allclose(model(inputs), model.head(ends.transpose(0, 1).flatten(1)), atol=1e-6)


def test_sub_spectral_norm_is_a_batch_norm_of_each_band() -> None:
    x = torch.randn(3, 4, 10, 7) * torch.arange(1, 11)[:, None]
    bands = [F.batch_norm(band, None, None, training=True) for band in x.chunk(5, dim=2)]
    assert torch.allclose(SubSpectralNorm(4)(x), torch.cat(bands, dim=2), atol=1e-5)


@pytest.mark.parametrize("frames", [20, 21, 101])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_columns_stand_in_for_a_dilated_convolution(frames: int, dilation: int) -> None:
    layer, x = TemporalConvolution(4, 29, dilation), torch.randn(2, 4, frames, 1)
    expected = F.conv2d(x, layer.weight, padding=(14 * dilation, 0), dilation=(dilation, 1), groups=4)
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_unknown_model() -> None:
    with pytest.raises(ConfigError, match="there is no model 'convs2'") as caught:
        models.build("convs2", {}, CLASSES)
    assert caught.value.hint == "did you mean 'convs2s'?"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"chanels": 64}, "models.convs2s.model.chanels: no such parameter, did you mean 'channels'?"),
        (
            {"blocks": "many"},
            "models.convs2s.model.blocks: input should be a valid integer, "
            "unable to parse string as an integer, not 'many'",
        ),
        ({"kernel": 4}, "models.convs2s.model.kernel: must be odd, so that a block keeps the length, not 4"),
        ({"dropout": 1.0}, "models.convs2s.model.dropout: input should be less than 1, not 1.0"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        models.build("convs2s", params, CLASSES)
    assert str(caught.value) == message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("parameters of convs2s: n_mels, max_frames, stack, channels")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("lstm", {"projection": 128}, "models.lstm.model: projection 128 must be below hidden 128"),
        ("gru", {"projection": 64}, "models.gru.model.projection: no such parameter"),
    ],
)
def test_impossible_shapes(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        models.build(name, params, CLASSES)


def test_all_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"tcresnet\.model\.depth: .*; models\.tcresnet\.model\.widht: "):
        models.build("tcresnet", {"depth": 9, "widht": 2}, CLASSES)


def test_every_module_imports() -> None:
    names = [m.name for m in pkgutil.iter_modules(kagglekit.models.__path__)]
    assert {*SMALL, "pretrained"} <= set(names)
    for name in names:
        importlib.import_module(f"kagglekit.models.{name}")


def test_the_registry_is_light() -> None:
    code = "import sys, kagglekit.models; print({'torch', 'transformers', 'optuna'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["timm:resnet18", "cascade-timm:resnet18"])
def test_a_network_of_a_family_is_known_by_its_prefix(name: str) -> None:
    assert models.info(name) == FAMILIES["timm:"]
    assert models.input_kind(name, {}) is InputKind.LOG_MEL


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("timm:ResNet18", "did you mean 'timm:resnet18'?"),
        ("tim:resnet18", "did you mean 'timm:resnet18'?"),
        ("timm:../runs", "known: "),
        ("timm:resnet18.a1_in1k", "--set models.timm:resnet18.checkpoint=timm/resnet18.a1_in1k"),
    ],
)
def test_a_name_that_no_network_can_have(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        models.info(name)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise ImportError(\"No module named 'timm'\")", "timm cannot be imported: No module named 'timm'"),
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "torchvision fits another build of torch than .*: operator torchvision::nms does not exist",
        ),
    ],
)
def test_without_timm(line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(MissingError, match=message) as caught:
        models.configure("timm:resnet18", {})
    assert caught.value.hint is not None
