"""The search space: network, features, augmentation, optimizer, schedule, regularisation and labels.

A parameter has the dotted name of its setting. Where its range depends on another parameter, the name ends in
@ and that parameter's value: `train.lr@sgd` is train.lr with the optimizer sgd.
"""

from collections.abc import Mapping
from typing import Any

from kagglekit import models
from kagglekit.config import Config, Features, ModelSection, Train, overlay
from kagglekit.config.names import InputKind, LabelKind
from kagglekit.config.search import Range
from kagglekit.errors import AudioError, ConfigError
from kagglekit.features.logmel import mel_filters
from kagglekit.search.suggest import Draw, NearestValues, setting_of
from kagglekit.training.plan import Plan, resolve

VERSION = 2  # shapes a study's name: raise it when the ranges below change
FILLERS = "labels.keep_fillers"
LR_SCALE = {"sgd": 25.0}
"""Learning rate relative to Adam's: 0.05 beside 0.002, as in the papers' code."""
SCHEMES = ("words", "targets")
"""Label schemes without a rule that is fitted on all folds."""


def settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's parameters by setting."""
    return {setting_of(name): value for name, value in params.items()}


def configure(config: Config, model: str, params: Mapping[str, Any]) -> tuple[Config, Plan]:
    """Return the competition and the plan with a trial's parameters.

    Raises:
        ConfigError: the parameters contradict the architecture or each other.
    """
    values = settings(params)
    if FILLERS in values:
        labels = overlay(config.labels, {"keep_fillers": values.pop(FILLERS)})
        config = config.model_copy(update={"labels": labels})
    return config, resolve(config, model, values)


class Space:
    """The search space of one architecture in one competition.

    Args:
        config: the competition; `search.space` and `models.<name>.space` override ranges.
        plan: the recipe; all ranges include its values.

    Raises:
        ConfigError: a range contains a value that the architecture or its training rejects.
    """

    def __init__(self, config: Config, plan: Plan) -> None:
        self.config, self.plan = config, plan
        section = config.models.get(plan.model.removeprefix(models.CASCADE), ModelSection())
        self.overrides: dict[str, Range | None] = {**config.search.space, **section.space}
        self.n_mels_is_given = "n_mels" in {**section.model, **models.needed_features(plan.model)}
        self.values = _recipe_values(config, plan)
        self._check()

    def suggest(self, trial: models.Suggester) -> dict[str, Any]:
        """Draw the parameters of a trial, by name, without settings that are not searched."""
        draw = Draw(trial, self.values, self.overrides)
        if self.plan.train.optimizer != "lbfgs":  # which has none of these settings
            _training(draw, self.plan)
        kind = models.input_kind(self.plan.model, self.plan.params)
        if kind is not InputKind.EMBEDDING:
            _augmentation(draw, self.config, kind)
        if kind is InputKind.LOG_MEL and not self.n_mels_is_given:
            choices = _bands(self.plan.features, self.config.audio.sample_rate)
            draw.suggest_categorical("features.n_mels", choices)
        _labels(draw, self.config, self.plan.train)
        draw.prefix = "model."
        models.load(self.plan.model).search_space(draw)
        for name, rule in self.overrides.items():
            if rule is not None and name not in draw.visited:
                draw.suggest(name, rule)
        return draw.params

    def recipe(self) -> dict[str, Any]:
        """Return the recipe's parameters: the first trial of a search."""
        return self.nearest({})

    def nearest(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Move another space's parameters into this one; missing ones come from the recipe."""
        return self.suggest(NearestValues(params, self.values))

    def signature(self) -> Any:
        """Return a JSON-serialisable value that changes with the space."""
        rules = {name: rule and rule.model_dump() for name, rule in sorted(self.overrides.items())}
        return [VERSION, rules]

    def _check(self) -> None:
        """Check that every bound and choice of the YAML is valid in the recipe."""
        for name, rule in self.overrides.items():
            if setting_of(name) != name or name == "train.epochs":
                reason = "pruning chooses the epochs" if name == "train.epochs" else "write it without @"
                raise ConfigError(f"space.{name} cannot be searched: {reason}", hint="leave it out")
            for value in [self.values.get(name)] if rule is None else rule.values():
                self._check_value(name, value)

    def _check_value(self, name: str, value: Any) -> None:
        try:
            if name not in self.values:
                section = name.split(".")[0]
                names = ", ".join(sorted(n for n in self.values if n.split(".")[0] == section)) or "none"
                raise ConfigError(f"{self.plan.model} has no such setting; {section}: {names}")
            configure(self.config, self.plan.model, {name: value})
        except (ConfigError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"the search space contradicts {self.plan.model}: {name} = {value!r}: {first}",
                hint=f"correct search.space or models.{self.plan.model}.space; null excludes a setting",
            ) from error


def _training(draw: Draw, plan: Plan) -> None:
    """Draw optimizer, schedule, regularisation and sampling."""
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
    if train.loss != "bce":  # a clip with several labels has no single class to balance by
        draw.suggest_float("train.balance", 0.0, 1.0)
    draw.suggest_float("train.augment.mixup", 0.0, 0.5)


def _augmentation(draw: Draw, config: Config, kind: InputKind) -> None:
    """Draw the augmentation of log-mels or waveforms."""
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
    """Return the plan's number of mel bands, and higher ones where the window resolves them."""
    bands = [features.n_mels]
    for n_mels in (features.n_mels * 3 // 2, features.n_mels * 2):
        try:
            mel_filters(Features(**{**features.model_dump(), "n_mels": n_mels}), sample_rate)
        except (AudioError, ValueError):
            continue
        bands.append(n_mels)
    return bands


def _labels(draw: Draw, config: Config, train: Train) -> None:
    """Draw the label scheme and the share of fillers."""
    if train.labels in SCHEMES and not train.only and config.labels.kind is not LabelKind.MULTI:
        others = [scheme for scheme in SCHEMES if scheme != train.labels]
        draw.suggest_categorical("train.labels", [train.labels, *others])
    if config.labels.filler is not None:
        draw.suggest_categorical(FILLERS, ["all", 0.5, 0.25])


def _recipe_values(config: Config, plan: Plan) -> dict[str, Any]:
    """Return every setting of the plan by its dotted name."""
    model = models.configure(plan.model, plan.params).model_dump()
    train = plan.train.model_dump()
    augment = train.pop("augment")
    return {
        **{f"model.{name}": value for name, value in model.items() if name != "n_mels"},
        **{f"train.{name}": value for name, value in train.items()},
        **{f"train.augment.{name}": value for name, value in augment.items()},
        **{f"features.{name}": value for name, value in plan.features.model_dump().items()},
        FILLERS: config.labels.keep_fillers,
    }
