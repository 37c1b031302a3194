"""A network for silence and filler before one for the targets, both of one architecture.

The gate tells silence, filler and target apart, the second network the targets. Together they give
the log-probabilities of all classes: the gate's own, and for a target the gate's times the second's. So
the cross-entropy of a silence or filler clip trains the gate alone, that of a target each network on
its own question. What a sum of two cross-entropies would be is thus one module and one loss, and the
loop, checkpoints, and prediction need not know of it.

`cascade-gru` in place of `gru` names it; settings and parameters are those of gru. Where a checkpoint
is fine-tuned, both networks start from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kagglekit.config.base import Section

if TYPE_CHECKING:
    from optuna import Trial

    from kagglekit.models import Architecture

GATED = 2
"""Classes behind the targets: silence and filler, in the order of Labels.classes."""


class Cascade(nn.Module):
    """Gate, then words."""

    def __init__(self, gate: nn.Module, words: nn.Module) -> None:
        super().__init__()
        self.gate = gate
        self.words = words
        self.config = gate.config

    def forward(self, x: Tensor) -> Tensor:
        """Classify what one of the networks takes.

        Args:
            x: (batch, ...), as the architecture hears it.

        Returns:
            Log-probabilities (batch, targets + 2): targets, silence, filler.
        """
        gate = self.gate(x).float().log_softmax(1)  # (batch, 3): silence, filler, any target
        words = self.words(x).float().log_softmax(1)
        return torch.cat([words + gate[:, GATED:], gate[:, :GATED]], dim=1)


class CascadeOf:
    """An architecture whose networks come in pairs."""

    def __init__(self, network: Architecture) -> None:
        self.network = network
        self.DEFAULTS = network.DEFAULTS

    @property
    def Config(self) -> type[Section]:
        """The network's own."""
        return self.network.Config

    def build(self, config: Any, num_classes: int) -> Cascade:
        """An untrained pair, or one from a checkpoint; the last two classes are silence and filler."""
        gate = self.network.build(config, GATED + 1)
        return Cascade(gate, self.network.build(config, num_classes - GATED))

    def search_space(self, trial: Trial) -> dict[str, Any]:
        """The network's own; both share it."""
        return self.network.search_space(trial)


def of(network: Architecture) -> CascadeOf:
    """The cascade of an architecture's networks."""
    return CascadeOf(network)
