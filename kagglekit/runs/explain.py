"""Explain the CV scores of finished runs by their parts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, MissingError, close_match
from kagglekit.models import info
from kagglekit.runs.choose import note_others, present_runs
from kagglekit.runs.score import scored
from kagglekit.runs.store import Run, finite_logits, fold_probs, rows_of, train_again
from kagglekit.scoring.parts import ClassPart, Explanation, by_class, explain
from kagglekit.scoring.predictions import read_predictions
from kagglekit.training.files import OOF


class Explained(NamedTuple):
    """A run with its score explained."""

    run: Run
    why: Explanation | None
    """None where a clip may have several labels: there is neither prior nor part to explain."""
    classes: Mapping[str, ClassPart] = {}
    """Scores of each class where a clip may have several labels, the lowest first."""

    @property
    def name(self) -> str:
        """`tcresnet/0204dfa627f6`"""
        return f"{self.run.model}/{self.run.id}"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        run, why, classes = self
        name = {"model": run.model, "run": run.id}
        if why is None:
            by_class = {label: part._asdict() for label, part in classes.items()}
            return name | run.score.as_dict() | {"folds": run.metrics["folds"], "classes": by_class}
        tables = {
            kind: {name: part._asdict() for name, part in getattr(why, kind).items()}
            for kind in ("parts", "classes", "words")
        }
        return name | {
            "source": run.metrics.get("source"),
            **why.score.as_dict(),
            "oof": why.score.oof,
            "folds": why.folds,
            **tables,
            "unseen_interval": why.unseen_interval if why.words else None,
            "estimated_prior": why.estimated,
            "bias": {**why.bias._asdict(), "beyond_noise": why.bias.beyond_noise},
        }


def explain_runs(
    prepared: Prepared, models: Sequence[str] = (), ids: Sequence[str] = (), estimated: bool = False
) -> list[Explained]:
    """Explain the scores of runs, the best run first.

    If `estimated`, the prior is that estimated from each run's test predictions, not validation.prior.

    Raises:
        ConfigError: `estimated`, and a clip may have several labels.
        MissingError: there is no such run.
        KagglekitError: predictions are damaged.
    """
    runs = _choose(prepared, models, ids)
    if prepared.task.multi and estimated:
        raise ConfigError(
            "--prior estimated needs clips with one label each, and these may have several",
            hint="leave it out: no prior weights the scores",
        )
    if prepared.task.multi:
        explained = [_by_class(prepared, scored(prepared, run)) for run in runs]
    else:
        explained = [_explain(prepared, run, estimated) for run in runs]
    return prepared.task.metric.ranked(explained, lambda one: (one.why or one.run).score.cv)


def _choose(prepared: Prepared, models: Sequence[str], ids: Sequence[str]) -> list[Run]:
    """Select among the finished runs on the present clips, folds and classes.

    Raises:
        MissingError: there is none, or none of a name.
    """
    for model in models:
        info(model)
    runs, others = present_runs(prepared)
    note_others(others)
    for name in ids:
        if name not in {run.id for run in runs}:
            hint = close_match(name, [run.id for run in runs]) if runs else "no run is finished"
            raise MissingError(f"no finished run {name} on the present clips and folds", hint=hint)
    for model in models:
        if model not in {run.model for run in runs}:
            raise MissingError(
                f"no run of {model} on the present clips", hint=f"train one: kagglekit train --model {model}"
            )
    if not runs:
        what = "on the present clips, folds and classes" if others else "yet"
        raise MissingError(f"no model is trained {what}", hint="train one: kagglekit train --model tcresnet")
    return [run for run in runs if (not models or run.model in models) and (not ids or run.id in ids)]


def _by_class(prepared: Prepared, run: Run) -> Explained:
    """Read a run's predictions and score each class."""
    oof = read_predictions(run.folder / OOF, train_again(run.folder))
    logits = finite_logits(oof, f"OOF predictions of {run.model}/{run.id}", train_again(run.folder))
    return Explained(run, None, by_class(logits, rows_of(oof, prepared.clips), prepared.task))


def _explain(prepared: Prepared, run: Run, estimated: bool) -> Explained:
    """Read a run's predictions and explain its score."""
    config = prepared.config
    oof = read_predictions(run.folder / OOF, train_again(run.folder))
    logits = finite_logits(oof, f"OOF predictions of {run.model}/{run.id}", train_again(run.folder))
    clips = rows_of(oof, prepared.clips)
    test = [fold_probs(run.folder, number) for number in range(config.validation.folds)]
    limit = run.metrics.get("shift_limit")
    why = explain(logits, clips, config, test, limit)
    if estimated:
        validation = config.validation.model_copy(update={"prior": why.estimated})
        config = config.model_copy(update={"validation": validation})
        why = explain(logits, clips, config, test, limit)._replace(estimated=why.estimated)
    return Explained(run, why)
