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
from kagglekit.training.losses import loss_of
from kagglekit.training.optimizers import Ema, clip_gradients, make_optimizer, stop_at_nonfinite


def main() -> None:
    console.configure(quiet=True)
    folder = Path(sys.argv[1])
    name, clips = json.loads((folder / "network.json").read_text())[0], int((folder / "clips").read_text())
    job = job_for(name, clips)
    model = build(folder)
    train = job.plan.train
    optimizer, ema = make_optimizer(model, train), Ema(model, train.ema)
    batches, steps = epochs(job), Steps()

    def work() -> dict[str, float]:
        model.train()
        loss = torch.zeros(())
        for x, y, _ in itertools.islice(batches, len(job.batches)):
            loss = loss_of(model(x), y, train)  # the steps of kagglekit.training.loop
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = clip_gradients(model, train.clip_norm)
            stop_at_nonfinite(loss.detach(), norm, "a step", optimizer)
            optimizer.step()
            ema.update(model)
            steps.end()
        return steps.facts(float(loss.detach()))

    serve(work)


if __name__ == "__main__":
    main()
