"""The architectures are the papers': as many parameters, and the same shapes on the way.

Counted are the trained numbers, but for the batch norm of the input, which is ours.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from kagglekit import models


def trained(model: nn.Module) -> int:
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("normalise."))


@pytest.mark.parametrize(
    ("depth", "width", "size"), [(8, 1.0, 65_836), (14, 1.0, 136_940), (14, 1.5, 304_620)]
)
def test_tcresnet(depth: int, width: float, size: int) -> None:
    # The paper says 66k, 137k and 305k. Its convolutions have no bias; four numbers are counted for each
    # channel of a batch norm, running mean and variance included: TC-ResNet8 has 64,524 weights of
    # convolutions and of the 12 classes, and 4 x (16 + 3 x 24 + 3 x 32 + 3 x 48).
    model = models.build("tcresnet", {"depth": depth, "width": width}, 12)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert sum(v.numel() for k, v in state.items() if not k.startswith("normalise.")) == size


@pytest.mark.parametrize(("repeats", "size"), [(1, 77_214), (2, 92_766)])
def test_matchboxnet(repeats: int, size: int) -> None:
    # The paper's 77k and 93k are of 64 MFCC and the 30 words of the first Speech Commands.
    # 40 mel bands and 12 classes make 71,556 and 87,108.
    assert trained(models.build("matchboxnet", {"n_mels": 64, "repeats": repeats}, 30)) == size


@pytest.mark.parametrize(
    ("width", "size"),
    # The paper's table: 9.2k, 17.2k, 27.3k, 54.2k, 188k, 321k.
    [(1, 9_232), (1.5, 17_154), (2, 27_284), (3, 54_168), (6, 187_812), (8, 321_068)],
)
def test_bcresnet(width: float, size: int) -> None:
    assert trained(models.build("bcresnet", {"width": width}, 12)) == size


@pytest.mark.parametrize(
    ("number", "size"),
    # The paper's table: 607k, 2,394k, 5,361k. Models that its code saved count 607,308 and 5,360,844
    # (ARM-software/keyword-transformer, models_data_v2_12_labels): 98 frames, one a step.
    [(1, 607_308), (2, 2_394_252), (3, 5_360_844)],
)
def test_kwt(number: int, size: int) -> None:
    assert trained(models.build("kwt", {"size": number, "stack": 1, "max_frames": 98}, 12)) == size


@pytest.mark.parametrize(
    ("depth", "size"),
    # The paper's table: 0.27M, 0.46M, 0.66M, 0.85M, with 10 classes and, as here not, three colours.
    [(20, 269_434), (32, 463_866), (44, 658_298), (56, 852_730)],
)
def test_resnet(depth: int, size: int) -> None:
    assert trained(models.build("resnet", {"depth": depth}, 10)) == size


def test_resnet_18() -> None:
    """11,176,512 in torchvision's, without its classifier; three shortcuts and two colours fewer."""
    shortcuts = sum(2 * c * c + 2 * 2 * c for c in (64, 128, 256))
    colours, classifier = 2 * 64 * 49, 512 * 10 + 10
    model = models.build("resnet", {"depth": 18, "width": 4}, 10)
    assert trained(model) == 11_176_512 - shortcuts - colours + classifier


def shapes(name: str, params: dict[str, Any], *parts: str) -> list[tuple[int, ...]]:
    """What comes out of each layer of the model's `parts`, for one clip of 101 frames."""
    model, found = models.build(name, params, 12).eval(), []
    for part in parts:
        for layer in model.get_submodule(part):
            layer.register_forward_hook(lambda _layer, _x, out: found.append(tuple(out.shape[1:])))
    model(torch.randn(1, 40, 101))
    return found


def test_shapes_of_bcresnet() -> None:  # the paper's table 1, c = 8
    stages = [(8, 20, 101)] * 2 + [(12, 10, 101)] * 2 + [(16, 5, 101)] * 4 + [(20, 5, 101)] * 4
    assert shapes("bcresnet", {}, "blocks") == stages
    assert shapes("bcresnet", {}, "first")[-1] == (16, 20, 101)
    last = shapes("bcresnet", {}, "last")
    assert last[0] == (20, 1, 101)
    assert last[-1] == (32, 1, 101)


def test_shapes_of_resnet() -> None:
    stages = [(16, 20, 51)] * 3 + [(32, 10, 26)] * 3 + [(64, 5, 13)] * 3
    assert shapes("resnet", {}, "body")[3:] == stages


def test_shapes_of_resnet_with_four_stages() -> None:
    stages = [(16, 10, 26), (32, 5, 13), (64, 3, 7), (128, 2, 4)]
    params = {"depth": 10, "pool": "mean_max"}
    assert shapes("resnet", params, "body")[4:] == stages
    model = models.build("resnet", params, 12)
    assert model(torch.randn(2, 40, 101)).shape == (2, 12)
    assert model.config.model_dump() == {
        "n_mels": 40,
        "depth": 10,
        "width": 1,
        "dropout": 0.3,
        "pool": "mean_max",
    }  # type: ignore[union-attr, operator]
    assert "pool" not in models.configure("resnet", {}).model_dump()  # as in runs of before


def test_shapes_of_tcresnet() -> None:
    found = shapes("tcresnet", {"depth": 8}, "blocks")
    assert [(shape[0], shape[-1]) for shape in found] == [(24, 51), (32, 26), (48, 13)]


def test_shapes_of_matchboxnet() -> None:
    channels = [shape[:2] for shape in shapes("matchboxnet", {}, "body")]
    assert channels[3:6] == [(64, 101)] * 3
    assert channels[0] == channels[6] == channels[-1] == (128, 101)


def test_shapes_of_kwt() -> None:
    assert shapes("kwt", {"stack": 1}, "layers") == [(102, 64)] * 12
