"""Bidirectional LSTM with attention pooling.

Papers: Hochreiter, Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; those in recurrent.py.
Reference code: torch.nn.LSTM. What we changed: the forget gate starts open, its bias at 1
(Jozefowicz, Zaremba, Sutskever 2015, https://proceedings.mlr.press/v37/jozefowicz15.html).
"""

from __future__ import annotations

from torch import nn

from kagglekit.models.recurrent import DEFAULTS, Config, RecurrentClassifier, search_space

__all__ = ["DEFAULTS", "Config", "build", "search_space"]


def build(config: Config, num_classes: int) -> RecurrentClassifier:
    """An untrained LSTM."""
    model = RecurrentClassifier(nn.LSTM, config, num_classes)
    for name, parameter in model.recurrent.named_parameters():
        if name.startswith("bias_ih"):  # gates in the order input, forget, cell, output
            nn.init.ones_(parameter.data[config.hidden : 2 * config.hidden])
    return model
