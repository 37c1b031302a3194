"""Bidirectional LSTM with attention pooling.

Papers: Hochreiter, Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; the projection: Sak,
Senior, Beaufays 2014, https://arxiv.org/abs/1402.1128; those in gru.py.
Reference code: torch.nn.LSTM. What we changed: the forget gate's bias starts at 1, so it starts open
(Jozefowicz, Zaremba, Sutskever 2015, https://proceedings.mlr.press/v37/jozefowicz15.html).
"""

import warnings
from functools import partial
from typing import Annotated, Self

from pydantic import Field, model_validator
from torch import nn

from kagglekit.models import gru
from kagglekit.models.gru import DEFAULTS, RecurrentClassifier, search_space

__all__ = ["DEFAULTS", "Config", "build", "search_space"]


class Config(gru.Config):
    """Settings of an LSTM."""

    projection: Annotated[int, Field(ge=0, le=1023)] = 0
    """Width to which each layer projects its outputs, below `hidden`; 0: no projection."""

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if self.projection >= self.hidden:
            raise ValueError(f"projection {self.projection} must be below hidden {self.hidden}")
        return self


def build(config: Config, num_classes: int) -> RecurrentClassifier:
    """Build an LSTM with random weights."""
    if config.projection:  # torch warns that oneDNN, which would be faster, has no projections
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    model = RecurrentClassifier(partial(nn.LSTM, proj_size=config.projection), config, num_classes)
    for name, parameter in model.recurrent.named_parameters():
        if name.startswith("bias_ih"):  # gates in the order input, forget, cell, output
            nn.init.ones_(parameter.data[config.hidden : 2 * config.hidden])
    return model
