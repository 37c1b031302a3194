"""Defaults that follow other settings, so that none contradicts what competition.yaml says."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from kagglekit.config.audio import Audio, Features
from kagglekit.config.names import METRIC_ALIASES, METRICS, Takes

FMAX_SHARE = 0.95
"""Of half the sample rate: the default of features.fmax where it would be higher."""
WINDOWS_MS = (46.0, 64.0, 96.0, 128.0, 200.0)
"""Longer windows than the default, of which the first is taken that resolves all mel bands."""

LARGEST = 1e9  # of a rate or a length to compute a default from


def follow(config: Any) -> Any:
    """Return competition.yaml's content with the defaults that its other settings ask for.

    features.fmax is below half the sample rate, features.window_ms resolves the mel bands, rows.every is a
    clip's length where rows.end is set, and submission.shape and k suit the metric. What is set stays.
    """
    if not isinstance(config, Mapping):
        return config
    audio, rows = _section(config, "audio"), _section(config, "rows")
    rate = audio.get("sample_rate", Audio.model_fields["sample_rate"].default)
    changed: dict[str, Any] = {}
    if _is_number(rate) and rate >= 1000:
        features = _features(_section(config, "features"), rate, {})
        changed["features"] = {**_section(config, "features"), **features}
        models = _section(config, "models")
        for name in models:
            own = _section(_section(models, name), "features")
            if more := _features(own, rate, changed["features"]) if own else {}:
                section = {**_section(models, name), "features": {**own, **more}}
                changed["models"] = {**changed.get("models", models), name: section}
    if "end" in rows and "every" not in rows:
        changed["rows"] = {**rows, "every": audio.get("seconds", Audio.model_fields["seconds"].default)}
    changed["submission"] = _submission(_section(config, "competition"), _section(config, "submission"))
    return {**config, **{key: value for key, value in changed.items() if value}}


def _section(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a section sets; {} where it is no section."""
    value = parent.get(name)
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, by_alias=True)
    return dict(value) if isinstance(value, Mapping) else {}


def _submission(competition: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section with the shape that the metric needs, and its k."""
    metric, section = competition.get("metric"), dict(given)
    parameters = competition.get("metric_parameters")
    if isinstance(metric, Mapping):
        parameters, metric = metric, metric.get("name")
    info = METRICS.get(METRIC_ALIASES.get(metric, metric)) if isinstance(metric, str) else None
    if info is not None and "shape" not in section:
        if "k" in info.parameters:
            section["shape"] = "top_k"
        elif info.takes != Takes.DECISIONS:
            section["shape"] = "probabilities"
    if section.get("shape") == "top_k" and isinstance(parameters, Mapping) and "k" in parameters:
        section.setdefault("k", parameters["k"])
    return section


def _features(given: Mapping[str, Any], rate: float, below: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of a section of features that are not those of `Features`.

    Args:
        below: the section that this one overrides.
    """
    defaults = {name: field.default for name, field in Features.model_fields.items()}
    now = {**defaults, **below, **given}
    added: dict[str, Any] = {}
    highest = round(FMAX_SHARE * rate / 2, 1)
    if "fmax" not in {**below, **given} and highest < defaults["fmax"]:
        now["fmax"] = added["fmax"] = highest
    numbers = [now[name] for name in ("n_mels", "window_ms", "fmin", "fmax")]
    if "window_ms" in {**below, **given} or not all(map(_is_number, numbers)):
        return added
    n_mels, window, fmin, fmax = numbers
    if not 8 <= n_mels <= 256 or not 0 <= fmin < fmax:
        return added
    windows = [ms for ms in (window, *WINDOWS_MS) if resolves(n_mels, ms, fmin, fmax, rate)]
    if windows and windows[0] != window:
        added["window_ms"] = windows[0]
    return added


def resolves(n_mels: int, window_ms: float, fmin: float, fmax: float, rate: float) -> bool:
    """Tell whether each mel filter holds a frequency bin (kagglekit.features.logmel)."""
    size = 1 << (round(window_ms * rate / 1000) - 1).bit_length()
    low, high = (2595 * math.log10(1 + f / 700) for f in (fmin, fmax))
    mels = [low + (high - low) * place / (n_mels + 1) for place in range(n_mels + 2)]
    edges = [700 * (10 ** (mel / 2595) - 1) * size / rate for mel in mels]  # in bins
    return all(math.floor(first) + 1 < last for first, last in zip(edges, edges[2:], strict=False))


def _is_number(value: Any) -> bool:
    """Tell whether a value that nobody has checked yet is a number that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
