"""Networks of timm: what they make of log-mels, their weights, their settings, and a whole job with one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from support import tiny, trainings
from support.timm_here import need_timm
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kagglekit import models
from kagglekit.cli import main
from kagglekit.errors import ConfigError, MissingError
from kagglekit.models.timm_network import TimmNetwork
from kagglekit.models.timm_package import SMALL
from kagglekit.runs.setup import make_folds
from kagglekit.runs.store import train_again
from kagglekit.scoring.cv import Score
from kagglekit.training import checkpoint
from kagglekit.training.files import WEIGHTS
from kagglekit.training.loop import train_fold
from kagglekit.training.plan import resolve

need_timm()
pytestmark = pytest.mark.timm

SCRATCH = {"pretrained": False}
LAYOUTS = (
    "test_resnet",
    "test_efficientnet",
    "test_vit",
    "test_mambaout",
    "test_convnext",
    "inception_next_atto",
)
"""Maps with channels first, tokens, and channels last; a norm after pooling; pooling that must stay."""


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def build(network: str = "test_resnet", **params: Any) -> TimmNetwork:
    model = models.build(f"timm:{network}", SCRATCH | params, 5)
    assert isinstance(model, TimmNetwork)
    return model


def clips(count: int = 4, bands: int = 40, frames: int = 101) -> Tensor:
    return torch.randn(count, bands, frames) - 8


@pytest.mark.parametrize("network", LAYOUTS)
def test_every_layout_is_a_map_of_bands_and_steps(network: str) -> None:
    model, log_mel = build(network), clips()
    maps = model.maps(log_mel)
    assert maps.ndim == 4 and maps.shape[2] < maps.shape[3]  # fewer bands than steps, as in the log-mel
    F.cross_entropy(model(log_mel), torch.arange(4)).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [n for n, p in trained.items() if p.grad is None or not p.grad.isfinite().all()] == []
    # the last norm of a residual block begins with zeros, so some gradients are zero in the first step
    assert sum(p.grad is not None and bool(p.grad.any()) for p in trained.values()) > 0.5 * len(trained)
    model.eval()
    with torch.inference_mode():
        assert torch.allclose(model(log_mel)[1:3], model(log_mel[1:3]), atol=1e-4)
        assert model(clips(2, frames=313)).shape == (2, 5)


@pytest.mark.parametrize(
    "params",
    [
        {"channels": 3, "head": "sed", "loudest": 0.5},
        {"n_mels": 128, "pool": "gem", "channels_last": False},
        {"head": "sed", "average": "probs", "pool": "max", "drop_path": 0.2},
    ],
)
def test_config_and_weights_rebuild_it(params: dict[str, Any]) -> None:
    model = build(**params).eval()
    again = models.build("timm:test_resnet", model.config.model_dump(mode="json"), 5).eval()
    again.load_state_dict(model.state_dict())
    log_mel = clips(bands=params.get("n_mels", 40))
    assert again.config == model.config
    assert torch.equal(again(log_mel), model(log_mel))


def test_pretrained_weights_are_read_from_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import timm

    theirs = timm.create_model("test_resnet", in_chans=3)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    with caplog.at_level(logging.WARNING):
        model = models.build("timm:test_resnet", {"checkpoint": str(tmp_path)}, 5).eval()
    assert not caplog.records
    image = torch.randn(2, 1, 40, 101)
    ours: Any = model.backbone
    with torch.inference_mode():  # one channel is an image of three equal ones
        expected = theirs.eval().forward_features(image.expand(-1, 3, -1, -1))
        assert torch.allclose(ours.forward_features(image), expected, atol=1e-4)
    (tmp_path / "model.safetensors").unlink()
    again = models.build("timm:test_resnet", model.config.model_dump(mode="json"), 5)
    assert again.load_state_dict(model.state_dict())


def test_settings_say_which_weights() -> None:
    chosen: Any = models.configure("timm:resnet18", {})
    assert chosen.checkpoint == "timm/resnet18.a1_in1k"  # timm's own choice, as part of the run's key
    assert models.configure("timm:resnet18", SCRATCH).checkpoint is None  # type: ignore[attr-defined]


def test_weights_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="the weights of timm:resnet18 cannot be had: ") as caught:
        models.build("timm:resnet18", {}, 5)
    assert caught.value.hint is not None and "model.pretrained=false" in caught.value.hint
    with pytest.raises(MissingError, match=r"cannot be had: there is no .*model\.safetensors"):
        models.build("timm:resnet18", {"checkpoint": str(tmp_path)}, 5)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04K\x01.")  # a pickle is not even opened as one
    with pytest.raises(ConfigError, match="has not the weights of timm:test_resnet"):
        models.build("timm:test_resnet", {"checkpoint": str(tmp_path)}, 5)
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="has not the weights of timm:test_resnet"):
        models.build("timm:test_resnet", {"checkpoint": str(tmp_path)}, 5)


@pytest.mark.parametrize(
    ("name", "params", "message", "hint"),
    [
        (
            "timm:test_resnet",
            {"network": "resnet18"},
            "network is 'resnet18', but the name says 'test_resnet'",
            "leave it out",
        ),
        ("timm:resnet81", {}, "timm has no network 'resnet81'", "did you mean 'timm:resnet18'?"),
        (
            "timm:test_resnet",
            {"pool": "sum"},
            "models.timm:test_resnet.model.pool: input should be",
            "parameters",
        ),
        ("timm:test_resnet", {"loudest": 0.5} | SCRATCH, "average and loudest are settings of head: sed", ""),
        (
            "timm:test_resnet",
            {"checkpoint": "a/b"} | SCRATCH,
            "a checkpoint is named, and pretrained: false",
            "",
        ),
        (
            "timm:ghostnet_100",
            {"drop_path": 0.1} | SCRATCH,
            "timm:ghostnet_100 has no drop_path",
            "remove models",
        ),
        (
            "timm:swin_tiny_patch4_window7_224",
            SCRATCH,
            "gives no map over frequency and time",
            "convolutional",
        ),
        ("timm:coat_tiny", SCRATCH, "timm:coat_tiny ", "choose a convolutional network"),
        ("timm:test_byobnet", {"n_mels": 4}, "should be greater than or equal to 8, not 4", ""),
    ],
)
def test_what_cannot_be_is_told_in_a_line(name: str, params: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        models.build(name, params, 5)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_checkpointing_leaves_the_gradients() -> None:
    log_mel, gradients = clips(), []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = build(checkpointing=checkpointing)
        F.cross_entropy(model(log_mel), torch.arange(4)).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))


def test_logits_over_time() -> None:
    model = build(head="sed").eval()
    steps = model.frame_logits(clips())
    assert steps.shape[:2] == (4, 5) and steps.shape[2] > 1
    with pytest.raises(ConfigError, match="only head: sed has logits over time"):
        build().frame_logits(clips())


NAME = "timm:test_resnet"


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny competition without fillers, and a network with random weights."""
    path = tiny.make(tmp_path_factory.mktemp("timm"))
    text = path.read_text().replace("filler: unknown", "filler: null").replace(", unknown: 0.4", "")
    section = f"models:\n  {NAME}: {{model: {{pretrained: false, head: sed, drop_path: 0.1}}}}\n"
    path.write_text(text.replace("models:\n", section).replace("lr: 0.01", "lr: 0.003"))
    assert main(["--quiet", "-C", str(path), "fetch"]) == 0
    return path


