"""What a search tries: the network, features, augmentation, optimizer, schedule, regularisation, labels.

A parameter is named by the setting that it is, with dots. Where its range depends on another parameter,
the name says so behind an @: `train.lr@sgd` is train.lr where the optimizer is sgd. They are never mixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from kagglekit import models
from kagglekit.config import Config, Features, ModelSection, Train, overlay
from kagglekit.config.names import InputKind
from kagglekit.config.search import Range
from kagglekit.errors import AudioError, ConfigError
from kagglekit.features.logmel import mel_filters
from kagglekit.training.plan import Plan, resolve

if TYPE_CHECKING:
    from optuna import Trial

VERSION = 2  # part of a study's name: raise it when the ranges below change
FILLERS = "labels.keep_fillers"
LR_SCALE = {"sgd": 25.0}
"""How much higher than Adam's an optimizer's learning rate is: 0.05 beside 0.002, as in the papers' code."""
SCHEMES = ("words", "targets")
"""Label schemes that need no rule fitted on all folds."""


class Suggests(Protocol):
    """The part of optuna.Trial that spaces use."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def setting_of(name: str) -> str:
    """The setting that a parameter is: `train.lr@sgd` -> `train.lr`."""
    return name.partition("@")[0]


def settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a trial as settings."""
    return {setting_of(name): value for name, value in params.items()}


def configure(config: Config, model: str, params: Mapping[str, Any]) -> tuple[Config, Plan]:
    """The competition and the plan with a trial's parameters.

    Raises:
        ConfigError: they contradict the architecture or each other.
    """
    found = settings(params)
    if FILLERS in found:
        labels = overlay(config.labels, {"keep_fillers": found.pop(FILLERS)})
        config = config.model_copy(update={"labels": labels})
    return config, resolve(config, model, found)


