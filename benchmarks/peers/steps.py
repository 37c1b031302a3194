"""What the trainings share: the network, from its name and parameters alone, and the time between steps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from kagglekit import models

LR = 1e-3


def build(folder: Path) -> torch.nn.Module:
    """The network that FOLDER/network.json names, with the same initial weights everywhere."""
    model, params, outputs = json.loads((folder / "network.json").read_text())
    torch.manual_seed(0)
    return models.build(model, params, outputs)


class Steps:
    """Ends of steps."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def end(self) -> None:
        self.ends.append(time.perf_counter())

    def facts(self, loss: float) -> dict[str, float]:
        """Seconds of all steps, the first counted as the mean of the others: some start workers in it."""
        ends, self.ends = self.ends, []
        return {
            "seconds": (ends[-1] - ends[0]) * len(ends) / (len(ends) - 1),
            "loss": loss,
            "steps": len(ends),
        }
