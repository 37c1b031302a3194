"""A cascade: a gate for silence, filler and target, and a second network for the targets.

Both have the same architecture. Together they return log-probabilities of all classes: the gate's for silence
and filler, and for a target the gate's plus the second network's. So the cross-entropy of a silence or filler
clip trains the gate alone, and that of a target trains each network on its own question: two losses in one
module, without a change to the training loop, checkpoints or prediction.

`cascade-gru` in place of `gru` selects it, with gru's settings and parameters. If a checkpoint is fine-tuned,
both networks start from it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from kagglekit.models import Architecture

GATED = 2
"""Number of classes after the targets: silence and filler, the last of Labels.classes."""


class Cascade(nn.Module):
    """The gate, and the network for the targets."""

    def __init__(self, gate: nn.Module, words: nn.Module) -> None:
        super().__init__()
        self.gate = gate
        self.words = words
        self.config = gate.config

    def forward(self, x: Tensor) -> Tensor:
        """The architecture's input (batch, ...) to log-probabilities (batch, targets + 2)."""
        gate = self.gate(x).float().log_softmax(1)  # (batch, 3): silence, filler, any target
        words = self.words(x).float().log_softmax(1)
        return torch.cat([words + gate[:, GATED:], gate[:, :GATED]], dim=1)


class CascadeArchitecture:
    """The architecture that makes a cascade of two networks of another."""

    def __init__(self, network: Architecture) -> None:
        self.network = network
        # both networks share the settings, and a search finds them for both
        self.Config, self.DEFAULTS, self.search_space = network.Config, network.DEFAULTS, network.search_space

    def build(self, config: Any, num_classes: int) -> Cascade:
        """Build both networks; the last two classes are silence and filler."""
        gate = self.network.build(config, GATED + 1)
        return Cascade(gate, self.network.build(config, num_classes - GATED))
