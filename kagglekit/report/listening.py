"""The listening page: the worst misses, each model's predictions for them, and their sound."""

import base64
import io
import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from kagglekit.report.ensembles import blends
from kagglekit.report.source import ReportRun, Source, read_probs
from kagglekit.training.files import OOF

MOST_MODELS = 8
ANSWERS = 3  # classes shown per model
SERVED = 5000  # most misses listed by --serve, which embeds no sound
WAV_HEADER = 44  # bytes
FACTS_BYTES = 1000  # of a clip in the page: 324 with one model, measured; each more adds its three answers


def page(source: Source, budget: int | None) -> dict[str, Any]:
    """Compute what listening.html shows; sounds of up to `budget` bytes are embedded, None: none is."""
    models = source.best_run_per_model()[:MOST_MODELS]
    if not models:
        nothing: dict[str, Any] = {"clips": [], "misses": 0, "predictor": "", "parts": False}
        return {**nothing, "total": len(source.clips), "data": {"clips": []}}
    predictor = best_predictor(source)
    order, loss = misses(source, predictor)
    chosen = spread(source, predictor, order)
    chosen = chosen[:SERVED] if budget is None else chosen[np.cumsum(_sizes(source)[chosen]) <= budget]
    predicted = source.answers(predictor.probs)
    clips = [_clip(source, predicted[row], models, int(row), float(loss[row])) for row in chosen]
    if budget is not None:
        _embed(source, clips)
    return {
        "clips": clips,
        "misses": len(order),
        "total": len(source.clips),
        "predictor": predictor.name,
        "parts": source.clips["part"].n_unique() > 1,
        "data": {"clips": clips, "competition": source.config.competition.slug},
    }


def _sizes(source: Source) -> npt.NDArray[np.int64]:
    """Return the size of each clip's embedded sound and of what the page says of it in bytes, (clips,)."""
    audio = source.config.audio
    samples = source.clips["samples"].to_numpy().clip(audio.samples, audio.max_samples)
    size: npt.NDArray[np.int64] = 4 * -(-(WAV_HEADER + 2 * samples.astype(np.int64)) // 3)  # base64
    return size + FACTS_BYTES


class Predictor(NamedTuple):
    """The run or ensemble whose misses are shown."""

    name: str
    probs: npt.NDArray[np.float32]
    """(clips, classes), from OOF predictions."""


def best_predictor(source: Source) -> Predictor:
    """Return the ensemble or run with the best CV score; there is at least one run."""
    top = source.runs[0]
    metric = source.prepared.task.metric
    blend = metric.best(blends(source), lambda blend: blend.cv)
    if blend is None or not metric.better(blend.cv, top.run.score.cv):
        return Predictor(top.name, top.probs)
    folder = source.workspace.ensembles / blend.name
    hint = f"remove the folder {folder} and blend again: kagglekit ensemble"
    return Predictor(blend.name, read_probs(folder / OOF, source.clips, source.config, hint))


def misses(source: Source, predictor: Predictor) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the misclassified clips, highest log-loss first, and the log-loss of every clip.

    A clip that may have several labels is right where these are its `answers`; its log-loss is the sum over
    all classes. Classes of which the labels say nothing do not count.
    """
    right = np.where(source.truth, predictor.probs, 1 - predictor.probs if source.several else 1).astype(
        np.float64
    )
    missed = source.answers(predictor.probs) != source.truth
    if source.known is not None:
        right, missed = np.where(source.known, right, 1.0), missed & source.known
    loss = -np.log(np.maximum(right, 1e-12)).sum(1)
    wrong = np.flatnonzero(missed.any(1))
    return wrong[np.argsort(-loss[wrong], kind="stable")], loss


def spread(source: Source, predictor: Predictor, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Put the worst clip of every confusion first, then the others by loss, so that each filter has clips."""
    pair = np.hstack([source.truth[order], source.answers(predictor.probs)[order]])
    first = np.zeros(len(order), bool)
    first[np.unique(pair, axis=0, return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def _clip(
    source: Source, predicted: npt.NDArray[np.bool_], models: list[ReportRun], row: int, loss: float
) -> dict[str, Any]:
    facts = source.clips.row(row, named=True)
    classes = np.array(source.classes, dtype=object)
    return {
        "id": facts["clip_id"],
        "split": facts["split"],
        "row": facts["row"],
        "truth": ", ".join(classes[source.truth[row]]),
        "predicted": ", ".join(classes[predicted]),
        "loss": round(loss, 3),
        "word": (facts["word"] or "") if facts["split"] == "train" else "",
        "part": "" if source.several else facts["part"].replace("_", " "),
        "speaker": facts["speaker"] or "",
        "fold": facts["fold"],
        "problem": facts["flags"].replace(",", ", "),
        "level": None if facts["rms"] is None else round(20 * math.log10(max(facts["rms"], 1e-5)), 1),
        "models": [[report_run.run.model, _answers(source, report_run.probs[row])] for report_run in models],
    }


def _answers(source: Source, probs: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
    """Return a model's likeliest classes with their probabilities."""
    best = np.argsort(-probs, kind="stable")[:ANSWERS]
    return [(source.classes[k], round(float(probs[k]), 3)) for k in best]


def _embed(source: Source, clips: list[dict[str, Any]]) -> None:
    """Add the sound of each clip as base64."""
    for split in Counter(clip["split"] for clip in clips):
        store, rate = source.prepared.store(split), source.config.audio.sample_rate
        for clip in (clip for clip in clips if clip["split"] == split):
            samples = source.sound(store, split, clip["row"])
            clip["wav"] = base64.b64encode(wav_bytes(samples, rate)).decode("ascii")


def wav_bytes(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    """Encode (samples,) int16 at `rate` Hz as a mono wav file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
