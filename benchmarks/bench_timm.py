"""Training of image backbones: the loop, with augmentation, against a plain loop on tensors in memory.

    .venv-timm/bin/python benchmarks/bench_timm.py [--rounds N]

Both train the same network of timm from random weights on log-mels of 128 x 313, in batches of 8. After each
step of ours the plain loop makes one, so that what else the machine does hits both alike. The plain loop has
a batch in memory and AdamW alone; ours reads its cache, augments, clips gradients and averages the weights.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch
from harness import HERE, THREADS, Figure, Row, arguments, need, ratios, report

from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.setup import make_folds
from kagglekit.training.distributed import SINGLE
from kagglekit.training.loop import train_epochs
from kagglekit.training.plan import resolve
from kagglekit.training.state import start

NETWORKS, BATCH, STEPS, WARMUP = ("resnet18", "efficientnet_b0"), 8, 3, 2
BANDS, FRAMES, CLASSES = 128, 313, 10


class Enough(Exception):
    """Enough steps have been timed."""


def prepared_for(network: str) -> Prepared:
    """Return ESC-10 as images, for a network with random weights; ends the benchmark where there is none."""
    settings = (
        f"models.timm:{network}.model.pretrained=false",
        f"train.batch_size={BATCH}",
        "train.epochs=99",
    )
    config = load_config(HERE / "esc10.yaml", settings)
    assert config.competition.local is not None
    need(config.competition.local.files)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return prepare(workspace)


def plain_step(network: str, bf16: bool) -> Callable[[], None]:
    """Return a step of a plain loop."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(network, in_chans=1, num_classes=CLASSES).train()
    x, y = torch.randn(BATCH, 1, BANDS, FRAMES), torch.arange(BATCH) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model(x)
        loss = torch.nn.functional.cross_entropy(logits.float(), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def measure(network: str, rounds: int) -> list[Figure]:
    """Return the figures of one network."""
    prepared = prepared_for(network)
    plan = resolve(prepared.config, f"timm:{network}")
    with tempfile.TemporaryDirectory() as folder:
        (fold,) = make_folds(prepared, plan, Path(folder), [0])
        state, step = start(fold, SINGLE), plain_step(network, plan.train.bf16 is True)
        ours: list[float] = []
        theirs: list[float] = []
        began = time.perf_counter()

        def advance(n: int = 1, /, text: str = "") -> None:
            nonlocal began
            if n:
                ours.append(time.perf_counter() - began)
                began = time.perf_counter()
                step()
                theirs.append(time.perf_counter() - began)
                if len(ours) == WARMUP + rounds * STEPS:
                    raise Enough
            began = time.perf_counter()

        with suppress(Enough):
            train_epochs(fold, state, SINGLE, advance, None)

    def by_round(times: list[float]) -> list[float]:
        kept = times[WARMUP:]
        return [sorted(kept[i : i + STEPS])[STEPS // 2] for i in range(0, len(kept), STEPS)]

    mine, plain = by_round(ours), by_round(theirs)
    print(f"{network}: {median(ratios(plain, mine)):.3f} x the plain loop", flush=True)
    return [
        Figure(f"{network}: as fast as the plain loop", ratios(plain, mine), least=0.95),
        Figure(f"{network}: kagglekit", [BATCH / s for s in mine], "clips/s"),
        Figure(f"{network}: plain loop", [BATCH / s for s in plain], "clips/s"),
    ]


def main() -> None:
    torch.set_num_threads(THREADS)
    args = arguments(__doc__.splitlines()[0])
    figures = [figure for network in NETWORKS for figure in measure(network, args.rounds)]
    remarks = [
        f"images of {BANDS} x {FRAMES} (ESC-10), batches of {BATCH}, {STEPS} steps a round, step by step",
        "the plain loop has one batch in memory and AdamW alone; kagglekit's also reads, augments, clips "
        "gradients and averages weights",
    ]
    report(Row("timm", "training image backbones", "bench_timm.py", figures, remarks))


if __name__ == "__main__":
    main()
