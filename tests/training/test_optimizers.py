"""Steps, schedules, losses and the running mean, against hand computation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kagglekit.config import Train
from kagglekit.errors import KagglekitError
from kagglekit.training.optimizers import (
    Ema,
    clip_gradients,
    lr_factor,
    make_optimizer,
    stop_at_nonfinite,
)


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_ema_is_first_the_mean_of_the_steps_then_decays() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    ema = Ema(net, 0.5)
    wanted = 0.0
    for number in range(1, 21):
        nn.init.constant_(net.weight, float(number))
        ema.update(net)
        decay = min(0.5, number / (number + 10))
        wanted = decay * wanted + (1 - decay) * number
    assert ema.mean["weight"].item() == pytest.approx(wanted, rel=1e-6)


def test_decay_0_follows_the_weights() -> None:
    net = model()
    ema = Ema(net, 0.0)
    net(torch.randn(8, 3)).sum()  # moves the batch norm's buffers
    nn.init.ones_(net[0].weight)
    ema.update(net)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(ema.mean[name], value)
    assert ema.mean["1.num_batches_tracked"].item() == 1  # whole numbers are copied


def test_applied_gives_the_weights_back() -> None:
    net = model()
    ema = Ema(net, 0.9)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    ema.mean["0.weight"].fill_(5)

    def evaluate() -> None:
        with ema.applied(net):
            assert torch.equal(net[0].weight, torch.full((4, 3), 5.0))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        evaluate()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


KINDS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", KINDS)
def test_optimizers(name: str) -> None:
    net = model()
    net[2].weight.requires_grad_(False)
    optimizer = make_optimizer(net, Train(optimizer=name, lr=0.1, weight_decay=0.3))  # type: ignore[arg-type]
    assert type(optimizer) is KINDS[name]
    groups = {g["weight_decay"]: {id(p) for p in g["params"]} for g in optimizer.param_groups}
    assert groups == {
        0.3: {id(net[0].weight)},
        0.0: {id(net[0].bias), id(net[1].weight), id(net[1].bias), id(net[2].bias)},
    }
    before = net[0].weight.clone()
    net(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(net[0].weight, before)


def test_warm_up_and_cosine() -> None:
    train = Train(warmup=0.1, schedule="cosine")
    factors = [lr_factor(step, 100, train) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[10] == 1 and factors[55] == pytest.approx(0.5)
    assert factors[10:] == sorted(factors[10:], reverse=True) and 0 < factors[99] < 0.001
    assert lr_factor(100, 100, train) == pytest.approx(0, abs=1e-12)
    assert lr_factor(105, 100, train) == pytest.approx(0, abs=1e-12)  # not up again


def test_constant_and_no_warm_up() -> None:
    train = Train(warmup=0.5, schedule="constant")
    assert [lr_factor(step, 4, train) for step in range(4)] == [0.5, 1, 1, 1]
    assert lr_factor(0, 50, Train(warmup=0)) == 1
    assert lr_factor(0, 1, Train(warmup=1)) == 1


@pytest.mark.parametrize(("most", "after"), [(1.0, 1.0), (0.0, 5.0), (9.0, 5.0)])
def test_clip_gradients(most: float, after: float) -> None:
    net = nn.Linear(2, 1, bias=False)
    net.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradients(net, most).item() == pytest.approx(5)
    assert net.weight.grad.norm().item() == pytest.approx(after, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)]
)
def test_a_loss_that_is_not_finite(loss: float, norm: float) -> None:
    optimizer = make_optimizer(model(), Train(lr=0.3))
    stop_at_nonfinite(torch.tensor(1.0), torch.tensor(2.0), "epoch 5, step 9", optimizer)
    with pytest.raises(KagglekitError) as caught:
        stop_at_nonfinite(torch.tensor(loss), torch.tensor(norm), "epoch 5, step 9", optimizer)
    assert (
        str(caught.value)
        == f"the loss is {loss:g} (gradient norm {norm:g}) in epoch 5, step 9, learning rate 0.3"
    )
    assert caught.value.hint == "try a lower one: --set train.lr=0.1"
