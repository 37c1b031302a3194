"""A head on embeddings: its minimum is scikit-learn's, and the fold that is scored has no say in its L2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support import tiny

from kagglekit.config import Train
from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError
from kagglekit.models.embedder import EmbedderConfig, StepsHead
from kagglekit.training import checkpoint, fit
from kagglekit.training.dataset import Dataset
from kagglekit.training.files import OOF, WEIGHTS
from kagglekit.training.head import make_head
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import resolve

DIM = 12


def clips_and_steps(count: int = 90, folds: int = 3) -> tuple[pl.DataFrame, np.ndarray]:
    """Clips of two classes and filler, and embeddings (clips, 2, DIM) of which five numbers tell the class."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, 3, count)
    steps = rng.normal(size=(count, 2, DIM)) + 1.5 * np.eye(3, DIM)[index][:, None]
    words = np.array(["low", "mid", "high"])[index]
    constants = {"split": "train", "part": "seen", "official": "train"}
    table = pl.DataFrame({"row": np.arange(count), "word": words}).with_columns(
        pl.lit(-1, pl.Int32).alias("heldout_fold"),
        label=pl.col("word").replace({"high": "unknown"}),
        speaker=pl.format("s{}", pl.col("row") // 3),
        clip_id=pl.col("row").cast(pl.String),
        fold=((pl.col("row") // 3) % folds).cast(pl.Int32),
        **{name: pl.lit(value) for name, value in constants.items()},
    )
    return table, steps.astype(np.float16)


def make_fold(folder: Path, *settings: str, folds: int = 3, flipped: bool = False) -> Fold:
    folder.mkdir(exist_ok=True, parents=True)
    table, steps = clips_and_steps(folds=folds)
    if flipped:  # other labels in the fold that is scored
        other = {"low": "mid", "mid": "low"}
        table = table.with_columns(
            *(pl.when(fold=0).then(pl.col(c).replace(other)).otherwise(c).alias(c) for c in ("word", "label"))
        )
    config = load_config(tiny.make(folder), [f"validation.folds={folds}", "train.labels=targets", *settings])
    plan = resolve(config, "embedder", {"model.dim": DIM})
    head = make_head(table, config.labels.all_classes, "targets", "unknown")
    return Fold(config, plan, Dataset(table, {"train": steps}, {}, {}, config.audio, None), head, 0, folder)


def test_the_linear_head_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    table, steps = clips_and_steps()
    y = table["word"].rank("dense").to_numpy().astype(int) - 1
    x = torch.from_numpy(steps[:, 0]).float()
    x /= x.square().mean().sqrt()
    head = StepsHead(EmbedderConfig(dim=DIM, pool="mean"), 3)
    hot = torch.nn.functional.one_hot(torch.from_numpy(y), 3).float()
    examples = fit._Examples(x, hot, torch.ones(len(y), 1), np.zeros(len(y), int))
    monkeypatch.setattr(fit, "ENOUGH", 1e-8)
    fit.minimise(head, examples, Train(optimizer="lbfgs", l2=2.0, label_smoothing=0.0))
    with torch.inference_mode():
        ours = head(x[:, None]).softmax(1).numpy()
    theirs = LogisticRegression(C=1 / 2.0, tol=1e-8, max_iter=1000).fit(x.numpy(), y).predict_proba(x.numpy())
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


@pytest.mark.parametrize("head", ["linear", "mlp", "attention"])
@pytest.mark.parametrize("folds", [2, 3])
def test_the_scored_fold_has_no_say(head: str, folds: int, tmp_path: Path) -> None:
    setting = f"models.embedder.model.head={head}"
    weights = []
    for name, flipped in (("a", False), ("b", True)):
        fold = make_fold(tmp_path / name, setting, folds=folds, flipped=flipped)
        train_fold(fold)
        weights.append(checkpoint.load(fold.folder / WEIGHTS)[0])
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0)


def test_the_l2_chosen_is_the_best_on_inner_folds(tmp_path: Path) -> None:
    fold = make_fold(tmp_path)
    examples = fit._examples(fold, fit._new(fold))
    assert set(np.unique(examples.group)) == {1, 2} and len(examples) == 60
    chosen, _ = fit.choose_l2(fold, examples)
    losses = {}
    for l2 in fit.L2:
        train = fold.plan.train.model_copy(update={"l2": l2})
        losses[l2] = 0.0
        for inner in (1, 2):
            model = fit._new(fold)
            fit.minimise(model, examples.take(np.flatnonzero(examples.group != inner)), train)
            losses[l2] += fit._loss(model, examples.take(np.flatnonzero(examples.group == inner)), train)
    assert losses[chosen] < 1.02 * min(losses.values())
    assert chosen not in (min(fit.L2), max(fit.L2))


def test_heads_of_several_layers_try_every_l2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strong penalty leaves them at zero, and the next may do a little worse before one does far better."""
    fold = make_fold(tmp_path, "models.embedder.model.head=mlp")
    tried = []

    def minimise(model: torch.nn.Module, examples: object, train: Train, steps: int = 0) -> float:
        tried.append(train.l2)
        return 0.0

    losses = dict(zip(fit.L2, (1.0, 1.001, 0.9, 0.2, 0.3, 0.4), strict=True))
    monkeypatch.setattr(fit, "minimise", minimise)
    monkeypatch.setattr(fit, "_loss", lambda *_: losses[tried[-1]])
    chosen, _ = fit.choose_l2(fold, fit._examples(fold, fit._new(fold)))
    assert chosen == fit.L2[3]


def test_a_given_l2_is_taken_and_predictions_are_written(tmp_path: Path) -> None:
    fold = make_fold(tmp_path, "train.l2=3")
    table = train_fold(fold)
    assert len(table) == 30 and (tmp_path / OOF).is_file()
    again = make_fold(tmp_path / "again", "train.l2=3")
    train_fold(replace(again))
    assert train_fold(again)["logits"].to_list() == table["logits"].to_list()


def test_networks_are_not_fitted_so(tmp_path: Path) -> None:
    config = load_config(tiny.make(tmp_path), ["train.optimizer=lbfgs"])
    with pytest.raises(ConfigError, match="lbfgs trains heads on embeddings, and gru is no such head"):
        resolve(config, "gru")
