"""Filters against the gains that their formulas give, by tones."""

from __future__ import annotations

import math

import pytest
import torch
from support.augments import OFF
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import DOMAINS
from kagglekit.training.augmenter import Augmenter
from kagglekit.training.filters import fast_size, filtered

RATE = 16_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def settings(**changes: object) -> Augment:
    return OFF.model_copy(update=changes)


def gain_db(hertz: float, augment: Augment) -> float:
    """Gain of a tone, away from the clip's ends."""
    x = torch.sin(2 * math.pi * hertz / RATE * torch.arange(RATE, dtype=torch.float64))[None].float()
    y = filtered(x.clone(), augment, RATE, seeded())
    middle = slice(RATE // 4, -RATE // 4)
    return float(20 * (y[:, middle].norm() / x[:, middle].norm()).log10())


@pytest.mark.parametrize(
    ("hertz", "low", "high"), [(1000, -3.01, -3.01), (4000, -24.1, -0.02), (250, -0.02, -24.1)]
)
def test_12_db_per_octave(hertz: float, low: float, high: float) -> None:
    cut = (1000.0, 1000.0)
    assert gain_db(hertz, settings(lowpass=1.0, lowpass_hz=cut)) == pytest.approx(low, abs=0.05)
    assert gain_db(hertz, settings(highpass=1.0, highpass_hz=cut)) == pytest.approx(high, abs=0.05)
    both = settings(bandpass=1.0, lowpass_hz=cut, highpass_hz=cut)
    assert gain_db(hertz, both) == pytest.approx(low + high, abs=0.1)


def test_an_equaliser_changes_levels_by_its_deviation() -> None:
    x = torch.randn(400, 2000, generator=seeded())
    gains = [
        20 * (y.norm() / x[0].norm()).log10()
        for y in filtered(x[:1].repeat(400, 1), settings(eq=1.0, eq_db=6.0), RATE, seeded())
    ]
    assert 2 < float(torch.stack(gains).std()) < 7  # a mean over the curve's bands
    torch.testing.assert_close(
        filtered(x.clone(), settings(eq=1.0, eq_db=0.0), RATE, seeded()), x, atol=1e-5, rtol=0
    )


def test_only_the_drawn_share_is_filtered() -> None:
    x = torch.randn(400, 500, generator=seeded())
    y = filtered(x.clone(), settings(lowpass=0.3), RATE, seeded(1))
    same = (y == x).all(1)
    assert 240 < int(same.sum()) < 320
    assert torch.equal(filtered(x.clone(), settings(lowpass=1e-9), RATE, seeded()), x)


def test_the_end_does_not_ring_into_the_start() -> None:
    x = torch.zeros(1, 8000)
    x[0, -1] = 1
    y = filtered(x.clone(), settings(lowpass=1.0, lowpass_hz=(500.0, 500.0)), RATE, seeded())
    assert float(y[0, :400].abs().max()) < 1e-3 * float(y.abs().max())


@pytest.mark.parametrize("least", [1, 2, 7, 997, 16_001, 161_600])
def test_fast_sizes(least: int) -> None:
    size = left = fast_size(least)
    for prime in (2, 3, 5):
        while left % prime == 0:
            left //= prime
    assert left == 1 and size % 2 == 0 and least <= size <= max(1.2 * least, least + 1)


def test_polarity_inverts_its_share() -> None:
    x = torch.rand(1000, 4, generator=seeded())
    y = Augmenter(settings(polarity=0.5), DOMAINS["waveform"], RATE, None)(x.clone(), seeded(1))
    signs: Tensor = (y / x).round()
    assert set(signs.flatten().tolist()) == {1.0, -1.0} and torch.equal(signs[:, 0], signs[:, 3])
    assert 420 < int((signs[:, 0] < 0).sum()) < 580
