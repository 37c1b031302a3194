"""Clips without labels in a student's epochs: a share drawn anew, some of it added to labelled clips."""

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.data.clips import WITHOUT_LABELS
from kagglekit.training.mixing import Mixing


class SoftShare:
    """What an epoch consists of.

    Args:
        clips: what a fold trains on.
        share: of an epoch's clips that are drawn from those without labels; 0: these are in every epoch.
    """

    def __init__(self, clips: pl.DataFrame, share: float) -> None:
        soft = clips["split"].is_in(WITHOUT_LABELS).to_numpy()
        self.soft = torch.from_numpy(soft)
        self.always = np.arange(len(clips))
        self.drawn = np.empty(0, np.int64)
        self.count = len(clips)
        """Clips of an epoch."""
        if share and soft.any() and not soft.all():
            self.always, self.drawn = np.flatnonzero(~soft), np.flatnonzero(soft)
            self.count = len(self.always) + max(round(len(self.always) * share / (1 - share)), 1)

    def order(self, chance: Tensor | None, generator: torch.Generator) -> NDArray[np.int64]:
        """Shuffle the clips of an epoch.

        Args:
            chance: (clips,), by which labelled clips are drawn; None: each is in every epoch.
        """
        count = len(self.always)
        if chance is None:
            order = torch.randperm(count, generator=generator).numpy()
        else:
            order = chance[self.always].multinomial(count, replacement=True, generator=generator).numpy()
        if not len(self.drawn):
            return order
        pool, wanted = torch.from_numpy(self.drawn), self.count - count
        turns = [pool[torch.randperm(len(pool), generator=generator)] for _ in range(-(-wanted // len(pool)))]
        order = np.concatenate([self.always[order], torch.cat(turns)[:wanted].numpy()])
        shuffled: NDArray[np.int64] = order[torch.randperm(len(order), generator=generator).numpy()]
        return shuffled

    def adding(self, chosen: Tensor, share: float, generator: torch.Generator) -> Mixing | None:
        """Draw a clip without labels of the batch for a share of its labelled ones; None: there are none.

        Args:
            chosen: (batch,), the clips.
        """
        pool, place = self.soft[chosen].nonzero()[:, 0], torch.arange(len(chosen))
        if not share or len(pool) == 0:
            return None
        mixed = ~self.soft[chosen] & (torch.rand(len(chosen), generator=generator) < share)
        other = pool[torch.randint(len(pool), (len(chosen),), generator=generator)]
        return Mixing(torch.where(mixed, other, place), 1 - 0.5 * mixed.float(), None, union=True)
