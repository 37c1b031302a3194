"""Two networks as one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from kagglekit import models
from kagglekit.errors import ConfigError

SMALL = {"hidden": 16, "layers": 1}


@pytest.fixture
def cascade() -> torch.nn.Module:
    torch.manual_seed(0)
    return models.build("cascade-gru", SMALL, 5)  # three targets, silence, filler


def test_outputs_are_log_probabilities(cascade: torch.nn.Module) -> None:
    out = cascade.eval()(torch.randn(7, 40, 50))
    assert out.shape == (7, 5)
    torch.testing.assert_close(out.exp().sum(1), torch.ones(7))


@pytest.mark.parametrize(("label", "trained"), [(0, True), (2, True), (3, False), (4, False)])
def test_only_a_target_trains_the_words(cascade: torch.nn.Module, label: int, trained: bool) -> None:
    loss = functional.cross_entropy(cascade(torch.randn(4, 40, 50)), torch.full((4,), label))
    loss.backward()
    gate = max(p.grad.abs().max().item() for p in cascade.gate.parameters())
    words = max(p.grad.abs().max().item() for p in cascade.words.parameters())
    assert gate > 1e-5 and (words > 1e-5) == trained


def test_the_loss_is_the_sum_of_both_networks_own(cascade: torch.nn.Module) -> None:
    x = torch.randn(6, 40, 50)
    cascade.eval()
    own = functional.cross_entropy(cascade.gate(x), torch.full((6,), 2))  # "a target"
    own = own + functional.cross_entropy(cascade.words(x), torch.full((6,), 1))
    torch.testing.assert_close(functional.cross_entropy(cascade(x), torch.full((6,), 1)), own)


def test_rebuilt_from_name_and_parameters(cascade: torch.nn.Module) -> None:
    again = models.build("cascade-gru", cascade.config.model_dump(mode="json"), 5)
    again.load_state_dict(cascade.state_dict())
    x = torch.randn(2, 40, 50)
    torch.testing.assert_close(again.eval()(x), cascade.eval()(x))


def test_of_a_pretrained_network(tmp_path: Path) -> None:
    from support.checkpoints import save_tiny_wav2vec2

    folder = save_tiny_wav2vec2(tmp_path / "w", ["a", "b", "c"])
    cascade = models.build("cascade-wav2vec2", {"checkpoint": str(folder)}, 6)
    x = 0.1 * torch.randn(2, 16_000)
    again = models.build("cascade-wav2vec2", cascade.config.model_dump(mode="json"), 6)
    again.load_state_dict(cascade.state_dict())
    torch.testing.assert_close(again.eval()(x), cascade.eval()(x))


def test_of_nothing() -> None:
    with pytest.raises(ConfigError, match="there is no model 'cascade-gruu'") as caught:
        models.build("cascade-gruu", {}, 5)
    assert caught.value.hint == "did you mean 'gru'?"
