"""Runs on disk: what a trained plan left, read back and scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from kagglekit import models
from kagglekit.config import Config, Train
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError, MissingError, close_match
from kagglekit.files import tables
from kagglekit.files.atomic import write_json
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.cv import Score, clip_weights, score
from kagglekit.scoring.numerics import sigmoid, softmax
from kagglekit.terminal import console
from kagglekit.training import checkpoint
from kagglekit.training.dataset import Head
from kagglekit.training.loop import META, OOF, WEIGHTS
from kagglekit.training.predict import predictions
from kagglekit.training.thresholds import Rule, Thresholds, apply_by_fold, fit_by_fold, rule_for

METRICS, TEST, HISTORY, SETTINGS = "metrics.json", "test.parquet", "history.parquet", "config.yaml"
DECISION = "decision.json"
SCORE_VERSION = 3  # raise it when validation.py computes another number from the same logits


@dataclass(frozen=True)
class Run:
    """A trained plan."""

    model: str
    id: str
    folder: Path
    score: Score
    metrics: dict[str, Any]


def logits_of(table: pl.DataFrame) -> NDArray[np.float32]:
    """(clips, classes) from a table of predictions."""
    return table["logits"].to_numpy()


def rows_of(table: pl.DataFrame, clips: pl.DataFrame) -> pl.DataFrame:
    """Rows of the clips table in the order of a table of predictions."""
    spoken = clips.filter(pl.col("split") != "test")
    return table.select("clip_id").join(spoken, on="clip_id", how="left", maintain_order="left")


def train_again(folder: Path) -> str:
    """The hint about a damaged file of a run."""
    return f"remove the folder {folder} and train it again: kagglekit train --model {folder.parent.name}"


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json of a fold.

    Raises:
        MissingError: the fold is not trained.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise MissingError(f"{folder / META} cannot be read", hint=train_again(folder.parent)) from error
    return meta


def load_fold(folder: Path) -> tuple[torch.nn.Module, Head, dict[str, Any]]:
    """A fold's model from its two files alone: (model, head, meta)."""
    meta = read_meta(folder)
    model = models.build(meta["model"], meta["params"], len(meta["outputs"]))
    checkpoint.load_weights(model, folder / WEIGHTS, train_again(folder.parent))
    decision = read_decision(folder.parent)
    head = Head(
        tuple(meta["outputs"]),
        tuple(meta["class_of"]),
        tuple(meta["classes"]),
        meta["words"],
        double=None,
        rule=rule_for(meta["train"]["labels"], len(meta["classes"]), meta["class_of"]),
        thresholds=decision and decision[1],
        separator=meta.get("separator"),
    )
    return model, head, meta


def read_decision(run: Path) -> tuple[Rule, Thresholds] | None:
    """How a run gives out silence and filler; None: as any class, or its thresholds are not chosen yet.

    Raises:
        MissingError: the file is damaged.
    """
    path = run / DECISION
    if not path.is_file():
        return None
    try:
        decision = json.loads(path.read_text(encoding="utf-8"))
        return Rule(**decision["rule"]), Thresholds(**decision["thresholds"])
    except (ValueError, LookupError, TypeError) as error:
        raise MissingError(f"{path} cannot be read", hint=train_again(run)) from error


def score_key(config: Config) -> str:
    """Changes with how a score is computed; the logits stay as they are."""
    metric = config.competition.metric
    extra = [] if metric == "accuracy" else [metric]
    return key_of(SCORE_VERSION, config.validation.prior, config.validation.never_heard, *extra)


def fold_logits(run: Path, fold: int) -> NDArray[np.float32]:
    """One fold's logits of the test clips, (clips, classes), by clip_id, or the scores of its rule."""
    table = tables.read(run / f"fold_{fold}" / TEST, train_again(run))
    logits = logits_of(table.sort("clip_id"))
    if decision := read_decision(run):
        rule, thresholds = decision
        logits = rule.apply(logits, thresholds)
    return logits


def fold_probs(run: Path, fold: int) -> NDArray[np.float64]:
    """One fold's probabilities of the test clips, (clips, classes), by clip_id."""
    logits = fold_logits(run, fold)
    return softmax(logits) if separator_of(run) is None else sigmoid(logits)