class Space:
    """The search space of one architecture in one competition.

    Args:
        config: the competition; `search.space` and `models.<name>.space` override ranges.
        plan: the recipe; the ranges reach as far as it, so that it is a point of the space.

    Raises:
        ConfigError: a range holds a value that the architecture or its training cannot have.
    """

    def __init__(self, config: Config, plan: Plan) -> None:
        self.config, self.plan = config, plan
        section = config.models.get(plan.model.removeprefix(models.CASCADE), ModelSection())
        self.overrides: dict[str, Range | None] = {**config.search.space, **section.space}
        self.n_mels_is_given = "n_mels" in {**section.model, **models.needed_features(plan.model)}
        self.own = _own_values(config, plan)
        self._check()

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Parameters of one trial, by name; those of the plan that are not searched are not among them."""
        draw = _Draw(trial, self.own, self.overrides)
        _training(draw, self.plan)
        kind = models.input_kind(self.plan.model, self.plan.params)
        if kind is not InputKind.EMBEDDING:
            _augmentation(draw, self.config, kind)
        if kind is InputKind.LOG_MEL and not self.n_mels_is_given:
            choices = _bands(self.plan.features, self.config.audio.sample_rate)
            draw.suggest_categorical("features.n_mels", choices)
        _labels(draw, self.config, self.plan.train)
        own = cast("Trial", _Prefixed(draw, "model."))
        models.load(self.plan.model).search_space(own)
        for name, rule in self.overrides.items():
            if rule is not None and name not in draw.seen:
                draw.suggest(name, rule)
        return draw.found

    def recipe(self) -> dict[str, Any]:
        """The plan's own values: the first trial of a search."""
        return self.suggest(_Recipe(self.own))

    def nearest(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of another space, moved into this one; what it does not have comes from the recipe."""
        return self.suggest(_Nearest(params, self.own))

    def signature(self) -> Any:
        """Changes with the space, JSON-able."""
        rules = {name: rule and rule.model_dump() for name, rule in sorted(self.overrides.items())}
        return [VERSION, rules]

    def _check(self) -> None:
        """Each end and choice of what the YAML overrides has to be possible beside the recipe."""
        for name, rule in self.overrides.items():
            if setting_of(name) != name or name == "train.epochs":
                reason = "epochs are what pruning saves" if name == "train.epochs" else "write it without @"
                raise ConfigError(f"space.{name} cannot be searched: {reason}", hint="leave it out")
            values = [self.own.get(name)] if rule is None else rule.values()
            for value in values:
                self._check_value(name, value)

    def _check_value(self, name: str, value: Any) -> None:
        try:
            if name not in self.own:
                known = ", ".join(sorted(n for n in self.own if n.split(".")[0] == name.split(".")[0]))
                raise ConfigError(f"no such setting of {self.plan.model}; known: {known or 'none of it'}")
            configure(self.config, self.plan.model, {name: value})
        except (ConfigError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"the search space contradicts {self.plan.model}: {name} = {value!r}: {first}",
                hint=f"correct search.space or models.{self.plan.model}.space; null leaves a setting alone",
            ) from error


class _Draw:
    """Draws from a trial, within what the YAML says and as far as the recipe's own values."""

    def __init__(
        self, trial: Suggests, own: Mapping[str, Any], overrides: Mapping[str, Range | None]
    ) -> None:
        self.trial, self.own, self.overrides = trial, own, overrides
        self.found: dict[str, Any] = {}
        self.seen: set[str] = set()

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        return self._ranged(name, Range(low=low, high=high, log=log))

    def suggest_int(self, name: str, low: int, high: int) -> Any:
        return self._ranged(name, Range(low=low, high=high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._ranged(name, Range(choices=tuple(choices)))

    def _ranged(self, name: str, usual: Range) -> Any:
        base = setting_of(name)
        if base not in self.overrides:
            return self.suggest(name, usual)
        rule = self.overrides[base]
        self.seen.add(base)
        return self.own[base] if rule is None else self.suggest(base, rule)

    def suggest(self, name: str, rule: Range) -> Any:
        """Draw a parameter; it stays as it is where the recipe's value is out of any such range."""
        self.seen.add(setting_of(name))
        own = self.own.get(name)  # absent for train.lr@sgd, which the recipe does not have
        if rule.choices:
            choices = rule.choices if own is None or own in rule.choices else (own, *rule.choices)
            value = self.trial.suggest_categorical(name, list(choices))
        else:
            assert rule.low is not None and rule.high is not None
            if own is not None and rule.log and own <= 0:  # no logarithm reaches it
                return own
            low, high = (rule.low, rule.high) if own is None else (min(rule.low, own), max(rule.high, own))
            whole = all(isinstance(end, int) for end in (rule.low, rule.high)) and not rule.log
            if whole and (own is None or isinstance(own, int)):
                value = self.trial.suggest_int(name, int(low), int(high))
            else:
                value = self.trial.suggest_float(name, low, high, log=rule.log)
        self.found[name] = value
        return value


class _Prefixed:
    """A draw whose parameters get a prefix: `model.layers`."""

    def __init__(self, draw: _Draw, prefix: str) -> None:
        self.draw, self.prefix = draw, prefix

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        return self.draw.suggest_float(self.prefix + name, low, high, log=log)

    def suggest_int(self, name: str, low: int, high: int) -> Any:
        return self.draw.suggest_int(self.prefix + name, low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.draw.suggest_categorical(self.prefix + name, choices)


class _Recipe:
    """A trial that draws what the plan has."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        self.own = own

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self.own[name])

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self.own[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.own[name]


class _Nearest:
    """A trial that draws what is nearest to given parameters."""

    def __init__(self, given: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self.given = {**own, **given}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        given = self.given.get(name)
        middle = math.sqrt(low * high) if log else (low + high) / 2
        return min(max(float(given), low), high) if isinstance(given, int | float) else middle

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return round(self.suggest_float(name, low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        given = self.given.get(name)
        return given if given in choices else choices[0]


def _training(draw: _Draw, plan: Plan) -> None:
    """Optimizer, schedule, regularisation, sampling."""
    train = plan.train
    kinds = [train.optimizer, *(kind for kind in ("adamw", "sgd") if kind != train.optimizer)]
    kind = draw.suggest_categorical("train.optimizer", kinds)
    lr = train.lr * LR_SCALE.get(kind, 1.0) / LR_SCALE.get(train.optimizer, 1.0)
    name = "train.lr" if kind == train.optimizer else f"train.lr@{kind}"
    draw.suggest_float(name, lr / 4, lr * 4, log=True)
    draw.suggest_float("train.weight_decay", 1e-3, 0.2, log=True)
    draw.suggest_categorical("train.schedule", ["cosine", "constant"])
    draw.suggest_float("train.warmup", 0.0, 0.3)
    if train.loss != "mse":
        draw.suggest_float("train.label_smoothing", 0.0, 0.2)
    if train.loss != "bce":  # a clip with several labels has no one class to balance by
        draw.suggest_float("train.balance", 0.0, 1.0)
    draw.suggest_float("train.augment.mixup", 0.0, 0.5)


def _augmentation(draw: _Draw, config: Config, kind: InputKind) -> None:
    """What happens to a batch of log-mels or waveforms."""
    if config.labels.filler is not None:
        draw.suggest_float("train.augment.double_words", 0.0, 0.3)
    draw.suggest_float("train.augment.shift_ms", 0.0, 200.0)
    if config.labels.silence is not None:  # else there is no noise to add
        draw.suggest_float("train.augment.noise", 0.0, 0.8)
    if kind is InputKind.LOG_MEL:
        draw.suggest_float("train.augment.filter_db", 0.0, 6.0)
        draw.suggest_int("train.augment.time_mask", 0, 30)
        draw.suggest_int("train.augment.freq_mask", 0, 10)


def _bands(features: Features, sample_rate: int) -> list[int]:
    """The plan's number of mel bands, and more where the window resolves them."""
    found = [features.n_mels]
    for n_mels in (features.n_mels * 3 // 2, features.n_mels * 2):
        try:
            mel_filters(Features(**{**features.model_dump(), "n_mels": n_mels}), sample_rate)
        except (AudioError, ValueError):
            continue
        found.append(n_mels)
    return found


def _labels(draw: _Draw, config: Config, train: Train) -> None:
    """Label scheme and share of fillers."""
    if train.labels in SCHEMES and not train.only and config.separator is None:
        others = [scheme for scheme in SCHEMES if scheme != train.labels]
        draw.suggest_categorical("train.labels", [train.labels, *others])
    if config.labels.filler is not None:
        draw.suggest_categorical(FILLERS, ["all", 0.5, 0.25])


def _own_values(config: Config, plan: Plan) -> dict[str, Any]:
    """Every setting of the plan under its dotted name."""
    own = models.configure(plan.model, plan.params).model_dump()
    train = plan.train.model_dump()
    augment = train.pop("augment")
    return {
        **{f"model.{name}": value for name, value in own.items() if name != "n_mels"},
        **{f"train.{name}": value for name, value in train.items()},
        **{f"train.augment.{name}": value for name, value in augment.items()},
        **{f"features.{name}": value for name, value in plan.features.model_dump().items()},
        FILLERS: config.labels.keep_fillers,
    }
