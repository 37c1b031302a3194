"""Random windows by a DataLoader that seeks in loose files: source_loader.py FOLDER SECONDS COUNT"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile
import torch
from serve import serve
from torch.utils.data import DataLoader, Dataset

BATCH = 32


class Windows(Dataset[torch.Tensor]):
    """A window at a random place of each file."""

    def __init__(self, paths: list[Path], seconds: float) -> None:
        self.paths, self.seconds = paths, seconds

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with soundfile.SoundFile(self.paths[index]) as file:
            samples = round(self.seconds * file.samplerate)
            file.seek(int(torch.randint(file.frames - samples + 1, ())))
            return torch.from_numpy(file.read(samples, dtype="float32"))


def main() -> None:
    count = int(sys.argv[3])
    paths = sorted(Path(sys.argv[1]).iterdir())
    dataset = Windows(paths[:count], float(sys.argv[2]))
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=2, persistent_workers=True)

    def work() -> dict[str, float]:
        return {"windows": sum(len(batch) for batch in loader)}

    serve(work)  # the round to warm up starts the workers, which stay


if __name__ == "__main__":
    main()
