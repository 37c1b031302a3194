"""Read a trained run from its folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import nn

from kagglekit import models
from kagglekit.config import Config, Features, Train
from kagglekit.config.names import LabelKind
from kagglekit.data.clips import WITHOUT_LABELS
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import read_json
from kagglekit.files.json_shape import shaped
from kagglekit.files.workspace import model_of
from kagglekit.scoring.cv import Score
from kagglekit.scoring.numerics import sigmoid, softmax
from kagglekit.scoring.predictions import logits_of, predictions, read_predictions
from kagglekit.scoring.task import Task
from kagglekit.scoring.thresholds import ThresholdRule, Thresholds, rule_for
from kagglekit.training import checkpoint
from kagglekit.training.files import DECISION, META, METRICS, TEST, WEIGHTS
from kagglekit.training.head import Head
from kagglekit.training.plan import Plan


@dataclass(frozen=True)
class Run:
    """A trained plan."""

    model: str
    id: str
    folder: Path
    score: Score
    metrics: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class RunMetrics:
    """What metrics.json of a run holds besides its score; kagglekit.runs.train writes it."""

    model: str
    folds: list[float]
    """Score of each fold."""
    train_seconds: float
    parameters: int
    clips_per_s: float
    clips_key: str
    classes: list[str]
    source: str = ""
    shift_limit: float | None = None
    score_key: str = ""
    only: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FoldMeta:
    """What meta.json of a fold holds; kagglekit.training.loop writes it."""

    model: str
    params: dict[str, Any]
    outputs: list[str]
    class_of: list[int]
    classes: list[str]
    words: bool
    features: Features
    train: Train
    kind: LabelKind = LabelKind.SINGLE
    pool: Literal["mean", "max"] = "mean"
    history: list[dict[str, float | None]] = field(default_factory=list)


@dataclass(frozen=True)
class DecisionFile:
    """What decision.json of a run holds."""

    thresholds: Thresholds


def rows_of(table: pl.DataFrame, clips: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the clips table in the order of a prediction table."""
    spoken = clips.filter(~pl.col("split").is_in(WITHOUT_LABELS))
    return table.select("clip_id").join(spoken, on="clip_id", how="left", maintain_order="left")


def train_again(folder: Path) -> str:
    """Return the hint about a damaged file of a run."""
    return f"remove the folder {folder} and train it again: kagglekit train --model {model_of(folder.parent)}"


def read_meta(folder: Path) -> dict[str, Any]:
    """Read meta.json of a fold.

    Raises:
        MissingError: the fold is not trained.
    """
    try:
        meta: dict[str, Any] = read_json(folder / META, bound=True)
        shaped(FoldMeta, meta)
    except (FileNotFoundError, ValueError) as error:
        raise MissingError(
            f"{folder / META} cannot be read: {error}", hint=train_again(folder.parent)
        ) from error
    return meta


def kind_of(meta: dict[str, Any]) -> LabelKind:
    """Return the label kind that a fold was trained for; runs of version 0.1 have a separator instead."""
    return LabelKind(meta.get("kind", LabelKind.MULTI if "separator" in meta else LabelKind.SINGLE))


def rule_of(meta: dict[str, Any]) -> ThresholdRule | None:
    """Return the rule of a fold's label scheme, or None if it has none."""
    return rule_for(meta["train"]["labels"], len(meta["classes"]), meta["class_of"])


def finite_logits(table: pl.DataFrame, what: str, hint: str) -> NDArray[np.float32]:
    """Return the logits (clips, classes) of a prediction table.

    Raises:
        KagglekitError: one is NaN or infinity.
    """
    logits = logits_of(table)
    if not np.isfinite(logits).all():
        raise KagglekitError(f"{what} hold NaN or infinity", hint=hint)
    return logits


def plan_of(meta: dict[str, Any]) -> Plan:
    """Return the plan that a fold was trained by."""
    return Plan(meta["model"], meta["params"], Train(**meta["train"]), Features(**meta["features"]))


def load_fold(folder: Path) -> tuple[nn.Module, Head, dict[str, Any]]:
    """Rebuild a fold's model from its two files, of which zero_shot has one for all: (model, head, meta)."""
    meta = read_meta(folder)
    model = models.build(meta["model"], meta["params"], len(meta["outputs"]))
    weights = folder.with_name("fold_0") if meta["train"]["labels"] == "zero_shot" else folder
    checkpoint.load_weights(model, weights / WEIGHTS, train_again(folder.parent))
    head = Head(
        tuple(meta["outputs"]),
        tuple(meta["class_of"]),
        tuple(meta["classes"]),
        meta["words"],
        double=None,
        rule=rule_of(meta),
        thresholds=read_thresholds(folder.parent),
        kind=kind_of(meta),
        pool=meta.get("pool", "mean"),
    )
    return model, head, meta


def read_thresholds(run: Path) -> Thresholds | None:
    """Read the thresholds of a run, or None if it has none, or none are chosen yet.

    Raises:
        MissingError: the file is damaged.
    """
    path = run / DECISION
    if not path.is_file():
        return None
    try:
        return shaped(DecisionFile, read_json(path, bound=True)).thresholds
    except ValueError as error:
        raise MissingError(f"{path} cannot be read", hint=train_again(run)) from error


def fold_logits(run: Path, fold: int) -> NDArray[np.float32]:
    """Return one fold's test logits (clips, classes), sorted by clip_id; where there is a rule, after it."""
    folder = run / f"fold_{fold}"
    logits = logits_of(read_predictions(folder / TEST, train_again(run)).sort("clip_id"))
    if (thresholds := read_thresholds(run)) and (rule := rule_of(read_meta(folder))):
        logits = rule.apply(logits, thresholds)
    return logits


def fold_probs(run: Path, fold: int) -> NDArray[np.float64]:
    """Return one fold's test probabilities (clips, classes), sorted by clip_id."""
    multi = kind_of(read_meta(run / "fold_0")) is LabelKind.MULTI
    return (sigmoid if multi else softmax)(fold_logits(run, fold))


def mean_test(config: Config, run: Path) -> pl.DataFrame:
    """Return a run's test predictions: the mean of its folds' probabilities, as logits."""
    clips = read_predictions(run / "fold_0" / TEST, train_again(run)).sort("clip_id")
    probs = np.mean([fold_probs(run, number) for number in range(config.validation.folds)], axis=0)
    return predictions(clips, Task.of(config).logits(probs))


def load_run(folder: Path) -> Run:
    """Read a finished run.

    Raises:
        MissingError: metrics.json is absent or damaged.
    """
    try:
        return make_run(folder, read_json(folder / METRICS, bound=True))
    except (FileNotFoundError, ValueError) as error:
        raise MissingError(f"{folder / METRICS} cannot be read: {error}", hint=train_again(folder)) from error


def make_run(folder: Path, metrics: dict[str, Any]) -> Run:
    """Return the run of these metrics.

    Raises:
        ValueError: they have another shape.
    """
    model = shaped(RunMetrics, metrics).model
    score = shaped(Score, {name: metrics[name] for name in Score._fields if name in metrics})
    return Run(model, folder.name, folder, score, metrics)
