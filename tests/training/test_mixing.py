"""Mixup and cutmix: sounds, targets, and what is known of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import DOMAINS
from kagglekit.training.loss_weights import LossWeights
from kagglekit.training.mixing import AUDIBLE, Mixing, draw

WAVEFORM, LOG_MEL = DOMAINS["waveform"], DOMAINS["log_mel"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixing(lam: float, *, cut: float | None = None, union: bool = False) -> Mixing:
    """Two clips, each mixed with the other."""
    place = None if cut is None else torch.tensor([cut, cut])
    return Mixing(torch.tensor([1, 0]), torch.tensor([lam, lam]), place, union)


def test_nothing_is_drawn_where_nothing_is_mixed() -> None:
    generator = seeded()
    assert draw(8, Augment(), generator) is None
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_a_share_of_the_clips_is_mixed() -> None:
    drawn = draw(1000, Augment(mixup=1.0, mix_share=0.25), seeded())
    assert drawn is not None
    kept = drawn.lam == 1
    assert 700 < int(kept.sum()) < 800
    assert torch.equal(drawn.other[kept], torch.arange(1000)[kept])


def test_half_of_the_batches_are_cut_where_both_are_on() -> None:
    generator, settings = seeded(), Augment(mixup=0.4, cutmix=1.0)
    drawn = [draw(4, settings, generator) for _ in range(200)]
    assert 70 < sum(d is not None and d.cut is not None for d in drawn) < 130
    alone = draw(4, Augment(cutmix=1.0), generator)
    assert alone is not None and alone.cut is not None


def test_of_a_union_both_are_heard() -> None:
    drawn = draw(500, Augment(mixup=0.1, mix_labels="union"), seeded())
    assert drawn is not None and drawn.lam.min() == AUDIBLE and drawn.lam.max() == 1 - AUDIBLE


@pytest.mark.parametrize("bands", [0, 3])
def test_cutmix_puts_a_segment_of_the_other_in_place(bands: int) -> None:
    x = torch.stack([torch.zeros(10), torch.ones(10)])
    x = x[:, None].repeat(1, bands, 1) if bands else x
    mixed = mixing(0.7, cut=0.5).sounds(x, Augment(), WAVEFORM, 10)
    first = mixed[0, 0] if bands else mixed[0]
    assert first.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert torch.equal(mixed[1], 1 - mixed[0])
    y = torch.eye(2)
    torch.testing.assert_close(mixing(0.7, cut=0.5).targets(y, single=True)[0], torch.tensor([0.7, 0.3]))


def loudness(x: Tensor) -> Tensor:
    return x.square().mean(1).sqrt()


@pytest.mark.parametrize("lam", [0.2, 0.5, 0.9])
def test_a_mixture_is_heard_as_lam_says_whatever_the_levels(lam: float) -> None:
    tones = torch.sin(torch.arange(16_000) * torch.tensor([[0.3], [1.1]]))
    x = tones * torch.tensor([[0.5], [0.005]])  # 40 dB apart
    mixed = mixing(lam).sounds(x, Augment(mixup_ratio="loudness"), WAVEFORM, 16_000)
    parts = mixed[0] @ tones.T / 8000  # amplitude of each tone, as they are orthogonal
    assert (parts[0] / (parts[0] + parts[1])).item() == pytest.approx(lam, abs=0.01)
    powers = x.square().clamp(min=1e-9).log()[:, None].repeat(1, 4, 1)
    image = mixing(lam).sounds(powers, Augment(mixup_ratio="loudness"), LOG_MEL, 100)
    assert image.shape == powers.shape and image.isfinite().all()


def test_targets_of_a_union() -> None:
    y = torch.tensor([[1.0, 0.0, 0.3], [0.0, 1.0, 0.6]])
    both = mixing(0.4, union=True).targets(y, single=False)
    assert torch.equal(both, torch.tensor([[1.0, 1.0, 0.6], [1.0, 1.0, 0.6]]))
    assert mixing(0.4, union=True).targets(torch.eye(2), single=True).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_masked_stays_masked_in_a_union_unless_the_other_clip_has_the_class() -> None:
    #                      has it, other unknown | lacks it, other unknown | both know | neither
    known = torch.tensor([[True, True, True, False], [False, False, True, False]])
    y = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    weights = LossWeights(torch.tensor([1.0, 3.0]), known)
    chosen = torch.tensor([0, 1])
    union = weights.of_batch(chosen, mixing(0.4, union=True), y)
    assert union.tolist() == [[2, 0, 2, 0], [2, 0, 2, 0]]
    weighted = weights.of_batch(chosen, mixing(0.25), y)
    assert weighted.tolist() == [[0, 0, 2.5, 0], [0, 0, 1.5, 0]]
