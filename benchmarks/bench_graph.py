"""A hidden test by the graph of five folds, against a plain PyTorch loop for each model.

    python benchmarks/bench_graph.py [--rounds N] [--recordings N]

Recordings of 60 s at 32 kHz, Ogg, synthetic; windows of 5 s; networks of random weights. Both sides read the
same files in processes of their own, and their probabilities are compared. efficientnet_b0 is measured where
timm can be imported (make test-timm).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from harness import ROOT, THREADS, Figure, Peer, Row, arguments, ratios, report, take_turns

from kagglekit.config import Audio, Features
from kagglekit.errors import MissingError
from kagglekit.models.timm_package import import_timm
from kagglekit.runs.graph import write_graphs

RECORDINGS, SECONDS, FOLDS, CLASSES, DISTINCT = 700, 60, 5, 206, 7
AUDIO = Audio(sample_rate=32_000, seconds=5)
FEATURES = {
    "tcresnet": Features(n_mels=40, fmin=50.0, fmax=15_000.0),
    "timm:efficientnet_b0": Features(n_mels=128, window_ms=64.0, hop_ms=16.0, fmin=50.0, fmax=15_000.0),
}
PARAMS = {"tcresnet": {}, "timm:efficientnet_b0": {"pretrained": False, "n_mels": 128}}
LEAST = {"tcresnet": 4.0, "timm:efficientnet_b0": 1.8}  # times as fast
MOST_MINUTES = {"tcresnet": 6.0, "timm:efficientnet_b0": 30.0}
MOST_GIGABYTES = 3.0


def write_recordings(folder: Path, count: int) -> None:
    """Write Ogg files: a few distinct ones, each under many names."""
    folder.mkdir()
    time = np.arange(SECONDS * AUDIO.sample_rate) / AUDIO.sample_rate
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:04d}.ogg"
        if number >= DISTINCT:
            os.link(folder / f"{number % DISTINCT:04d}.ogg", path)
            continue
        calls = np.sin(2 * np.pi * (2000 + 500 * number) * time) * (np.sin(2 * np.pi * time / 3) > 0.8)
        waveform = (0.02 * rng.normal(size=len(time)) + 0.1 * calls).astype(np.float32)
        with soundfile.SoundFile(path, "w", AUDIO.sample_rate, 1, format="OGG", subtype="VORBIS") as file:
            for start in range(0, len(waveform), AUDIO.sample_rate):  # libsndfile fails on long blocks
                file.write(waveform[start : start + AUDIO.sample_rate])


def measure(model: str, recordings: int, rounds: int) -> list[Figure]:
    """Return the figures of one network."""
    from support.untrained import untrained

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recordings(folder / "recordings", recordings)
        classes = tuple(f"species_{number}" for number in range(CLASSES))
        run = untrained(
            folder / "run",
            model,
            PARAMS[model],
            audio=AUDIO,
            features=FEATURES[model],
            kind="multi",
            folds=FOLDS,
            classes=classes,
        )
        (graph,) = write_graphs([run], folder)
        sides = (graph.path, folder / "recordings", THREADS), (run.folder, folder / "recordings")
        with (
            Peer("graph_folds.py", *sides[0], python=sys.executable) as ours,
            Peer("plain_folds.py", *sides[1], python=sys.executable) as plain,
        ):
            seconds = take_turns({"graph": ours, "plain": plain}, rounds)
            peak = ours.facts["peak_mb"] / 1e3
        logits, probs = (np.load(folder / f"{file}.npy") for file in ("graph_logits", "plain_probs"))
    error = float(np.abs(1 / (1 + np.exp(-logits.astype(np.float64))) - probs).max())
    share = recordings / RECORDINGS
    minutes = [second / 60 / share for second in seconds["graph"]]
    return [
        Figure(
            f"{model}: as fast as the plain loop",
            ratios(seconds["plain"], seconds["graph"]),
            least=LEAST[model],
        ),
        Figure(f"{model}: {RECORDINGS} recordings", minutes, "minutes", most=MOST_MINUTES[model]),
        Figure(f"{model}: peak memory of inference", [peak] * rounds, "GB", most=MOST_GIGABYTES),
        Figure(f"{model}: largest difference of a probability", [error] * rounds, "", most=1e-3),
        Figure(f"{model}: graph", [graph.size / 1e6] * rounds, "MB"),
    ]


def main() -> None:
    args = arguments(__doc__.splitlines()[0], recordings=RECORDINGS)
    sys.path.insert(0, str(ROOT / "tests"))  # where runs of random weights are written for tests, too
    models = ["tcresnet"]
    remarks = [
        f"{args.recordings} recordings of {SECONDS} s, Ogg at 32 kHz, windows of 5 s",
        f"{FOLDS} folds of random weights, {CLASSES} classes",
        "the plain loop decodes and computes log-mels for each model, as notebooks do",
    ]
    try:
        import_timm()
        models.append("timm:efficientnet_b0")
    except MissingError as error:
        remarks.append(f"efficientnet_b0 is not measured: {error}")
    figures = [figure for model in models for figure in measure(model, args.recordings, args.rounds)]
    row = Row("graph", "hidden test by a graph of five folds", "bench_graph.py", figures, remarks)
    report(row, keep=args.recordings == RECORDINGS)


if __name__ == "__main__":
    main()
