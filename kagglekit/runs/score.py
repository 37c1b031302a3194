"""Score a run: join its folds' predictions, apply the decision rule, write metrics.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from kagglekit.config import Config, Train
from kagglekit.config.names import LabelKind
from kagglekit.data.prepare import Prepared
from kagglekit.files.atomic import write_json
from kagglekit.files.faults import unless_refused
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import model_of
from kagglekit.runs.store import (
    Run,
    finite_logits,
    fold_probs,
    load_run,
    make_run,
    mean_test,
    read_meta,
    rows_of,
    rule_of,
    train_again,
)
from kagglekit.scoring.cv import clip_weights, score
from kagglekit.scoring.predictions import logits_of, predictions, read_predictions, write_predictions
from kagglekit.scoring.task import labels_per_row
from kagglekit.scoring.thresholds import ThresholdRule, Thresholds, apply_by_fold, fit_by_fold
from kagglekit.training.files import DECISION, METRICS, OOF, TEST

SCORE_VERSION = 3  # raise it when scoring/cv.py computes another number from the same logits


def score_key(config: Config) -> str:
    """Return a key that changes with how scores are computed; logits do not depend on it."""
    competition = config.competition
    metric, parameters = competition.metric, competition.metric_parameters
    extra: list[Any] = [] if metric == "accuracy" else [metric, parameters] if parameters else [metric]
    if (limits := labels_per_row(config)) != (0, None) and config.labels.kind is LabelKind.MULTI:
        extra.append(limits)
    return key_of(SCORE_VERSION, config.validation.prior, config.validation.never_heard, *extra)


def assemble(prepared: Prepared, folder: Path) -> None:
    """Join the OOF predictions of a run's folds; where the label scheme has thresholds, apply them.

    Raises:
        KagglekitError: predictions are not finite.
    """
    folds = [folder / f"fold_{number}" for number in range(prepared.config.validation.folds)]
    oof = pl.concat([read_predictions(fold / OOF, train_again(folder)) for fold in folds])
    what = f"OOF predictions of {model_of(folder.parent)}/{folder.name}"
    hint = "train it with a lower learning rate: --set train.lr=..."
    finite_logits(oof, what, hint)  # a too large last step leaves NaN
    meta = read_meta(folds[0])
    if rule := rule_of(meta):
        oof = _decide(prepared, folder, oof, rule, Train(**meta["train"]).thresholds)
    write_predictions(oof, folder / OOF)


def _decide(
    prepared: Prepared,
    folder: Path,
    oof: pl.DataFrame,
    rule: ThresholdRule,
    setting: tuple[float, float] | Literal["fit"],
) -> pl.DataFrame:
    """Apply the rule to OOF predictions, and write decision.json.

    Fitted thresholds are, for each fold's OOF, fitted on the other folds, so that the score stays unbiased;
    those for the test are fitted on all folds.
    """
    logits, fold = logits_of(oof), oof["fold"].to_numpy()
    if setting == "fit":
        clips = rows_of(oof, prepared.clips)
        label, weight = prepared.task.target(clips["label"]), clip_weights(clips, prepared.config)
        chosen, by_fold = rule.fit(logits, label, weight), fit_by_fold(rule, logits, label, weight, fold)
    else:
        chosen = Thresholds(*setting)
        by_fold = dict.fromkeys(np.unique(fold).tolist(), chosen)
    decision = {
        "thresholds": chosen._asdict(),
        "of_folds": {number: pair._asdict() for number, pair in by_fold.items()},
    }
    write_json(folder / DECISION, decision, bound=True)
    return predictions(oof, apply_by_fold(rule, logits, fold, by_fold))


def measure(prepared: Prepared, folder: Path, facts: Mapping[str, Any]) -> Run:
    """Score a run's OOF predictions, and write metrics.json with the facts: it marks the run as finished."""
    write_json(folder / METRICS, _metrics(prepared, folder, facts), bound=True)
    return load_run(folder)


def _metrics(prepared: Prepared, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a run with its scores.

    With the fact `only`, the test, which has clips of every class, is left out of the score.
    """
    config, clips = prepared.config, prepared.clips
    folds = range(config.validation.folds)
    oof = read_predictions(folder / OOF, train_again(folder))
    test = [] if facts.get("only") else [fold_probs(folder, number) for number in folds]
    result = score(logits_of(oof), rows_of(oof, clips), config, test, facts.get("shift_limit"))
    parts = [oof.filter(pl.col("fold") == number) for number in folds]
    by_fold = [score(logits_of(part), rows_of(part, clips), config, interval=False).cv for part in parts]
    return {**facts, **result.as_dict(), "folds": by_fold, "score_key": score_key(config)}


def scored(prepared: Prepared, run: Run) -> Run:
    """Return the run with its score for the present prior, computed again if it was for another."""
    if run.metrics.get("score_key") == score_key(prepared.config):
        return run
    if (run.folder / DECISION).is_file():
        assemble(prepared, run.folder)  # thresholds may have been fitted for another prior
        write_predictions(mean_test(prepared.config, run.folder), run.folder / TEST)
    metrics = _metrics(prepared, run.folder, run.metrics)
    with unless_refused():
        write_json(run.folder / METRICS, metrics, bound=True)
    return make_run(run.folder, metrics)
