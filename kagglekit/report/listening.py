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
    each = 4 * math.ceil((WAV_HEADER + 2 * source.config.audio.samples) / 3)  # base64
    most = SERVED if budget is None else max(budget // each, 0)
    judge = best_there_is(source)
    order, loss = misses(source, judge)
    chosen = spread(source, judge, order)[:most]
    clips = [_clip(source, judge, models, int(row), float(loss[row])) for row in chosen]
    if budget is not None:
        _embed(source, clips)
    return {
        "clips": clips,
        "misses": len(order),
        "total": len(source.clips),
        "judge": judge.name,
        "data": {"clips": clips, "competition": source.config.competition.slug},
    }


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
    return Judge(blend.name, read_probs(folder / OOF, source.clips, hint))


def misses(source: Source, judge: Judge) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Clips that the best there is gets wrong, the worst first; and each clip's log-loss."""
    truth = judge.probs[np.arange(len(judge.probs)), source.target]
    loss = -np.log(np.maximum(truth.astype(np.float64), 1e-12))
    wrong = np.flatnonzero(judge.probs.argmax(1) != source.target)
    return wrong[np.argsort(-loss[wrong], kind="stable")], loss


def spread(source: Source, judge: Judge, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The worst of every confusion first, then the others by loss: a filter then finds something."""
    pair = source.target[order] * len(source.classes) + judge.probs[order].argmax(1)
    first = np.zeros(len(order), bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def _clip(source: Source, judge: Judge, models: list[Judged], row: int, loss: float) -> dict[str, Any]:
    facts = source.clips.row(row, named=True)
    return {
        "id": facts["clip_id"],
        "split": facts["split"],
        "row": facts["row"],
        "truth": facts["label"],
        "said": source.classes[int(judge.probs[row].argmax())],
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
        of = [clip for clip in clips if clip["split"] == split]
        sounds = store.take(np.array([clip["row"] for clip in of]))
        for clip, samples in zip(of, sounds, strict=True):
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
