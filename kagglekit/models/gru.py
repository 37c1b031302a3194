"""Bidirectional GRU with attention pooling.

Papers: Cho and others 2014, https://arxiv.org/abs/1406.1078; those in recurrent.py.
Reference code: torch.nn.GRU. What we changed: nothing.
"""

from functools import partial

from torch import nn

from kagglekit.models.recurrent import DEFAULTS, Config, RecurrentClassifier, search_space

__all__ = ["DEFAULTS", "Config", "build", "search_space"]

build = partial(RecurrentClassifier, nn.GRU)
