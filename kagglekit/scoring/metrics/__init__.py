"""The metrics that `competition.metric` names: `make_metric` builds one.

To add one, add a function to `answers` or `ranks`, a line below and a line in config/names.py. A package
adds one by an entry point of the group `kagglekit.metrics`: a function that takes the metric's parameters
and returns a `Metric`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

from kagglekit.config.metric import checked_parameters, plugins
from kagglekit.config.names import METRIC_ALIASES, METRICS
from kagglekit.errors import ConfigError, close_match
from kagglekit.scoring.metrics import answers, ranks
from kagglekit.scoring.metrics.base import Answers, Metric, Scores, Truth

__all__ = ["Answers", "Metric", "Scores", "Truth", "make_metric"]

Measure = Callable[..., float]

MEASURES: dict[str, Measure] = {
    "accuracy": answers.accuracy,
    "balanced_accuracy": answers.balanced_accuracy,
    "f1_macro": answers.f1_macro,
    "f1_micro": answers.f1_micro,
    "f1_rows": answers.f1_rows,
    "map_at_k": answers.map_at_k,
    "lwlrap": ranks.lwlrap,
    "average_precision": ranks.average_precision,
    "average_precision_micro": ranks.average_precision_micro,
    "average_precision_padded": ranks.average_precision_padded,
    "roc_auc": ranks.roc_auc_micro,
    "roc_auc_macro": ranks.roc_auc_macro,
    "roc_auc_micro": ranks.roc_auc_micro,
    "class_balanced_accuracy": answers.class_balanced_accuracy,
    "log_loss": ranks.log_loss,
    "kappa": answers.kappa,
    "mcc": answers.mcc,
}
"""Metric -> function."""

SINGLE: dict[str, Measure] = {
    "f1_macro": answers.f1_macro_single,
    "roc_auc": ranks.roc_auc_single,
    "log_loss": ranks.log_loss_single,
}
"""Metric -> another function where each row has one class."""

ANSWERS: dict[str, Literal["class", "set", "top_k"]] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "kappa", "mcc"), "class"),
    **dict.fromkeys(("f1_macro", "f1_micro", "f1_rows", "class_balanced_accuracy"), "set"),
    "map_at_k": "top_k",
}
"""Metric -> its answers."""

BY_ROW = ("lwlrap", "map_at_k", "f1_rows")
"""Metrics that judge each row for itself."""

BY_PAIR = (
    *("f1_macro", "f1_micro", "average_precision", "average_precision_micro", "average_precision_padded"),
    *("roc_auc", "roc_auc_macro", "roc_auc_micro", "class_balanced_accuracy", "log_loss"),
)
"""Metrics that take weights of (row, class) pairs, too."""


def make_metric(name: str, kind: str = "single", parameters: Mapping[str, Any] | None = None) -> Metric:
    """Build a metric.

    Args:
        name: one of config.names.METRICS, or the entry point of an installed package.
        kind: label kind of the task, single or multi.
        parameters: those of `competition.metric`; defaults for the rest.

    Raises:
        ConfigError: there is no such metric, it does not fit the label kind or the parameters, or its package
            is broken.
    """
    name = METRIC_ALIASES.get(name, name)
    if name not in METRICS:
        return _plugin(name, kind, parameters or {})
    info = METRICS[name]
    _check_kind(name, kind, info.kinds)
    try:
        chosen = checked_parameters(name, parameters or {})
    except ValueError as error:
        raise ConfigError(str(error), hint="see competition.metric in docs/settings.md") from error
    measure = SINGLE.get(name, MEASURES[name]) if kind == "single" else MEASURES[name]
    options = {key: value for key, value in chosen.items() if key != "k"}
    return Metric(
        name,
        partial(measure, **options) if options else measure,
        info.takes,
        kind,
        ANSWERS.get(name),
        k=chosen.get("k", 1),
        low=info.low,
        high=info.high,
        lower_is_better=info.lower_is_better,
        weighted=info.weighted,
        kinds=info.kinds,
        parameters=chosen,
        unknown="rows" if name in BY_ROW else "pairs" if name in BY_PAIR else None,
    )


def _check_kind(name: str, kind: str, kinds: Sequence[str]) -> None:
    """Raise ConfigError where a metric does not fit a label kind."""
    if kind not in kinds:
        fitting = [other for other, info in METRICS.items() if kind in info.kinds]
        raise ConfigError(
            f"the metric {name} does not fit rows of label kind {kind}", hint=f"use {', '.join(fitting)}"
        )


@cache
def _entry_point(name: str) -> Any:
    """Import what an installed package's entry point names, once."""
    offered = plugins()
    if name not in offered:
        raise ConfigError(f"there is no metric '{name}'", hint=close_match(name, {*METRICS, *offered}))
    try:
        return offered[name].load()
    except Exception as error:
        raise ConfigError(
            f"the metric {name} cannot be imported from {offered[name].value}: {error}",
            hint="repair or reinstall its package",
        ) from error


def _plugin(name: str, kind: str, parameters: Mapping[str, Any]) -> Metric:
    """Build a metric of an installed package.

    Raises:
        ConfigError: the package has no such metric, or is broken, or the parameters do not fit.
    """
    make = _entry_point(name)
    try:
        metric = make(**parameters)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in parameters.items()) or "no parameters"
        raise ConfigError(
            f"the metric {name} cannot be made with {given}: {error}", hint="see its package's documentation"
        ) from error
    if not isinstance(metric, Metric):
        raise ConfigError(
            f"the metric {name} is a {type(metric).__name__}, not a Metric",
            hint="its entry point must return kagglekit.scoring.metrics.Metric",
        )
    _check_kind(name, kind, metric.kinds)
    return replace(metric, name=name, kind=kind, parameters=dict(parameters))
