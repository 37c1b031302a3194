"""Turn a competition.yaml of the first edition into the second edition's keys."""

import copy
from collections.abc import Sequence
from typing import Any

_DATA = {
    "train_archive": "train.7z",
    "test_archive": "test.7z",
    "sample_submission": "sample_submission.7z",
    "train_clips": "train/audio/*/*.wav",
    "test_clips": "test/audio/*.wav",
    "noise_clips": "train/audio/_background_noise_/*.wav",
    "label_table": None,
    "speaker_pattern": r"^(.+?)_nohash_",
    "validation_list": "train/validation_list.txt",
    "testing_list": "train/testing_list.txt",
}
"""The first edition's keys and their defaults."""

_SET_KEYS = {"file": "table", "id": "file", "speaker": "group", "separator": "delimiter"}
"""Keys of the first edition's data.label_table as those of a training set."""

WAS = {
    "data.sample": "data.sample_submission",
    "data.train": "data.train_clips",
    "data.train.0.files": "data.train_clips",
    "data.train.0.table": "data.label_table.file",
    "data.train.0.file": "data.label_table.id",
    "data.train.0.label": "data.label_table.label",
    "data.train.0.delimiter": "data.label_table.separator",
    "data.train.0.group": "data.speaker_pattern",
    "data.train.0.group.name": "data.speaker_pattern",
    "data.test.files": "data.test_clips",
    "data.noise": "data.noise_clips",
    "labels.classes": "labels.targets",
}
"""Key of the second edition -> key of the first, for messages about a file of the first."""


def is_first_edition(raw: dict[str, Any]) -> bool:
    """Tell whether the sections of a YAML have keys that only the first edition had."""
    data, labels = _section(raw, "data"), _section(raw, "labels")
    if data is None or labels is None:
        return False
    old = set(_DATA) - {"validation_list", "testing_list"}
    return bool(old & set(data)) or "targets" in labels or ("train" not in data and "classes" not in labels)


def upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a first-edition YAML's sections as the second edition has them."""
    new = copy.deepcopy(raw)
    data: dict[str, Any] = {**_DATA, **(_section(raw, "data") or {})}
    labels: dict[str, Any] = {"filler": "unknown", "silence": "silence", **(_section(raw, "labels") or {})}
    if "targets" in labels:
        labels["classes"] = labels.pop("targets")
    table = data["label_table"]
    if isinstance(table, dict) and table.get("separator") is not None:
        labels["kind"] = "multi"
    rest = {key: value for key, value in data.items() if key not in _DATA}
    new["data"] = {**_second(data), **rest}
    if "labels" in raw:
        new["labels"] = labels
    if labels.get("kind") == "multi":
        new["submission"] = {"shape": "probabilities", **(_section(raw, "submission") or {})}
    return new


def _second(data: dict[str, Any]) -> dict[str, Any]:
    archive = data["train_archive"]
    table = data["label_table"]
    train: dict[str, Any] = {"files": _inside(archive, data["train_clips"])}
    pattern = data["speaker_pattern"]
    if pattern is not None:
        train["group"] = {"name": pattern}
    if isinstance(table, dict):
        set_keys = [key for key, value in table.items() if value is not None]
        values: dict[str, Any] = {_SET_KEYS.get(key, key): table[key] for key in set_keys}
        if isinstance(values.get("table"), str):
            values["table"] = _inside(archive, values["table"])
        train.update(values)
    elif table is not None:
        train["table"] = table
    new = {
        "sample": data["sample_submission"],
        "train": train,
        "test": {"files": _inside(data["test_archive"], data["test_clips"])},
    }
    if data["noise_clips"] is not None:
        new["noise"] = _inside(archive, data["noise_clips"])
    for name in ("validation_list", "testing_list"):
        if data[name] is not None:
            new[name] = _inside(archive, data[name])
    return new


def _inside(archive: Any, path: Any) -> str:
    """Return the path of what lies in an archive, or in a folder that stands for one and begins the path."""
    is_folder = isinstance(archive, str) and "." not in archive
    return str(path) if is_folder and str(path).startswith(f"{archive}/") else f"{archive}/{path}"


def origin(path: Sequence[int | str]) -> list[int | str]:
    """Return the first edition's key for a key of the second, for messages."""
    dotted = ".".join(map(str, path))
    was = WAS.get(dotted)
    return list(path) if was is None else list(was.split("."))


def _section(raw: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return a section that is absent as {}, and one that is no mapping as None."""
    value = raw.get(name)
    if value is None:
        return {}
    return value if isinstance(value, dict) else None
