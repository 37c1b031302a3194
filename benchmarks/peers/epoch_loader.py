"""An epoch of the DataLoader: epoch_loader.py FOLDER augmented|plain"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from loader import load, loader
from serve import serve


def main() -> None:
    batches = loader(load(Path(sys.argv[1]), sys.argv[2] == "augmented"))

    def work() -> dict[str, float]:
        total, clips = torch.zeros((), dtype=torch.float64), 0
        for batch in batches:
            total += batch["x"].sum(dtype=torch.float64)
            clips += len(batch["x"])
        return {"sum": float(total), "clips": clips}

    serve(work)  # the round to warm up starts the workers, which stay


if __name__ == "__main__":
    main()
