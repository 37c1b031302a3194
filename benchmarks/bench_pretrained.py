"""wav2vec 2.0 base and AST on this processor, full size with random weights, against transformers' pipeline.

    python benchmarks/bench_pretrained.py [--rounds N]

From waveforms to logits. The pipeline is timed one clip at a time, as it does without a setting, and in
batches; the better of the two counts. Ours is timed in batches, in float32 and under autocast to bfloat16.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bench_logmel import clips
from harness import THREADS, Figure, Row, arguments, best_of, rates, ratios, report, take_turns, timed
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    pipeline,
)

from kagglekit import models
from kagglekit.features.logmel import FULL_SCALE

CLIPS, CLASSES, BATCH = 16, 12, 16
MAX_LENGTH = 128  # frames, as MIT/ast-finetuned-speech-commands-v2 has them
FLOAT32, BFLOAT16 = 1e-4, 1e-2


def save(name: str, folder: Path) -> None:
    """A checkpoint of the base size with random weights."""
    torch.manual_seed(0)
    if name == "ast":
        ASTForAudioClassification(ASTConfig(num_labels=CLASSES, max_length=MAX_LENGTH)).save_pretrained(
            folder
        )
        ASTFeatureExtractor(max_length=MAX_LENGTH).save_pretrained(folder)
    else:
        Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=CLASSES)).save_pretrained(folder)
        Wav2Vec2FeatureExtractor().save_pretrained(folder)


def theirs(folder: Path, waveform: np.ndarray, size: int) -> Callable[[], np.ndarray]:
    """The pipeline over clips: logits (clips, classes)."""
    pipe = pipeline("audio-classification", model=str(folder), device="cpu", dtype=torch.float32)

    def work() -> np.ndarray:
        said = pipe(list(waveform), top_k=CLASSES, function_to_apply="none", batch_size=size)
        scores = [{s["label"]: s["score"] for s in one} for one in said]
        return np.array([[one[f"LABEL_{c}"] for c in range(CLASSES)] for one in scores])

    return work


def ours(name: str, folder: Path, waveform: np.ndarray, bf16: bool) -> Callable[[], np.ndarray]:
    """kagglekit's model over clips: logits (clips, classes)."""
    model = models.build(name, {"checkpoint": str(folder)}, CLASSES).eval()

    def work() -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            parts = [model(x).float() for x in torch.from_numpy(waveform).split(BATCH)]
        return torch.cat(parts).numpy()

    return work


def measure(name: str, waveform: np.ndarray, rounds: int) -> list[Figure]:
    """The figures of one network."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        save(name, folder)
        works = {
            "kagglekit, bfloat16": ours(name, folder, waveform, bf16=True),
            "kagglekit, float32": ours(name, folder, waveform, bf16=False),
            "pipeline": theirs(folder, waveform, 1),
            f"pipeline, batches of {BATCH}": theirs(folder, waveform, BATCH),
        }
        logits = {side: work() for side, work in works.items()}  # and a warm-up
        sides = {side: (lambda work=work: timed(work)) for side, work in works.items()}
        seconds = take_turns(sides, rounds)
    mine = {side: seconds.pop(side) for side in list(seconds) if side.startswith("kagglekit")}
    best = best_of(seconds)
    figures = []
    for side, most in (("kagglekit, bfloat16", BFLOAT16), ("kagglekit, float32", FLOAT32)):
        required = 2 if most == BFLOAT16 else None
        figures.append(
            Figure(f"{name}: {side}, to the pipeline", ratios(seconds[best], mine[side]), least=required)
        )
        error = float(np.abs(logits[side] - logits["pipeline"]).max())
        figures.append(Figure(f"{name}: difference of logits, {side}", [error] * rounds, "", most=most))
    return figures + [
        Figure(f"{name}: {side}", rates(CLIPS, values), "clips/s")
        for side, values in (mine | seconds).items()
    ]


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    warnings.filterwarnings("ignore")
    torch.set_num_threads(THREADS)
    waveform = (clips()[:: 2000 // CLIPS][:CLIPS].float() / FULL_SCALE).numpy()
    figures = [figure for name in ("wav2vec2", "ast") for figure in measure(name, waveform, args.rounds)]
    remarks = [f"{CLIPS} clips of a second a round; AST hears {MAX_LENGTH} frames"]
    report(Row("pretrained", "wav2vec2-base and AST forward", "bench_pretrained.py", figures, remarks))


if __name__ == "__main__":
    sys.exit(main())
