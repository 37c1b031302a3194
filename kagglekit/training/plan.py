"""Everything that shapes a run, resolved: defaults, the architecture's, the YAML's, a search's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kagglekit import models
from kagglekit.config import Augment, Config, Features, ModelSection, Train, overlay
from kagglekit.config.names import InputKind
from kagglekit.errors import ConfigError, close_match
from kagglekit.training.precision import bf16_is_native

VERSION = 3  # part of every run id: raise it when training itself changes its results by more than rounding
# Fields of Train since that version; runs that do not use them keep their ids.
ADDED = ("thresholds", "only", "teaching")

NEEDS_BOTH = ("words_threshold", "cascade", "zero_shot")
"""Label schemes that give out silence and filler in ways of their own."""

UNCHANGED: Mapping[str, Any] = {
    "augment": {name: 0 for name in Augment.model_fields if name not in ("mixup", "noise_snr_db")},
    "tta_ms": (),
}
"""What an embedding leaves of augmentation: it is made once, of the clip as it is, and can only be mixed."""


@dataclass(frozen=True)
class Plan:
    """One architecture with every setting."""

    model: str
    params: Mapping[str, Any]
    """Fields of the architecture's Config."""
    train: Train
    features: Features

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for run ids and config.yaml."""
        train, default = self.train.model_dump(), Train().model_dump()
        kept = {name: value for name, value in train.items() if name not in ADDED or value != default[name]}
        return asdict(self) | {"train": kept, "features": self.features.model_dump()}


def resolve(config: Config, model: str, found: Mapping[str, Any] | None = None) -> Plan:
    """The plan for an architecture.

    Args:
        config: the competition's settings.
        model: a name in the registry.
        found: dotted parameters of a search: `train.lr`, `features.n_mels`, `model.layers`.

    Raises:
        ConfigError: no such model, or a setting that the model does not have.
    """
    section = config.models.get(model.removeprefix(models.CASCADE), ModelSection())
    layers = _nested(found or {})
    params: dict[str, Any] = {**section.model, **layers.get("model", {})}
    if section.checkpoint is not None:
        params["checkpoint"] = section.checkpoint
    own = models.defaults(model, params)
    train = overlay(Train(), own, config.train, section.train, layers.get("train", {}))
    if models.input_kind(model, params) is InputKind.EMBEDDING:
        train = overlay(train, UNCHANGED)
    if train.bf16 == "auto":  # as it turns out here, because it shapes the logits
        train = train.model_copy(update={"bf16": bf16_is_native()})
    model, train = _scheme(config, model, train)
    features = overlay(
        config.features, section.features, layers.get("features", {}), models.needed_features(model)
    )
    if models.input_kind(model, params) is InputKind.LOG_MEL:
        if params.setdefault("n_mels", features.n_mels) != features.n_mels:
            raise ConfigError(
                f"models.{model}.model.n_mels is {params['n_mels']}, features.n_mels is {features.n_mels}",
                hint="set features.n_mels, and leave the model's out",
            )
    else:
        if config.audio.sample_rate != models.WAVEFORM_RATE:
            raise ConfigError(
                f"{model} hears {models.WAVEFORM_RATE} Hz, audio.sample_rate is {config.audio.sample_rate}",
                hint=f"set audio.sample_rate: {models.WAVEFORM_RATE}; clips of another rate are resampled",
            )
        features = Features()  # not used, and so not part of the run's id
    # with its defaults, so that a run's id changes when one of them does; a wrong parameter fails here
    configured = models.configure(model, params).model_dump(mode="json")
    return Plan(model, configured, train, features)


def _scheme(config: Config, model: str, train: Train) -> tuple[str, Train]:
    """Check that the label scheme is possible; a cascade is a scheme and the name of a model in one."""
    labels, classes = config.labels, config.labels.classes
    if config.separator is not None:
        return model, _several(train)
    if train.loss == "bce":
        raise ConfigError(
            "train.loss bce is of competitions with several labels a clip",
            hint="name data.label_table.separator, or set train.loss: crossentropy",
        )
    if model.startswith(models.CASCADE):
        train = train.model_copy(update={"labels": "cascade"})
    elif train.labels == "cascade":
        model = models.CASCADE + model
    if train.labels in NEEDS_BOTH and not (labels.silence and labels.filler):
        raise ConfigError(
            f"train.labels {train.labels} tells silence and filler from words, but labels has not both",
            hint="set labels.silence and labels.filler, or train.labels: targets",
        )
    if train.labels == "zero_shot" and models.info(model).checkpoint is None:
        raise ConfigError(
            f"train.labels zero_shot takes a pretrained model as it is, but {model} is not one",
            hint="choose one of: " + ", ".join(n for n, m in models.MODELS.items() if m.checkpoint),
        )
    for name in train.only:
        if name not in classes:
            raise ConfigError(
                f"train.only names '{name}', which is no class", hint=close_match(name, classes)
            )
    if len(set(train.only)) == 1 or (train.only and train.labels in NEEDS_BOTH):
        raise ConfigError(
            f"train.only: {', '.join(train.only)} with train.labels: {train.labels} cannot be",
            hint="name two classes or more, and set train.labels to targets or words",
        )
    if train.teaching and train.labels not in ("targets", "words"):
        raise ConfigError(
            f"train.labels {train.labels} cannot learn from a teaching",
            hint="set train.labels to targets or words",
        )
    if train.only:  # in whatever order they are named, they are the same run
        train = train.model_copy(update={"only": tuple(name for name in classes if name in train.only)})
    return model, train


def _several(train: Train) -> Train:
    """The training of clips that may have several labels: each class a yes or no.

    Raises:
        ConfigError: something set is of clips with one label each.
    """
    for name, value, usual in (
        ("labels", train.labels, ("targets", "words")),
        ("loss", train.loss, ("bce", "crossentropy")),
        ("only", train.only, ((),)),
        ("balance", train.balance, (0,)),
        ("teaching", train.teaching, ("",)),
    ):
        if value not in usual:
            raise ConfigError(
                f"train.{name}: {value} is of clips with one label each, and these may have several",
                hint=f"leave train.{name} out",
            )
    return train.model_copy(update={"labels": "targets", "loss": "bce"})


def with_epochs(plan: Plan, epochs: int) -> Plan:
    """The same plan, trained for so many epochs."""
    return replace(plan, train=plan.train.model_copy(update={"epochs": epochs}))


def _nested(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{"train.augment.mixup": 0.2} -> {"train": {"augment": {"mixup": 0.2}}}"""
    tree: dict[str, dict[str, Any]] = {}
    for dotted, value in found.items():
        section, _, rest = dotted.partition(".")
        if section not in ("train", "features", "model") or not rest:
            raise ConfigError(
                f"parameter '{dotted}' is of no section",
                hint=close_match(section, ("train", "features", "model")),
            )
        *parents, last = rest.split(".")
        place: dict[str, Any] = tree.setdefault(section, {})
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return tree
