"""The page for listening: the worst misses, what each model said, and their sound."""

from __future__ import annotations

import base64
import io
import math
import wave
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kagglekit.report.ensembles import blends
from kagglekit.report.source import Judged, Source, read_probs
from kagglekit.training.loop import OOF

MOST_MODELS = 8
ANSWERS = 3  # of each model
SERVED = 5000  # misses listed by --serve, which embeds no sound
WAV_HEADER = 44  # bytes


def page(source: Source, budget: int | None) -> dict[str, Any]:
    """What listening.html shows.

    Args:
        source: the competition.
        budget: bytes that embedded sounds may take; None: they are served, by split and row.
    """
    models = source.best_of_each_model()[:MOST_MODELS]
    if not models:
        return {"clips": [], "misses": 0, "total": len(source.clips), "judge": "", "data": {"clips": []}}
    judge = best_there_is(source)
    order, loss = misses(source, judge)
    chosen = spread(source, judge, order)
    chosen = chosen[:SERVED] if budget is None else chosen[np.cumsum(_sizes(source)[chosen]) <= budget]
    said = source.answers(judge.probs)
    clips = [_clip(source, said[row], models, int(row), float(loss[row])) for row in chosen]
    if budget is not None:
        _embed(source, clips)
    return {
        "clips": clips,
        "misses": len(order),
        "total": len(source.clips),
        "judge": judge.name,
        "data": {"clips": clips, "competition": source.config.competition.slug},
    }


def _sizes(source: Source) -> npt.NDArray[np.int64]:
    """Bytes that each clip's sound takes in the file, (clips,)."""
    audio = source.config.audio
    samples = source.clips["samples"].to_numpy().clip(audio.samples, audio.max_samples)
    size: npt.NDArray[np.int64] = 4 * -(-(WAV_HEADER + 2 * samples.astype(np.int64)) // 3)  # base64
    return size


class Judge(NamedTuple):
    """Whose misses they are."""

    name: str
    probs: npt.NDArray[np.float32]
    """(clips, classes), of OOF predictions."""


def best_there_is(source: Source) -> Judge:
    """The ensemble or the run with the best CV; there is at least one run."""
    top = source.runs[0]
    blend = max(blends(source), key=lambda blend: blend.cv, default=None)
    if blend is None or blend.cv <= top.run.score.cv:
        return Judge(top.name, top.probs)
    folder = source.workspace.ensembles / blend.name
    hint = f"remove the folder {folder} and blend again: kagglekit ensemble"
    return Judge(blend.name, read_probs(folder / OOF, source.clips, source.config, hint))


def misses(source: Source, judge: Judge) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Clips that the best there is gets wrong, the worst first; and each clip's log-loss.

    Where a clip has several labels, it is wrong unless these are the likeliest, and its log-loss is the sum
    over all classes.
    """
    right = np.where(source.truth, judge.probs, 1 - judge.probs if source.several else 1).astype(np.float64)
    loss = -np.log(np.maximum(right, 1e-12)).sum(1)
    wrong = np.flatnonzero((source.answers(judge.probs) != source.truth).any(1))
    return wrong[np.argsort(-loss[wrong], kind="stable")], loss


def spread(source: Source, judge: Judge, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The worst of every confusion first, then the others by loss: a filter then finds something."""
    pair = np.hstack([source.truth[order], source.answers(judge.probs)[order]])
    first = np.zeros(len(order), bool)
    first[np.unique(pair, axis=0, return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def _clip(
    source: Source, said: npt.NDArray[np.bool_], models: list[Judged], row: int, loss: float
) -> dict[str, Any]:
    facts = source.clips.row(row, named=True)
    classes = np.array(source.classes, dtype=object)
    return {
        "id": facts["clip_id"],
        "split": facts["split"],
        "row": facts["row"],
        "truth": ", ".join(classes[source.truth[row]]),
        "said": ", ".join(classes[said]),
        "loss": round(loss, 3),
        "word": (facts["word"] or "") if facts["split"] == "train" else "",
        "part": facts["part"].replace("_", " "),
        "speaker": facts["speaker"] or "",
        "fold": facts["fold"],
        "problem": facts["problem"],
        "level": round(20 * math.log10(max(facts["rms"], 1e-5)), 1),
        "models": [[judged.run.model, _answers(source, judged.probs[row])] for judged in models],
    }


def _answers(source: Source, probs: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
    """A model's likeliest classes."""
    best = np.argsort(-probs, kind="stable")[:ANSWERS]
    return [(source.classes[k], round(float(probs[k]), 3)) for k in best]


def _embed(source: Source, clips: list[dict[str, Any]]) -> None:
    """Add the sound of each clip, as base64."""
    for split in Counter(clip["split"] for clip in clips):
        store, rate = source.prepared.store(split), source.config.audio.sample_rate
        for clip in (clip for clip in clips if clip["split"] == split):
            samples = source.sound(store, split, clip["row"])
            clip["wav"] = base64.b64encode(wav_bytes(samples, rate)).decode("ascii")


def wav_bytes(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    """(samples,) int16 at `rate` Hz -> a mono wav file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
