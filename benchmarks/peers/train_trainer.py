"""transformers' Trainer over the DataLoader of loader.py: train_trainer.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from loader import BATCH, WORKERS, load
from serve import serve
from steps import LR, Steps, build
from transformers import Trainer, TrainerCallback, TrainingArguments


class Classifier(torch.nn.Module):
    """A network as the Trainer wants it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.network(x)
        return {"loss": torch.nn.functional.cross_entropy(logits.float(), labels), "logits": logits}


class Clock(TrainerCallback):
    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.steps.end()


def main() -> None:
    folder = Path(sys.argv[1])
    steps = Steps()
    settings = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=BATCH,
        dataloader_num_workers=WORKERS,
        dataloader_persistent_workers=True,
        dataloader_drop_last=True,
        num_train_epochs=1,
        learning_rate=LR,
        bf16=(folder / "bf16").exists(),
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        Classifier(build(folder)), settings, train_dataset=load(folder), callbacks=[Clock(steps)]
    )
    serve(lambda: steps.facts(trainer.train().training_loss))


if __name__ == "__main__":
    main()
