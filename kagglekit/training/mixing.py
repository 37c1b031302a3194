"""Mix the clips of a batch, their targets, and what is known of them: mixup and cutmix."""

from typing import NamedTuple

import torch
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import Domain, Waveform

LIKELY = 0.5
"""A target above it says that a class is there."""
AUDIBLE = 0.1
"""Smallest ratio of a clip in a union, whose targets say that both are heard."""


class Mixing(NamedTuple):
    """Which clips of a batch are mixed with which, and how."""

    other: Tensor
    """(batch,), the place of the clip that each is mixed with; its own where it is not mixed."""
    lam: Tensor
    """(batch,), the ratio of its own sound; 1 where it is not mixed."""
    cut: Tensor | None
    """(batch,), where the other's segment starts, as a share of the time that is left; None: mixup."""
    union: bool
    """Whether targets are those of both clips."""

    @property
    def share(self) -> Tensor:
        """The share of a clip's own target and weight, (batch,)."""
        return torch.where(self.lam < 1, 0.5, 1.0) if self.union else self.lam

    def sounds(self, x: Tensor, settings: Augment, domain: Domain, rate: float) -> Tensor:
        """Mix x (batch, ..., time), of `rate` steps per second."""
        lam, other = self.lam.to(x.device), self.other.to(x.device)
        if self.cut is not None:
            time = torch.arange(x.shape[-1], device=x.device)
            length = ((1 - lam) * x.shape[-1]).round().long()
            start = (self.cut.to(x.device) * (x.shape[-1] - length)).long()
            inside = (time >= start[:, None]) & (time < (start + length)[:, None])
            return torch.where(inside[:, None, :] if x.ndim == 3 else inside, x[other], x)
        if settings.mixup_ratio == "loudness":
            return domain.mix_as_heard(x, other, lam, rate)
        if isinstance(domain, Waveform):
            return domain.blend(x, other, lam, 1 - lam)
        wide = lam.view(-1, *[1] * (x.ndim - 1))
        return wide * x + (1 - wide) * x[other]

    def targets(self, y: Tensor, single: bool) -> Tensor:
        """Mix targets y (batch, outputs); those of a union have a sum of 1 where clips have one class."""
        if not self.union:
            return self.lam[:, None] * y + (1 - self.lam[:, None]) * y[self.other]
        both = torch.maximum(y, y[self.other])
        return both / both.sum(1, keepdim=True) if single else both

    def known(self, known: Tensor, y: Tensor | None) -> Tensor:
        """Return what is known of mixtures, (batch, outputs): what is known of both clips.

        In a union, a class that is known to be in one of them is also known to be in the mixture.

        Args:
            known: (batch, outputs), of the clips.
            y: (batch, outputs), targets before they are mixed.
        """
        both = known & known[self.other]
        if not self.union or y is None:
            return both
        there = known & (y > LIKELY)
        return both | there | there[self.other]


def draw(count: int, settings: Augment, generator: torch.Generator) -> Mixing | None:
    """Draw how a batch of `count` clips is mixed; None where settings mix none."""
    alpha, cuts = settings.mixup, False
    if settings.cutmix:
        cuts = not alpha or bool(torch.rand((), generator=generator) < 0.5)
        alpha = settings.cutmix if cuts else alpha
    if not alpha:
        return None
    gamma = torch._standard_gamma(torch.full((count, 2), alpha), generator=generator)
    lam = (gamma[:, 0] / gamma.sum(1)).clamp(0, 1)
    other = torch.randperm(count, generator=generator)
    if settings.mix_labels == "union":
        lam = lam.clamp(AUDIBLE, 1 - AUDIBLE)
    if settings.mix_share < 1:
        kept = torch.rand(count, generator=generator) >= settings.mix_share
        lam, other = lam.masked_fill(kept, 1), torch.where(kept, torch.arange(count), other)
    cut = torch.rand(count, generator=generator) if cuts else None
    return Mixing(other, lam, cut, settings.mix_labels == "union")
