"""Heads on the maps of image networks; they need no timm."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kagglekit.models.image_heads import PlainHead, Pool, SedHead

MAPS = torch.randn(3, 8, 4, 6, generator=torch.Generator().manual_seed(0)).relu()
"""(batch, width, bands, steps)"""


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def sed(average: str = "logits", loudest: float = 0.0, pool: str = "mean") -> SedHead:
    return SedHead(8, 5, pool, 0.0, average, loudest)


def test_gem_lies_between_mean_and_max() -> None:
    gem = Pool("gem")
    assert gem.power is not None
    assert (Pool("mean")(MAPS) <= gem(MAPS)).all() and (gem(MAPS) <= Pool("max")(MAPS)).all()
    with torch.no_grad():
        gem.power.fill_(1.0)
    assert torch.allclose(gem(MAPS), Pool("mean")(MAPS), atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "gem", "max"])
def test_a_gradient_reaches_every_parameter(pool: str) -> None:
    for head in (PlainHead(8, 5, pool, 0.1), sed(pool=pool), sed("probs", 0.5, pool)):
        F.cross_entropy(head(MAPS), torch.tensor([0, 1, 2])).backward()
        assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def attention_block(head: SedHead) -> Tensor:
    """Clip-wise probabilities as Cnn14_DecisionLevelAtt and AttBlock of PANNs compute them."""
    x = MAPS.mean(2)
    x = F.max_pool1d(x, kernel_size=3, stride=1, padding=1) + F.avg_pool1d(
        x, kernel_size=3, stride=1, padding=1
    )
    hidden = head.hidden[1]
    assert isinstance(hidden, torch.nn.Conv1d) and hidden.bias is not None
    x = F.relu(F.linear(x.transpose(1, 2), hidden.weight[..., 0], hidden.bias)).transpose(1, 2)
    attention = torch.softmax(torch.clamp(head.score(x), -10, 10), dim=-1)
    return torch.sum(attention * torch.sigmoid(head.classes(x)), dim=2)


def test_probabilities_are_those_of_panns() -> None:
    head = sed("probs")
    assert torch.allclose(head(MAPS).sigmoid(), attention_block(head), atol=1e-6)


def test_loudest_is_the_share_of_the_loudest_step() -> None:
    head = sed()
    steps, attention = head.steps(MAPS)
    assert steps.shape == attention.shape == (3, 5, 6)
    assert torch.allclose(attention.sum(2), torch.ones(3, 5))
    clip = (attention * steps).sum(2)
    for share in (0.0, 0.5, 1.0):
        head.loudest = share
        assert torch.allclose(head(MAPS), (1 - share) * clip + share * steps.amax(2), atol=1e-6)
