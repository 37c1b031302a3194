"""Lightning over the DataLoader of loader.py: train_lightning.py FOLDER"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from loader import load, loader
from serve import serve
from steps import LR, Steps, build


class Classifier(lightning.LightningModule):
    def __init__(self, network: torch.nn.Module, steps: Steps) -> None:
        super().__init__()
        self.network, self.steps, self.last = network, steps, 0.0

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.network(batch["x"]).float(), batch["labels"])

    def on_train_batch_end(self, outputs: Any, *_: Any) -> None:
        self.last = float(outputs["loss"])
        self.steps.end()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), LR)


def main() -> None:
    warnings.filterwarnings("ignore")
    folder = Path(sys.argv[1])
    steps = Steps()
    model, batches = Classifier(build(folder), steps), loader(load(folder))
    precision: Any = "bf16-mixed" if (folder / "bf16").exists() else "32-true"

    def work() -> dict[str, float]:
        trainer = lightning.Trainer(
            accelerator="cpu",
            precision=precision,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, batches)
        return steps.facts(model.last)

    serve(work)


if __name__ == "__main__":
    main()
