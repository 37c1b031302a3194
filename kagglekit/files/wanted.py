"""Which of the host's files competition.yaml needs: their names and patterns, for `fetch`."""

from typing import Any

from kagglekit.config import Config


def host_files(config: Config) -> list[str]:
    """Return the paths under `data:` that the host, or another Kaggle data set, offers.

    What lies in a folder of one's own (`external`) is left out. Both editions of the YAML are understood:
    train_archive and train_clips, or train and its files.
    """
    data = config.data.model_dump(by_alias=True)
    paths = _first_edition(data) if "train_archive" in data else _second_edition(data)
    return list(dict.fromkeys(path for path in paths if path is not None))


def _first_edition(data: dict[str, Any]) -> list[str | None]:
    train = [data["train_clips"], data["noise_clips"], data["validation_list"], data["testing_list"]]
    train.append((data["label_table"] or {}).get("file"))
    inside = [f"{data['train_archive']}/{path}" for path in train if path is not None]
    return [*inside, f"{data['test_archive']}/{data['test_clips']}", data["sample_submission"]]


def _second_edition(data: dict[str, Any]) -> list[str | None]:
    sets = [part for part in (*data["train"], data["test"]) if part.get("external") is None]
    paths: list[str | None] = []
    for part in sets:
        paths += [part["files"], part.get("table"), (part.get("by_way_of") or {}).get("table")]
    rest = ("noise", "unlabelled", "validation_list", "testing_list", "sample")
    return [*paths, *(data.get(name) for name in rest)]
