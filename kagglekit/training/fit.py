"""Fit a head on embeddings by L-BFGS over all clips, and choose its L2 penalty within the training clips.

The linear head's loss is convex: it has one minimum, whatever the seed. The choice never sees the fold that
is scored: each of the other folds is left out in turn, and its loss judges. With more than MOST clips, one of
them judges heads of MOST clips. Penalties are tried from the strongest on, until the loss rises; all of them
for heads of several layers, which a strong penalty leaves at zero: a slightly weaker one may do no better.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from kagglekit import models
from kagglekit.config import Train
from kagglekit.data.clips import WITHOUT_LABELS, training_rows, validation_rows
from kagglekit.scoring.cv import score
from kagglekit.scoring.predictions import predictions, write_predictions
from kagglekit.scoring.task import Task
from kagglekit.training import checkpoint
from kagglekit.training.dataset import windows_of
from kagglekit.training.files import OOF, WEIGHTS
from kagglekit.training.loss_weights import LossWeights
from kagglekit.training.losses import loss_of
from kagglekit.training.optimizers import stop_at_nonfinite
from kagglekit.training.predict import device, predict, threads
from kagglekit.training.soft_targets import training_set
from kagglekit.training.state import Fold, seed_all

VERSION = 2  # part of every run id of lbfgs: raise it when a head changes by more than rounding
L2 = (1000.0, 100.0, 10.0, 1.0, 0.1, 0.01)
"""Candidates, the strongest first."""
DEFAULT_L2 = 1.0  # where there are no two groups of clips to choose by
MOST = 4096  # clips that candidates are fitted on, and judged on
CHUNK = 4096  # clips in memory as float32
MOST_STEPS = 100
MOST_CHOICE_STEPS = 30  # of heads that start anew for each candidate
ENOUGH = 1e-5  # change of an output's loss at which L-BFGS stops
ONE_THREAD = 10**8  # multiplications a step below which one thread is used


@dataclass(frozen=True)
class _Examples:
    """What a head is fitted on: a row for each window of each clip."""

    x: Tensor
    """(rows, ...), pooled embeddings as they are cached."""
    y: Tensor
    """(rows, outputs)."""
    weight: Tensor
    """(rows, outputs) or (rows, 1): of the loss."""
    group: np.ndarray[Any, Any]
    """(rows,): the inner fold; -1: never judged on."""

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray[Any, Any]) -> "_Examples":
        index = torch.from_numpy(rows)
        return _Examples(self.x[index], self.y[index], self.weight[index], self.group[rows])


def fit_fold(fold: Fold) -> tuple[Fold, nn.Module, dict[str, Any]]:
    """Fit on the other folds, and write weights and predictions of this one.

    Returns:
        The fold with the L2 penalty it has chosen, the model, and a row of the history.

    Raises:
        KagglekitError: the loss is not finite.
    """
    train, started = fold.plan.train, time.perf_counter()
    model = _new(fold)
    examples = _examples(fold, model)
    # threads that wait for each other take longer than the sums of a few hundred clips
    is_small = examples.x.numel() * examples.y.shape[1] < ONE_THREAD
    with threads(1 if is_small else torch.get_num_threads()):
        if train.l2 == "auto":
            l2, model = choose_l2(fold, examples)
            train = train.model_copy(update={"l2": l2})
            fold = replace(fold, plan=replace(fold.plan, train=train))
        loss = minimise(model, examples, train)
    seconds = time.perf_counter() - started
    checkpoint.save(fold.folder / WEIGHTS, model.state_dict())
    validated = validation_rows(fold.dataset.clips, fold.number)
    logits = predict(model, fold.dataset, validated, fold.head, train)
    write_predictions(predictions(validated, logits), fold.folder / OOF)
    result = score(logits, validated, fold.config, interval=False)
    row = {"fold": fold.number, "epoch": 1, "loss": loss, "lr": 0.0, "cv": result.cv, "plain": result.plain}
    return fold, model, row | {"seconds": seconds, "clips_per_s": len(examples) / seconds, "l2": train.l2}


def choose_l2(fold: Fold, examples: _Examples) -> tuple[float, nn.Module]:
    """Choose the candidate whose heads have the smallest loss on inner folds of the training clips.

    Returns:
        The candidate, and a model to start from: one of those heads where the loss is convex.
    """
    groups = np.unique(examples.group[examples.group >= 0])
    best, chosen, start = math.inf, DEFAULT_L2, _new(fold)
    if len(groups) < 2:
        return chosen, start
    order, splits = np.random.default_rng(fold.seed).permutation(len(examples)), []
    for inner in groups if len(examples) <= MOST else groups[:1]:
        judged = np.sort(order[examples.group[order] == inner][:MOST])
        fitted = np.sort(order[examples.group[order] != inner][:MOST])
        splits.append((examples.take(judged), examples.take(fitted)))
    is_convex = getattr(start, "is_convex", False)
    heads = [_new(fold) for _ in splits]
    for l2 in L2:
        if not is_convex:  # else the next minimum is near
            heads = [_new(fold) for _ in splits]
        train, total = fold.plan.train.model_copy(update={"l2": l2}), 0.0
        for head, (judged_on, fitted_on) in zip(heads, splits, strict=True):
            minimise(head, fitted_on, train, MOST_STEPS if is_convex else MOST_CHOICE_STEPS)
            total += _loss(head, judged_on, train) * len(judged_on)
        if total > best and is_convex:
            break
        if total > best:
            continue
        best, chosen = total, l2
        if is_convex:
            start.load_state_dict(heads[0].state_dict())
    return chosen, start


def minimise(model: nn.Module, examples: _Examples, train: Train, steps: int = MOST_STEPS) -> float:
    """Fit a model to examples from its present weights, and return its loss with the penalty."""
    if (scale := getattr(model, "scale", None)) is not None:  # so that L2 means the same for any network
        square = sum(x.float().square().sum().item() for x in torch.split(examples.x, CHUNK))
        scale.fill_((square / examples.x.numel()) ** -0.5 if square else 1.0)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.LBFGS(
        weights,
        max_iter=steps,
        tolerance_change=ENOUGH * _summed(examples, train),
        line_search_fn="strong_wolfe",
    )
    penalised = [p for p in weights if p.ndim > 1]
    factor = float(train.l2) / 2 / len(examples)

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        total = torch.zeros((), device=weights[0].device)
        for loss in _losses(model, examples, train):
            torch.autograd.backward(loss)
            total += loss.detach()
        penalty = factor * torch.stack([p.square().sum() for p in penalised]).sum()
        torch.autograd.backward(penalty)
        return total + penalty.detach()

    model.eval()  # no dropout: L-BFGS needs the same loss for the same weights
    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        loss = closure()
    norm = torch.stack([p.grad.norm() for p in weights if p.grad is not None]).norm()
    stop_at_nonfinite(loss, norm, "L-BFGS", optimizer)
    return loss.item()


def _losses(model: nn.Module, examples: _Examples, train: Train) -> Iterator[Tensor]:
    """Yield parts of the mean loss over the examples, summed over outputs where each has its own."""
    on = next(model.parameters()).device
    outputs = _summed(examples, train)
    classify = getattr(model, "classify", model)
    for first in range(0, len(examples), CHUNK):
        part = slice(first, first + CHUNK)
        x, y, weight = (t[part].to(on) for t in (examples.x, examples.y, examples.weight))
        loss = loss_of(classify(x.float()), y, train, weight)
        yield loss * (outputs * len(y) / len(examples))


def _summed(examples: _Examples, train: Train) -> int:
    """Count the outputs that have losses of their own, which are summed."""
    return 1 if train.loss in ("crossentropy", "softmax") else examples.y.shape[1]


@torch.no_grad()
def _loss(model: nn.Module, examples: _Examples, train: Train) -> float:
    return sum(loss.item() for loss in _losses(model, examples, train))


def _new(fold: Fold) -> nn.Module:
    """Build the untrained model."""
    seed_all(fold.seed)
    return models.build(fold.plan.model, fold.plan.params, len(fold.head.outputs)).to(device())


def _examples(fold: Fold, model: nn.Module) -> _Examples:
    """Read the fold's training clips, with all windows of each."""
    head, dataset, task = fold.head, fold.dataset, Task.of(fold.config)
    train = fold.plan.train
    rows = training_rows(dataset.clips, fold.number, fold.config, train.seed)
    clips, soft, weights = training_set(
        dataset.soft_targets, fold.number, rows, head, task, train.class_weight
    )
    y = soft if soft is not None else nn.functional.one_hot(head.targets(clips), len(head.outputs)).float()
    windows = windows_of(clips)
    pool = getattr(model, "pool", lambda steps: steps)
    dtype = getattr(torch, str(fold.plan.params.get("embeddings", "float16")))  # as they are cached
    x = torch.cat([pool(part).to(dtype) for part in dataset.batches(clips, CHUNK)])
    clip = torch.from_numpy(np.repeat(np.arange(len(clips)), windows))
    weight = _weights(weights, clips, train.soft_share) / torch.from_numpy(windows)[:, None]
    return _Examples(x, y[clip], weight[clip].float(), inner_folds(clips)[clip.numpy()])


