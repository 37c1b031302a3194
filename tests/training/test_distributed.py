"""Two processes that share a batch train as one does."""

from __future__ import annotations

import json
import os
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
import torch
from support import tiny
from torch import nn

from kagglekit.cli import main
from kagglekit.training.distributed import SINGLE, World, joined

two_cores = pytest.mark.skipif(
    len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores"
)
PLAIN = [
    "train.bf16=false",
    "models.gru.model.dropout=0.0",
    "models.tcresnet.model.dropout=0.0",
    "train.epochs=4",
]


def train(yaml: Path, model: str, *options: str) -> list[dict[str, float]]:
    """The history of the one run."""
    settings = [word for setting in PLAIN for word in ("--set", setting)]
    assert main(["-C", str(yaml), "--quiet", "train", "--model", model, *settings, *options]) == 0
    (run,) = (yaml.parent / ".kagglekit/runs" / model).glob("*/history.parquet")
    return pl.read_parquet(run).sort("fold", "epoch").to_dicts()


@two_cores
@pytest.mark.slow
@pytest.mark.parametrize("model", ["gru", "tcresnet"])
def test_two_processes_have_the_losses_of_one(model: str, tmp_path: Path) -> None:
    histories = []
    for name, options in (("one", ["--set", "jobs=1"]), ("two", ["--processes", "2"])):
        yaml = tiny.make(tmp_path / name)
        assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
        histories.append(train(yaml, model, *options))
    one, two = histories
    assert len(one) == len(two) == 8
    assert [h["loss"] for h in two] == pytest.approx([h["loss"] for h in one], abs=1e-3)
    assert [h["cv"] for h in two] == pytest.approx([h["cv"] for h in one], abs=0.05)  # a clip or two
    assert len({h["loss"] for h in one}) == 8


@two_cores
def test_too_many_processes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = tiny.make(tmp_path)
    assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
    assert main(["-C", str(yaml), "--quiet", "train", "--model", "gru", "--processes", "1000"]) == 1
    assert "error: processes is 1000, with " in capsys.readouterr().err


def norm_and_gradient(rank: int, size: int, meeting: Path, out: Path) -> None:
    """A batch norm's output and gradient on this process's part of a batch, into a file."""
    torch.manual_seed(0)
    x, weight = torch.randn(7, 3, 5), torch.randn(7, 3, 5)
    with joined(rank, size, meeting) as world:
        part = world.shard(x).clone().requires_grad_()
        model = world.sync_batch_norms(nn.Sequential(nn.BatchNorm1d(3)))
        y = model(part)
        (y * world.shard(weight)).sum().backward()
        world.reduce_gradients(model)
        assert isinstance(model, nn.Sequential) and part.grad is not None
        norm = model[0]
        found = {"y": y, "grad": part.grad, "weight": norm.weight.grad}
        found |= {"mean": norm.running_mean, "var": norm.running_var}
        found["total"] = world.all_reduce(torch.tensor(float(rank + 1)))
        out.write_text(json.dumps({name: value.tolist() for name, value in found.items()}))


@two_cores
def test_a_batch_norm_of_two_processes_is_one(tmp_path: Path) -> None:
    context = get_context("spawn")
    files = [tmp_path / f"{rank}.json" for rank in range(2)]
    children = [
        context.Process(target=norm_and_gradient, args=(rank, 2, tmp_path / "meeting", files[rank]))
        for rank in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    torch.manual_seed(0)
    x, weight = torch.randn(7, 3, 5), torch.randn(7, 3, 5)
    x.requires_grad_()
    norm = nn.BatchNorm1d(3)
    y = norm(x)
    (y * weight).sum().backward()
    assert x.grad is not None and norm.weight.grad is not None
    for rank, file in enumerate(files):
        found = {name: torch.tensor(value) for name, value in json.loads(file.read_text()).items()}
        torch.testing.assert_close(found["y"], y[rank::2].detach())
        torch.testing.assert_close(found["grad"], x.grad[rank::2], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found["weight"], norm.weight.grad, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found["mean"], norm.running_mean)
        torch.testing.assert_close(found["var"], norm.running_var)
        assert found["total"] == 3


def test_a_single_process_changes_nothing() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    norm, batch = model[0], torch.randn(4, 3)
    assert SINGLE.shard(batch).equal(batch) and SINGLE.sync_batch_norms(model) is model and model[0] is norm
    assert SINGLE.is_main and not World(1, 2).is_main
    assert World(1, 2).shard(batch).equal(batch[1::2])


class NormThenReLU(nn.BatchNorm2d):
    """A norm with an activation behind it, as timm has them."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


def test_a_norm_keeps_the_activation_behind_it() -> None:
    x = torch.randn(2, 3, 4, 4)
    model = nn.Sequential(NormThenReLU(3)).eval()
    expected, names = model(x), list(model.state_dict())
    whole = World(0, 2).sync_batch_norms(model).eval()
    assert not isinstance(whole[0], NormThenReLU)
    assert torch.equal(whole(x), expected) and list(whole.state_dict()) == names
