"""A plain loop on tensors in memory, with no data work but picking rows: train_plain.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from serve import serve
from steps import LR, Steps, build

BATCH = 128


def main() -> None:
    folder = Path(sys.argv[1])
    x, y = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("x", "y"))
    model, bf16, steps = build(folder), (folder / "bf16").exists(), Steps()
    optimizer = torch.optim.AdamW(model.parameters(), LR)

    def work() -> dict[str, float]:
        model.train()
        loss = torch.zeros(())
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                logits = model(x[rows])
            loss = torch.nn.functional.cross_entropy(logits.float(), y[rows])
            loss.backward()
            optimizer.step()
            steps.end()
        return steps.facts(float(loss.detach()))

    serve(work)


if __name__ == "__main__":
    main()
