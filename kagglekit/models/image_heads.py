"""Heads that classify the feature maps of image networks: pooled at once, or step by step in time.

Papers: generalised mean, Radenović, Tolias, Chum 2017, https://arxiv.org/abs/1711.02512; attention over time,
PANNs, Kong et al. 2020, https://arxiv.org/abs/1912.10211, section 4.1.
Reference code: qiuqiangkong/audioset_tagging_cnn, pytorch/models.py (AttBlock, Cnn14_DecisionLevelAtt).
What we changed: the clip's output is a logit, also where attention averages probabilities; the clip's loudest
step can have a share in it, as in the winners' heads of BirdCLEF.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_SCORE = 10.0  # attention scores are cut there, so that no step has all attention (AttBlock)
LEAST_PROB = 1e-6


class Pool(nn.Module):
    """Pool the last axis: by mean, gem or max."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.power = nn.Parameter(torch.tensor(3.0)) if kind == "gem" else None  # the paper's start

    def forward(self, x: Tensor) -> Tensor:
        """(..., values) to (...)."""
        if self.power is not None:
            return x.float().clamp(min=LEAST_PROB).pow(self.power).mean(-1).pow(1 / self.power)
        return x.amax(-1) if self.kind == "max" else x.mean(-1)


class PlainHead(nn.Module):
    """Pooling over frequency and time, and a classifier."""

    def __init__(self, width: int, num_classes: int, pool: str, dropout: float) -> None:
        super().__init__()
        self.pool = Pool(pool)
        self.classes = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, width, bands, steps) to logits (batch, num_classes)."""
        logits: Tensor = self.classes(self.pool(maps.flatten(2)))
        return logits


class SedHead(nn.Module):
    """Pooling over frequency, a classifier of each step in time, and attention over the steps."""

    def __init__(
        self, width: int, num_classes: int, pool: str, dropout: float, average: str, loudest: float
    ) -> None:
        super().__init__()
        self.average, self.loudest = average, loudest
        self.pool = Pool(pool)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Dropout(dropout)
        )
        self.score = nn.Conv1d(width, num_classes, 1)
        self.classes = nn.Conv1d(width, num_classes, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, width, bands, steps) to logits (batch, num_classes)."""
        steps, attention = self.steps(maps)
        if self.average == "probs":
            clip = (attention * steps.sigmoid()).sum(2).clamp(LEAST_PROB, 1 - LEAST_PROB)
            clip = clip.log() - (1 - clip).log()
        else:
            clip = (attention * steps).sum(2)
        return torch.lerp(clip, steps.amax(2), self.loudest) if self.loudest else clip

    def steps(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, width, bands, steps) to logits and attention of each step, (batch, num_classes, steps)."""
        x = self.pool(maps.transpose(2, 3))  # (batch, width, steps)
        x = F.max_pool1d(x, 3, 1, 1) + F.avg_pool1d(x, 3, 1, 1)
        x = self.hidden(x)
        score = self.score(x).float().clamp(-MOST_SCORE, MOST_SCORE)
        return self.classes(x).float(), score.softmax(2)
