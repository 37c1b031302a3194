"""Why the report's systems failed: each failure made again, small, beside what would have prevented it.

    python benchmarks/report_failures.py                     # the table of docs/report.md
    python benchmarks/report_failures.py workspace=FOLDER    # with overrides as of --set

Speech-mini, fold 0 (F and G: every fold), one seed, few epochs: for causes, not for records.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from kagglekit import models
from kagglekit.config import Config, Train
from kagglekit.config.load import load_config
from kagglekit.data.clips import training_rows, validation_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError
from kagglekit.features.logmel import geometry, mel_filters
from kagglekit.files.workspace import Workspace
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.store import rows_of
from kagglekit.scoring.cv import clip_weights, score
from kagglekit.scoring.predictions import logits_of
from kagglekit.scoring.thresholds import Thresholds, apply_by_fold, fit_by_fold
from kagglekit.terminal import console
from kagglekit.training.dataset import FULL_SCALE, Dataset
from kagglekit.training.head import Head, make_head
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.losses import loss_of
from kagglekit.training.optimizers import clip_gradients, stop_at_nonfinite
from kagglekit.training.plan import UNCHANGED, resolve

BATCH, CNN_EPOCHS, GRU_EPOCHS, WORDS_EPOCHS = 64, 12, 8, 10
WORDS = (  # the report's classes, in the order of their indices
    *("bed", "bird", "cat", "dog", "down", "eight", "five", "four", "go", "happy", "house", "left", "marvin"),
    *("nine", "no", "off", "on", "one", "right", "seven", "sheila", "six", "stop", "three", "tree", "two"),
    *("up", "wow", "yes", "zero"),
)
GRU = {"hidden": 64, "layers": 1, "bidirectional": False, "pooling": "last", "dropout": 0.0}
Loss = Callable[[Tensor, Tensor], Tensor]
mse: Loss = partial(loss_of, train=Train(loss="mse"))  # between probabilities and one-hot labels


class Arm(NamedTuple):
    """One training of the plain CNN."""

    name: str
    done: str
    loss: Loss
    scale: float = 0  # of waveforms in ±1; 0: log-mels
    unknown: float = 0.6  # share of the training clips, as in the report
    sgd: bool = False


ARMS = (
    Arm("A", "int16 as it is, mse", mse, FULL_SCALE),
    Arm("A", "int16 as it is, mse, unknown cut to a twelfth", mse, FULL_SCALE, unknown=1 / 12),
    Arm("A", "scaled to ±1, mse", mse, 1.0),
    Arm("A", "scaled to ±1, cross-entropy", cross_entropy, 1.0),
    Arm("A", "log-mel, mse", mse),
    Arm("A", "log-mel, cross-entropy", cross_entropy),
    Arm("A", "log-mel, cross-entropy, unknown cut to a twelfth", cross_entropy, unknown=1 / 12),
    Arm("C", "int16 as it is, mse of unbounded outputs, SGD 0.01", mse_loss, FULL_SCALE, sgd=True),
    Arm("C", "the same, scaled to ±1", mse_loss, 1.0, sgd=True),
)


def inputs(dataset: Dataset, clips: pl.DataFrame, scale: float = 0) -> Tensor:
    """What a model hears of all `clips`: (clips, n_mels, frames), (clips, samples) or (clips, 1, samples)."""
    x = dataset.take(clips["split"].to_numpy(), clips["row"].to_numpy().astype(np.int64))
    return scale * x[:, None] if scale else x


def row(name: str, done: str, logits: Tensor, clips: pl.DataFrame, config: Config, note: str = "") -> None:
    """Print a line of the table; without a note, with the accuracy of each part."""
    found = score(logits.numpy(), clips, config)
    note = note or ", ".join(f"{part.replace('_', ' ')} {value:.3f}" for part, value in found.parts.items())
    constant = ", ".join(found.constant) if len(found.constant) < 4 else f"{len(found.constant)} classes"
    print(f"| {name} | {done} | {found.cv:.3f} | {found.plain:.3f} | {constant} | {note} |", flush=True)


def learn(
    model: nn.Module, x: Tensor, y: Tensor, unseen: Tensor, loss: Loss, epochs: int, sgd: bool = False
) -> tuple[list[float], Tensor]:
    """Train; the mean loss of each epoch, and outputs for unseen clips. KagglekitError at a loss of NaN."""
    model(x[:1])  # gives a lazy layer its size
    optimizer = (torch.optim.SGD if sgd else torch.optim.Adam)(model.parameters(), lr=0.01 if sgd else 1e-3)
    shuffle, losses = torch.Generator().manual_seed(0), []
    for epoch in range(1, epochs + 1):
        order, values = torch.randperm(len(x), generator=shuffle), list[float]()
        for start in range(0, len(x), BATCH):
            chosen = order[start : start + BATCH]
            value = loss(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            torch.autograd.backward(value)
            norm = clip_gradients(model, 0)
            stop_at_nonfinite(value, norm, f"epoch {epoch}, step {len(values) + 1}", optimizer)
            optimizer.step()
            values.append(value.item())
        losses.append(fmean(values))
    model.eval()
    with torch.inference_mode():
        return losses, model(unseen)


def with_unknown(clips: pl.DataFrame, share: float) -> pl.DataFrame:
    """As many of `clips` as make unknown this share of them."""
    fillers, others = clips.filter(pl.col("label") == "unknown"), clips.filter(pl.col("label") != "unknown")
    ratio = share / (1 - share)
    kept = min(len(fillers), round(len(others) * ratio)), min(len(others), round(len(fillers) / ratio))
    return pl.concat([fillers.sample(kept[0], seed=0), others.sample(kept[1], seed=0)])


def plain_cnn(channels: int, strides: tuple[int, ...], outputs: int) -> nn.Module:
    """Convolutions, flattened: nothing normalised, gated or attended to."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for (width, wider), stride in zip(pairwise((channels, 32, 64, 64)), strides, strict=True):
        layers += [nn.Conv1d(width, wider, 2 * stride + 1, stride, padding=stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(outputs))


def per_element(probs: Tensor, y: Tensor) -> str:
    """What the report read as accuracy: how often an output is on its label's side of a half."""
    return f"per element {((probs > 0.5) == (y > 0.5)).float().mean():.3f}"


def constant_prediction(config: Config, log_mel: Dataset, waveform: Dataset) -> None:
    """A and C: the plain CNN. B: what constant answers score."""
    classes = config.labels.all_classes
    head = make_head(log_mel.clips, classes, "targets", config.labels.filler)
    judged = with_unknown(validation_rows(log_mel.clips, 0), 0.6)
    y = one_hot(head.targets(judged), len(classes)).float()
    unknown = torch.eye(len(classes))[classes.index("unknown")]
    for said, answer in (("'unknown'", unknown), ("shares", y.mean(0)), ("nothing", 0 * unknown)):
        every = answer.expand(y.shape)
        row("B", f"no training: {said} for every clip", every, judged, config, per_element(every, y))
    for arm in ARMS:
        learned = with_unknown(training_rows(log_mel.clips, 0, config, 0), arm.unknown)
        dataset = waveform if arm.scale else log_mel
        x, heard = (inputs(dataset, clips, arm.scale) for clips in (learned, judged))
        model = plain_cnn(x.shape[1], (16, 4, 4) if arm.scale else (2, 2, 2), len(classes))
        targets = one_hot(head.targets(learned), len(classes)).float()
        try:
            losses, logits = learn(model, x, targets, heard, arm.loss, CNN_EPOCHS, arm.sgd)
        except KagglekitError as error:
            print(f"| {arm.name} | {arm.done} | | | | {error}; {error.hint} |", flush=True)
            continue
        note = f"loss {losses[0]:.3g} to {losses[-1]:.3g}; {per_element(logits.softmax(1), y)}"
        row(arm.name, arm.done, logits, judged, config, note)


def mel_of_decibels(waveform: Tensor, config: Config, unit_area: bool) -> Tensor:
    """The report's spectrogram: mel filters on decibels below the clip's loudest bin, and 1.3 added."""
    spec, rate = config.features, config.audio.sample_rate
    window, hop, size = geometry(spec, rate)
    spectrum = torch.stft(waveform, size, hop, window, torch.hann_window(window), return_complex=True).abs()
    loudest = spectrum.amax((1, 2), keepdim=True).clamp(min=1e-9)
    decibels = 20 * (spectrum / loudest).clamp(min=1e-4).log10()  # down to -80, as librosa has it
    filters = mel_filters(spec, rate).float()
    if unit_area:  # in Hz, as librosa's are
        filters /= filters.sum(0) * rate / size
    return (decibels.transpose(1, 2) @ filters).transpose(1, 2) + 1.3


def recurrent(config: Config, log_mel: Dataset, waveform: Dataset) -> None:
    """D and E, on spoken words alone: the class's index regressed, decibels under mel filters."""
    classes, spoken = config.labels.all_classes, log_mel.clips.filter(pl.col("part") != "silence")
    learned, judged = training_rows(spoken, 0, config, 0), validation_rows(spoken, 0)
    class_of = tuple(classes.index(w) if w in classes else len(classes) - 1 for w in WORDS)
    head = Head(WORDS, class_of, classes, words=True, double=None)
    y, word = head.targets(learned), head.targets(judged)
    heard = torch.from_numpy((judged["part"] != "unseen").to_numpy())
    mels, sounds = ([inputs(of, clips) for clips in (learned, judged)] for of in (log_mel, waveform))
    decibels, peaked = ([mel_of_decibels(x, config, area) for x in sounds] for area in (True, False))
    for name, done, (x, unseen), loss, normalised in (
        ("D+E", "the report's: index regressed, mel of decibels", decibels, mse_loss, False),
        ("D", "index regressed, log-mel", mels, mse_loss, False),
        ("E", "cross-entropy, mel of decibels", decibels, cross_entropy, False),
        ("E", "the same, batch norm in front", decibels, cross_entropy, True),
        ("E", "the same, mel filters of unit peak, no batch norm", peaked, cross_entropy, False),
        ("D, E", "cross-entropy, log-mel", mels, cross_entropy, False),
        ("D, E", "the same, batch norm in front", mels, cross_entropy, True),
    ):
        torch.manual_seed(0)
        model = models.build("gru", GRU, 1 if loss is mse_loss else len(WORDS))
        model.normalise = model.normalise if normalised else nn.Identity()
        labels = y[:, None].float() if loss is mse_loss else y
        losses, output = learn(model, x, labels, unseen, loss, GRU_EPOCHS)
        note = f"loss {losses[0]:.3g}, {losses[1]:.3g} to {losses[-1]:.3g}"
        if loss is mse_loss:
            note += f", variance of these indices {y.double().var():.3g}"
            nearest = output[:, 0].round().long().clamp(0, len(WORDS) - 1)
            output = 100.0 * one_hot(nearest, len(WORDS))
        right = (output.argmax(1) == word)[heard].float().mean()
        row(name, done, head.collapse(output), judged, config, f"{note}; words heard {right:.3f}")


def thresholds(config: Config, workspace: Workspace, prepared: Prepared) -> None:
    """F: 0.5 and 0.3 as given, or fitted on OOF. G: what a validation on words heard says."""
    settings = {"train.label_smoothing": 0.0, "train.augment": UNCHANGED["augment"], "model.depth": 8}
    words = {"train.labels": "words_threshold", "train.epochs": WORDS_EPOCHS}
    plan = resolve(config, "tcresnet", settings | words)
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    rule = head.rule
    assert rule is not None
    with tempfile.TemporaryDirectory() as folder:
        folds = range(config.validation.folds)
        jobs = [Fold(config, plan, dataset, head, n, Path(folder, str(n))) for n in folds]
        oof = pl.concat([train_fold(job) for job in jobs])
    clips, raw, fold = rows_of(oof, prepared.clips), logits_of(oof), oof["fold"].to_numpy()
    label = np.array([config.labels.all_classes.index(name) for name in clips["label"]])
    fitted = fit_by_fold(rule, raw, label, clip_weights(clips, config), fold)
    pairs = ", ".join(f"{pair.unknown:.2f}/{pair.silence:.2f}" for pair in fitted.values())
    given, none = (torch.from_numpy(rule.apply(raw, Thresholds(*pair))) for pair in ((0.5, 0.3), (0.0, 0.0)))
    row("F", "thresholds 0.5/0.3", given, clips, config)
    as_fitted = torch.from_numpy(apply_by_fold(rule, raw, fold, fitted))
    row("F", f"thresholds fitted on the other folds: {pairs}", as_fitted, clips, config)
    known = clips["part"].is_in(("keyword", "seen")).to_numpy()
    row("G", "no thresholds, judged on words heard alone", none[known], clips.filter(known), config)


def main(overrides: list[str]) -> None:
    """Print the table."""
    config = load_config(Path(__file__).with_name("speech_mini.yaml"), overrides)
    console.configure(quiet=True)
    workspace = Workspace(config)
    prepared = prepare(workspace)
    log_mel = make_dataset(prepared, resolve(config, "gru"))
    waveform = replace(log_mel, inputs={s: prepared.store(s) for s in prepared.folders}, features=None)
    print("| experiment | what was done | CV | plain | constant | |\n|---|---|---|---|---|---|")
    constant_prediction(config, log_mel, waveform)
    recurrent(config, log_mel, waveform)
    thresholds(config, workspace, prepared)


if __name__ == "__main__":
    main(sys.argv[1:])
