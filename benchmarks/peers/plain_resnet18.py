"""Steps of a plain ResNet-18 (arXiv:1512.03385) on random images: plain_resnet18.py BATCH BANDS FRAMES"""

from __future__ import annotations

import sys

import torch
from serve import serve
from torch import Tensor, nn
from torch.nn import functional

BATCH, BANDS, FRAMES = map(int, sys.argv[1:4])
CLASSES = 50


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in range(2))
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(y)) + self.shortcut(x))


def resnet18() -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(1, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    for inputs, outputs in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [Block(inputs, outputs, 1 if inputs == outputs else 2), Block(outputs, outputs, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))


NETWORK = resnet18().to(memory_format=torch.channels_last)
OPTIMIZER = torch.optim.AdamW(NETWORK.parameters())
X = torch.randn(BATCH, 1, BANDS, FRAMES).to(memory_format=torch.channels_last)
Y = torch.randint(CLASSES, (BATCH,))


def work() -> dict[str, float]:
    OPTIMIZER.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(NETWORK(X), Y)
    loss.backward()
    OPTIMIZER.step()
    return {"loss": loss.item()}


if __name__ == "__main__":
    serve(work)