def _weights(weights: LossWeights | None, clips: pl.DataFrame, share: float) -> Tensor:
    """Return the weight of each clip's loss, (clips, outputs) or (clips, 1).

    Args:
        share: weight of the clips without labels, of all; 0: each weighs as much as a labelled one.
    """
    weight = torch.ones(len(clips), 1) if weights is None else weights.of_batch(torch.arange(len(clips)))
    soft = torch.from_numpy(clips["split"].is_in(WITHOUT_LABELS).to_numpy())
    if share and soft.any() and not soft.all():
        even = (~soft).sum() / soft.sum()
        weight = torch.where(soft[:, None], weight * even * share / (1 - share), weight)
    return weight


def inner_folds(clips: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the inner fold of each training clip, (clips,); -1: trained on in all, such as pseudo-labels.

    They are the outer folds, or, where there is only one other, two halves of its groups.
    """
    fold = clips["fold"].fill_null(-1).to_numpy().astype(np.int64)
    fold = np.where(clips["split"].is_in(["train", "silence"]).to_numpy(), np.maximum(fold, -1), -1)
    if len(np.unique(fold[fold >= 0])) > 1:
        return fold
    groups = clips["speaker"].fill_null(clips["clip_id"]) if "speaker" in clips.columns else clips["clip_id"]
    half = groups.rank("dense").to_numpy().astype(np.int64) % 2
    return np.where(fold >= 0, half, -1)
