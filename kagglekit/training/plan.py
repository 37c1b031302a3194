"""Resolve all settings of a run: defaults, then the architecture's, the YAML's, and a search's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from kagglekit import models
from kagglekit.config import Augment, Config, Features, ModelSection, Train, overlay
from kagglekit.config.names import InputKind, LabelKind
from kagglekit.errors import ConfigError, close_match, listed

VERSION = 3  # part of every run id: raise it when training changes its results by more than rounding
# Fields of Train added since that version; runs that do not use them keep their ids.
ADDED = ("thresholds", "only", "soft_targets", "soft_share", "soft_mix", "focal_gamma", "class_weight", "l2")
ADDED_AUGMENT = (
    "domain",
    "noise_from",
    "noise_class",
    "polarity",
    "lowpass",
    "highpass",
    "bandpass",
    "lowpass_hz",
    "highpass_hz",
    "eq",
    "eq_db",
    "mixup_ratio",
    "cutmix",
    "mix_share",
    "mix_labels",
)

NEEDS_BOTH = ("words_threshold", "cascade", "zero_shot")
"""Label schemes that predict silence and filler in a special way."""

UNCHANGED: Mapping[str, Any] = {
    "augment": {
        **{name: 0 for name in Augment.model_fields if name not in ("mixup", "noise_snr_db", *ADDED_AUGMENT)},
        **{name: Augment.model_fields[name].default for name in ADDED_AUGMENT if not name.startswith("mix")},
    },
    "tta_ms": (),
    "soft_mix": 0,
}
"""Settings of train for embeddings: they are computed once, from the clip without augmentation, so mixup and
noise_snr_db alone remain."""

OF_WAVEFORMS = ("polarity", "lowpass", "highpass", "bandpass", "eq")
"""Augmentations that need waveforms."""
OF_SEVERAL = ("bce", "focal", "softmax")
"""Losses that need several labels per clip."""


@dataclass(frozen=True)
class Plan:
    """One architecture with all its settings."""

    model: str
    params: Mapping[str, Any]
    """Fields of the architecture's Config."""
    train: Train
    features: Features

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, for run ids and config.yaml."""
        train, default = self.train.model_dump(), Train().model_dump()
        for section, usual, added in (
            (train, default, ADDED),
            (train["augment"], default["augment"], ADDED_AUGMENT),
        ):
            for name in added:
                if section[name] == usual[name]:
                    del section[name]
        return asdict(self) | {"train": train, "features": self.features.model_dump()}


def resolve(config: Config, model: str, params: Mapping[str, Any] | None = None) -> Plan:
    """Return the plan for an architecture.

    Args:
        model: a name in the registry.
        params: dotted parameters of a search: `train.lr`, `features.n_mels`, `model.layers`.

    Raises:
        ConfigError: there is no such model, or the model has no such setting.
    """
    section = config.models.get(model.removeprefix(models.CASCADE), ModelSection())
    layers = _nested(params or {})
    model_params: dict[str, Any] = {**section.model, **layers.get("model", {})}
    if section.checkpoint is not None:
        model_params["checkpoint"] = section.checkpoint
    defaults = models.defaults(model, model_params)
    train = overlay(Train(), defaults, config.train, section.train, layers.get("train", {}))
    if models.input_kind(model, model_params) is InputKind.EMBEDDING:
        train = overlay(train, UNCHANGED)
    elif train.optimizer == "lbfgs":
        raise ConfigError(
            f"train.optimizer lbfgs trains heads on embeddings, and {model} is no such head",
            hint="set train.optimizer: adamw, or tune: frozen where the model has it",
        )
    if train.optimizer == "lbfgs":
        unused = {"bf16": False, "balance": 0.0, "patience": 0, "soft_mix": 0.0}
        train = overlay(train, {**unused, "augment": {"mixup": 0.0, "cutmix": 0.0}})
    if train.bf16 == "auto":  # resolved here, because it shapes the logits
        train = train.model_copy(update={"bf16": bf16_is_native()})
    model, train = _scheme(config, model, train)
    _check_augment(config, model, train.augment)
    features = overlay(
        config.features, section.features, layers.get("features", {}), models.needed_features(model)
    )
    if models.input_kind(model, model_params) is InputKind.LOG_MEL:
        if (n_mels := model_params.setdefault("n_mels", features.n_mels)) != features.n_mels:
            raise ConfigError(
                f"models.{model}.model.n_mels is {n_mels}, features.n_mels is {features.n_mels}",
                hint="set features.n_mels, and leave the model's out",
            )
    else:
        is_waveform = models.input_kind(model, model_params) is InputKind.WAVEFORM
        if is_waveform and config.audio.sample_rate != models.WAVEFORM_RATE:
            raise ConfigError(
                f"{model} takes {models.WAVEFORM_RATE} Hz, audio.sample_rate is {config.audio.sample_rate}",
                hint=f"set audio.sample_rate: {models.WAVEFORM_RATE}; clips of another rate are resampled",
            )
        features = Features()  # unused, so not part of the run's id
    # With defaults, so that a run's id changes when one of them does. A wrong parameter fails here.
    configured = models.configure(model, model_params).model_dump(mode="json")
    return Plan(model, configured, train, features)


def _scheme(config: Config, model: str, train: Train) -> tuple[str, Train]:
    """Check the label scheme, and rename the model where the scheme is a cascade."""
    labels = config.labels
    if labels.kind is LabelKind.MULTI:
        return model, _multi(train)
    if train.loss in OF_SEVERAL:
        raise ConfigError(
            f"train.loss {train.loss} needs a competition with several labels per clip",
            hint="set labels.kind: multi, or train.loss: crossentropy",
        )
    if model.startswith(models.CASCADE):
        train = train.model_copy(update={"labels": "cascade"})
    elif train.labels == "cascade":
        model = models.CASCADE + model
    if train.labels in NEEDS_BOTH and not (labels.silence and labels.filler):
        raise ConfigError(
            f"train.labels {train.labels} needs a silence and a filler class",
            hint="set labels.silence and labels.filler, or train.labels: targets",
        )
    if train.labels == "zero_shot" and models.info(model).checkpoint is None:
        raise ConfigError(
            f"train.labels zero_shot needs a pretrained model, and {model} is not one",
            hint="choose one of: " + ", ".join(n for n, m in models.MODELS.items() if m.checkpoint),
        )
    classes = labels.all_classes if train.only else ()
    for name in train.only:
        if name not in classes:
            raise ConfigError(
                f"train.only names '{name}', which is no class", hint=close_match(name, classes)
            )
    if len(set(train.only)) == 1 or (train.only and train.labels in NEEDS_BOTH):
        raise ConfigError(
            f"train.only: {listed(train.only)} is impossible with train.labels: {train.labels}",
            hint="name two classes or more, and set train.labels to targets or words",
        )
    if train.soft_targets and train.labels not in ("targets", "words"):
        raise ConfigError(
            f"train.labels {train.labels} cannot use soft targets",
            hint="set train.labels to targets or words",
        )
    if train.only:  # the same run in any order
        train = train.model_copy(update={"only": tuple(name for name in classes if name in train.only)})
    return model, train


def _multi(train: Train) -> Train:
    """Return the training settings for several labels per clip: one binary output per class.

    Raises:
        ConfigError: a setting needs one label per clip.
    """
    for name, value, usual in (
        ("labels", train.labels, ("targets", "words")),
        ("loss", train.loss, (*OF_SEVERAL, "crossentropy")),
        ("only", train.only, ((),)),
    ):
        if value not in usual:
            raise ConfigError(
                f"train.{name}: {value} needs one label per clip, and this competition has several",
                hint=f"remove train.{name}",
            )
    loss = "bce" if train.loss == "crossentropy" else train.loss
    return train.model_copy(update={"labels": "targets", "loss": loss})


def _check_augment(config: Config, model: str, augment: Augment) -> None:
    """Check what the augmentation needs of the model, the data and the labels.

    Raises:
        ConfigError: a setting would change nothing, or has nothing to draw from.
    """
    waveforms = augment.domain == "waveform" or models.info(model).input is not InputKind.LOG_MEL
    for name in OF_WAVEFORMS:
        if getattr(augment, name) and not waveforms:
            raise ConfigError(
                f"train.augment.{name} changes waveforms, and {model} trains on cached log-mels",
                hint="set train.augment.domain: waveform, or use filter_db",
            )
    nyquist = config.audio.sample_rate / 2
    for name, used in (("lowpass_hz", augment.lowpass), ("highpass_hz", augment.highpass)):
        if (used or augment.bandpass) and (highest := getattr(augment, name)[1]) > nyquist:
            raise ConfigError(
                f"train.augment.{name} goes up to {highest:g} Hz, above half the sample rate, {nyquist:g} Hz",
                hint=f"set train.augment.{name} to at most {nyquist:g}",
            )
    if not augment.noise:
        return
    if augment.noise_from == "files" and config.data.noise is None:
        raise ConfigError(
            "train.augment.noise_from is files, and data.noise names none",
            hint="set data.noise to a pattern of audio files, or noise_from: clips",
        )
    if augment.noise_from != "clips" or not config.labels.known:  # then a fold says that it has no such clip
        return
    single, classes = config.labels.kind is not LabelKind.MULTI, config.labels.all_classes
    background = augment.noise_class
    if (single or background) and background not in classes:
        raise ConfigError(
            f"train.augment.noise_class '{background}' is no class",
            hint=close_match(background, classes) if background else "set it to the class of the background",
        )


def with_epochs(plan: Plan, epochs: int) -> Plan:
    """Return the plan with another number of epochs."""
    return replace(plan, train=plan.train.model_copy(update={"epochs": epochs}))


def _nested(dotted_params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{"train.augment.mixup": 0.2} -> {"train": {"augment": {"mixup": 0.2}}}"""
    tree: dict[str, dict[str, Any]] = {}
    for dotted, value in dotted_params.items():
        section, _, rest = dotted.partition(".")
        if section not in ("train", "features", "model") or not rest:
            raise ConfigError(
                f"parameter '{dotted}' belongs to no section",
                hint=close_match(section, ("train", "features", "model")),
            )
        *parents, last = rest.split(".")
        place: dict[str, Any] = tree.setdefault(section, {})
        for name in parents:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise ConfigError(
                    f"parameter '{dotted}' is below '{name}', which has a value", hint="give one of the two"
                )
        place[last] = value
    return tree


def bf16_is_native() -> bool:
    """Whether the hardware multiplies bfloat16: GPUs since Ampere, CPUs with AVX512-BF16 or AMX.

    There, the architectures train 1.1 to 4 times as fast in bfloat16 (docs/LOG.md); elsewhere it is emulated,
    and slower than float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch 2.13 has private names for these; without them, float32 is the safe choice
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(check is not None and check() for check in checks)