def separator_of(run: Path) -> str | None:
    """Between the labels of a clip, where a run's clips may have several."""
    separator: str | None = read_meta(run / "fold_0").get("separator")
    return separator


def mean_test(config: Config, run: Path) -> pl.DataFrame:
    """A run's test logits: the log of its folds' mean probabilities."""
    folds = range(config.validation.folds)
    clips = tables.read(run / "fold_0" / TEST, train_again(run)).sort("clip_id")
    probs = np.mean([fold_probs(run, number) for number in folds], axis=0)
    logits = np.log(probs + 1e-12)
    if separator_of(run) is not None:
        logits -= np.log1p(1e-12 - probs)
    return predictions(clips, logits.astype(np.float32))


def assemble(prepared: Prepared, folder: Path) -> None:
    """Join the OOF predictions of a run's trained folds; where there is a rule, apply its thresholds.

    Raises:
        KagglekitError: they are not finite.
    """
    again = train_again(folder)
    folds = [folder / f"fold_{number}" for number in range(prepared.config.validation.folds)]
    oof = pl.concat([tables.read(fold / OOF, again) for fold in folds])
    if not np.isfinite(logits_of(oof)).all():  # where the last step of all was too large
        raise KagglekitError(
            f"OOF predictions of {folder.parent.name}/{folder.name} hold NaN or infinity",
            hint="train it with a lower learning rate: --set train.lr=...",
        )
    meta = read_meta(folds[0])
    if rule := rule_for(meta["train"]["labels"], len(meta["classes"]), meta["class_of"]):
        oof = _decided(prepared, folder, oof, rule, Train(**meta["train"]).thresholds)
    tables.write(oof, folder / OOF)


def _decided(
    prepared: Prepared,
    folder: Path,
    oof: pl.DataFrame,
    rule: Rule,
    asked: tuple[float, float] | Literal["fit"],
) -> pl.DataFrame:
    """Raw OOF predictions -> the rule's, and decision.json. Fitted thresholds are, for OOF, those fitted on
    the other folds, so that the score stays honest; the test's are fitted on all."""
    raw, fold = logits_of(oof), oof["fold"].to_numpy()
    if asked == "fit":
        clips = rows_of(oof, prepared.clips)
        index = {name: i for i, name in enumerate(prepared.config.labels.classes)}
        label = np.array([index[name] for name in clips["label"]])
        weight = clip_weights(clips, prepared.config)
        chosen, by_fold = rule.fit(raw, label, weight), fit_by_fold(rule, raw, label, weight, fold)
    else:
        chosen = Thresholds(*asked)
        by_fold = dict.fromkeys(np.unique(fold).tolist(), chosen)
    decision = {
        "rule": asdict(rule),
        "thresholds": chosen._asdict(),
        "of_folds": {number: pair._asdict() for number, pair in by_fold.items()},
    }
    write_json(folder / DECISION, decision)
    return predictions(oof, apply_by_fold(rule, raw, fold, by_fold))


def measure(prepared: Prepared, folder: Path, facts: Mapping[str, Any]) -> Run:
    """Score a run's OOF predictions and write metrics.json, which marks the run as whole.

    Args:
        config, prepared: the competition.
        folder: the run's.
        facts: what else metrics.json holds.
    """
    oof = tables.read(folder / OOF, train_again(folder))
    of_all = not facts.get("only")  # the test has clips of every class
    test = (
        [fold_probs(folder, number) for number in range(prepared.config.validation.folds)] if of_all else []
    )
    limit = facts.get("shift_limit")
    result = score(logits_of(oof), rows_of(oof, prepared.clips), prepared.config, test, limit)
    parts = [oof.filter(pl.col("fold") == number) for number in range(prepared.config.validation.folds)]
    folds = [
        score(logits_of(part), rows_of(part, prepared.clips), prepared.config, interval=False).cv
        for part in parts
    ]
    scores = {**result.as_dict(), "folds": folds, "score_key": score_key(prepared.config)}
    write_json(folder / METRICS, {**facts, **scores})
    return load_run(folder)