def test_resumed_it_ends_with_the_same_weights(yaml: Path, tmp_path: Path) -> None:
    _config, _workspace, prepared = trainings.opened(yaml, "train.epochs=2")
    plan = resolve(prepared.config, NAME)
    (whole,), (killed,) = (make_folds(prepared, plan, tmp_path / name, [0]) for name in ("a", "b"))
    train_fold(whole)

    def kill(epoch: int, result: Score) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(killed, kill)
    train_fold(killed)
    ours, theirs = (checkpoint.load(fold.folder / WEIGHTS)[0] for fold in (whole, killed))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_a_whole_job(yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")

    def call(*argv: str) -> dict[str, Any]:
        return trainings.call(capsys, yaml, *argv)

    run, other = call("train", "--model", f"{NAME},gru")["runs"]
    folder = Path(run["folder"])
    assert (run["model"], folder.parent.name, other["model"]) == (NAME, "timm-test_resnet", "gru")
    assert call("train", "--model", NAME)["runs"][0]["run"] == run["run"]  # read again, not trained again
    assert train_again(folder).endswith(f"kagglekit train --model {NAME}")

    assert main(["--quiet", "-C", str(yaml), "tune", "--model", NAME, "--trials", "1", "--no-train"]) == 0
    assert call("train", "--tuned", "--model", NAME)["runs"][0]["model"] == NAME

    sent = call("submit", "--ensemble", f"{NAME}/{run['run']},gru")
    assert "gru+timm-test-resnet" in sent["csv"]
    exported = call("export", "--model", NAME, "--out", str(tmp_path / "a.onnx"))
    assert exported["error"] < 1e-3
    student = call("distill", "--teachers", f"{NAME},gru", "--model", NAME)
    assert Path(student["folder"]).parent == folder.parent
    assert call("doctor", "--deep")["checks"]
    call("report")
    assert not list(yaml.parent.rglob("*:*"))


@pytest.mark.parametrize("network", SMALL)
def test_small_networks_cost_what_is_listed(network: str) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = models.build(f"timm:{network}", SCRATCH | {"n_mels": 128}, 10).eval()
        before = counter.get_total_flops()  # of the probe
        model(torch.zeros(1, 128, 313))
    listed = SMALL[network]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == listed.parameters
    assert (counter.get_total_flops() - before) / 2e9 == pytest.approx(listed.giga_macs, abs=0.01)
    known: Any = models.configure(f"timm:{network}", {})
    assert known.checkpoint.startswith(f"timm/{network}.")  # timm has weights for each
