"""Weights and the state of an optimizer, to disk and back, bit by bit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from kagglekit.config import Train
from kagglekit.errors import MissingError
from kagglekit.training import checkpoint
from kagglekit.training.optimizers import make_optimizer


def test_round_trip(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {
        "a": base,
        "shared": base[:2],
        "turned": base.T,
        "count": torch.tensor(7),
        "half": base.bfloat16(),
    }
    checkpoint.save(tmp_path / "w.safetensors", tensors, {"history": [{"cv": 0.5}], "ü": None})
    found, state = checkpoint.load(tmp_path / "w.safetensors")
    assert state == {"history": [{"cv": 0.5}], "ü": None}
    assert set(found) == set(tensors)
    assert all(torch.equal(found[n], t) and found[n].dtype == t.dtype for n, t in tensors.items())
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["w.safetensors"]


def test_a_failing_save_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, {"a": torch.ones(2)})
    with pytest.raises(TypeError):
        checkpoint.save(path, {"a": torch.zeros(2)}, {"not JSON": object()})
    assert torch.equal(checkpoint.load(path)[0]["a"], torch.ones(2))


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "absent":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "cut": data[:-20], "text": b"no tensors here" * 9, "pickle": b"\x80\x02." * 50}[
                how
            ]
        )


@pytest.mark.parametrize("how", ["absent", "empty", "cut", "text", "pickle"])
def test_a_damaged_file_is_named(how: str, tmp_path: Path) -> None:
    path = tmp_path / "fold_0" / "w.safetensors"
    path.parent.mkdir()
    checkpoint.save(path, {"a": torch.ones(64)})
    damage(path, how)
    with pytest.raises(MissingError) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value) and str(path.parent) in str(caught.value.hint)


def test_load_weights(tmp_path: Path) -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    checkpoint.save(tmp_path / "w", model.state_dict())
    checkpoint.load_weights(other, tmp_path / "w", "train again")
    assert torch.equal(other.weight, model.weight) and torch.equal(other.bias, model.bias)
    with pytest.raises(MissingError, match="does not fit the model: size mismatch for bias") as caught:
        checkpoint.load_weights(nn.Linear(3, 4), tmp_path / "w", "train again")
    assert caught.value.hint == "train again"


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["adamw", "adam", "adamax", "sgd", "rmsprop"])
def test_an_optimizer_goes_on_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    train = Train(optimizer=name)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    optimizer = make_optimizer(model, train)
    for seed in range(3):
        step(model, optimizer, seed)
    moments = checkpoint.optimizer_tensors(optimizer)
    assert moments and all(key.startswith("optim.") for key in moments)
    checkpoint.save(tmp_path / "w", {f"model.{k}": v for k, v in model.state_dict().items()} | moments)

    again = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    resumed = make_optimizer(again, train)
    tensors, _ = checkpoint.load(tmp_path / "w")
    again.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    checkpoint.restore_optimizer(resumed, tensors)
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(again, resumed, seed)
    for (key, value), other in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(value, other), key


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_says_who_may_read_weights(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        checkpoint.save(tmp_path / "run" / "x.safetensors", {"a": torch.zeros(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run" / "x.safetensors").stat().st_mode) == mode
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["x.safetensors"]