def load_run(folder: Path) -> Run:
    """A finished run.

    Raises:
        MissingError: metrics.json is absent or damaged.
    """
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        fields = {name: metrics[name] for name in Score._fields if name in metrics}
        fields["constant"] = tuple(fields["constant"])
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise MissingError(f"{folder / METRICS} cannot be read: {error}", hint=train_again(folder)) from error
    return Run(metrics["model"], folder.name, folder, Score(**fields), metrics)


def scored(prepared: Prepared, run: Run) -> Run:
    """The run with its score for the present prior, computed again where it was for another."""
    if run.metrics.get("score_key") == score_key(prepared.config):
        return run
    if (run.folder / DECISION).is_file():
        assemble(prepared, run.folder)  # thresholds may have been fitted for another prior
        tables.write(mean_test(prepared.config, run.folder), run.folder / TEST)
    return measure(prepared, run.folder, run.metrics)


def present_runs(prepared: Prepared) -> tuple[list[Run], int]:
    """Finished runs on the present clips, folds and classes; and how many others there are."""
    there = [load_run(path.parent) for path in sorted(prepared.workspace.runs.glob(f"*/*/{METRICS}"))]
    present = (prepared.key, list(prepared.config.labels.classes))
    fitting = [run for run in there if (run.metrics["clips_key"], run.metrics["classes"]) == present]
    return fitting, len(there) - len(fitting)


def best_run(prepared: Prepared, model: str) -> Run:
    """The model's run with the best CV score on the present clips, folds and prior.

    Raises:
        ConfigError: no such model.
        MissingError: none is trained, or only on other clips or folds.
    """
    models.info(model)
    runs = [load_run(path.parent) for path in sorted(prepared.workspace.runs.glob(f"{model}/*/{METRICS}"))]
    if not runs:
        raise MissingError(f"no trained run of {model}", hint=f"train one: kagglekit train --model {model}")
    fitting = [run for run in runs if run.metrics["clips_key"] == prepared.key]
    if not fitting:
        raise MissingError(
            f"the {len(runs)} runs of {model} were trained on other clips or folds than the present",
            hint=f"train it on these: kagglekit train --model {model}",
        )
    return max((scored(prepared, run) for run in fitting), key=lambda run: run.score.cv)


def find_run(workspace: Workspace, name: str) -> Run:
    """Return the run `model/id` as it is stored.

    Raises:
        ConfigError: no such model.
        MissingError: there is no such run.
    """
    model, _, identity = name.partition("/")
    models.info(model)
    known = {path.parent.name: path.parent for path in workspace.runs.glob(f"{model}/*/{METRICS}")}
    if identity not in known:
        hint = close_match(identity, known) if known else f"train one: kagglekit train --model {model}"
        raise MissingError(f"there is no finished run {name}", hint=hint)
    return load_run(known[identity])


def best_runs(prepared: Prepared, chosen: list[str] | None) -> list[Run]:
    """The runs that names mean: a model its best run, `model/id` that run, `all` the best run of every model,
    `runs` every run on the present clips and folds.

    Raises:
        KagglekitError: none is trained, or a chosen one is not.
    """
    everything = [name for name in chosen or ["all"] if name in ("all", "runs")]
    if not everything:
        found = [
            scored(prepared, find_run(prepared.workspace, name)) if "/" in name else best_run(prepared, name)
            for name in dict.fromkeys(chosen or ())
        ]
        return list({run.folder: run for run in found}.values())
    trained = [load_run(path.parent) for path in sorted(prepared.workspace.runs.glob(f"*/*/{METRICS}"))]
    if not trained:
        raise KagglekitError("no model is trained yet", hint="train one: kagglekit train --model tcresnet")
    fitting = [run for run in trained if run.metrics["clips_key"] == prepared.key]
    others = {run.model for run in trained} - {run.model for run in fitting}
    for model in sorted(others) if fitting else ():
        console.note(f"{model} is left out: it was trained on other clips or folds than the present")
    if "runs" in everything and fitting:
        return best_runs(prepared, [f"{run.model}/{run.id}" for run in fitting])
    models = sorted({run.model for run in fitting} or others)  # where none fits, best_run says so
    return [best_run(prepared, model) for model in models]
