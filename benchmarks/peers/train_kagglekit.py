"""An epoch of kagglekit's loop, augmentation included: train_kagglekit.py FOLDER (which names the model)"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))

from serve import serve
from speech_mini import epochs, job_for
from steps import Steps, build

from kagglekit.terminal import console
from kagglekit.training.learner import train_step
from kagglekit.training.optimizers import Ema, make_optimizer


def main() -> None:
    console.configure(quiet=True)
    folder = Path(sys.argv[1])
    name, clips = json.loads((folder / "network.json").read_text())[0], int((folder / "clips").read_text())
    job = job_for(name, clips)
    model = build(folder)
    optimizer, ema = make_optimizer(model, job.plan.train), Ema(model, job.plan.train.ema)
    batches, steps = epochs(job), Steps()

    def work() -> dict[str, float]:
        model.train()
        loss = torch.zeros(())
        for x, y in itertools.islice(batches, len(job.batches)):
            loss = train_step(model, optimizer, ema, x, y, job.plan.train, "a step")
            steps.end()
        return steps.facts(float(loss.detach()))

    serve(work)


if __name__ == "__main__":
    main()
