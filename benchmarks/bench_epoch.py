"""An epoch of cached log-mels, read, augmented and batched: the loop's against a DataLoader over `datasets`.

    python benchmarks/bench_epoch.py [--rounds N]

Ours has the recipe of tcresnet: besides what the peer does to a clip (shift, gain, noise, filter, masks) it
makes double words and clatter.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from harness import THREADS, Figure, Peer, Row, arguments, rates, ratios, report, take_turns, timed
from speech_mini import Job, hand_over, job_for

MODEL, CLIPS, TOLERANCE = "tcresnet", 4096, 1e-6


def epoch(job: Job) -> float:
    """Sum of all that the batches hold."""
    return sum(float(x.sum(dtype=torch.float64)) for x, _, _ in job.batches.epoch(0))


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(THREADS)
    job, bare = job_for(MODEL, CLIPS), job_for(MODEL, CLIPS, augmented=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand_over(bare, folder)
        with Peer("epoch_loader.py", folder, "plain") as peer:
            peer()
            assert peer.facts["clips"] == job.batches.clips
            error = abs(epoch(bare) / peer.facts["sum"] - 1)
        with Peer("epoch_loader.py", folder, "augmented") as peer:
            epoch(job)  # warm-up
            seconds = take_turns({"ours": lambda: timed(lambda: epoch(job)), "theirs": peer}, args.rounds)
    figures = [
        Figure(
            "as fast as a DataLoader over `datasets`", ratios(seconds["theirs"], seconds["ours"]), least=10
        ),
        Figure("kagglekit", rates(CLIPS, seconds["ours"]), "clips/s"),
        Figure("DataLoader, 2 workers", rates(CLIPS, seconds["theirs"]), "clips/s"),
        Figure("difference of the sums without augmentation", [error] * args.rounds, "", most=TOLERANCE),
    ]
    remarks = [f"{CLIPS:,} clips in batches of 128, cached as log-mels on both sides"]
    report(Row("epoch", "cached epoch: read, augment, batch", "bench_epoch.py", figures, remarks))


if __name__ == "__main__":
    main()
