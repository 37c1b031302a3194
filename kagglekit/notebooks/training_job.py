"""Build the folder of a training on the host: competition.yaml, kagglekit and what it needs, checkpoints, a
script. It has the form of a built notebook (notebooks.folder), so that it is pushed in the same way.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kagglekit import __version__, models
from kagglekit.config import Config
from kagglekit.config.load import DEFAULT_NAME, load_config
from kagglekit.config.names import CASCADE
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.atomic import building, write_json, write_text
from kagglekit.files.keys import key_of
from kagglekit.files.patterns import parse
from kagglekit.files.wanted import host_files
from kagglekit.files.workspace import Workspace, folder_name
from kagglekit.inference.manifest import MANIFEST
from kagglekit.models.hub import SETTINGS, find_file, local_folder
from kagglekit.notebooks.folder import (
    DATASET,
    KERNEL,
    SCRIPT,
    BuildRecord,
    Built,
    finish,
    read_built,
    sha256_of,
)
from kagglekit.notebooks.metadata import slug_of, title_of, write_metadata
from kagglekit.notebooks.packages import wheels
from kagglekit.notebooks.training_script import training_script
from kagglekit.notebooks.wheel import all_files, least_versions, pack
from kagglekit.terminal import console
from kagglekit.training.plan import Plan, resolve

VERSION = 1  # raise it when the same job gives another folder
TRAININGS = "trainings"
"""Folder in the workspace."""
OUTPUT, RESULT = "kagglekit-runs.zip", "result.json"
LIMIT_MINUTES = 12 * 60.0
"""That Kaggle lets a notebook run with a GPU or without."""
SPARE_MINUTES = 20.0
"""Of these, for packing what is trained."""
PACKAGES = (
    *("pydantic", "soundfile", "soxr", "filelock", "xxhash", "ruamel.yaml", "rich", "threadpoolctl"),
    *("py7zr", "texttable", "pybcj", "multivolumefile", "inflate64", "pyppmd", "pycryptodomex"),
)
"""What a training needs and the host's image may lack; torch, transformers, polars and the like are in it."""
WHEEL = "kagglekit"
NOT_THERE = ("search.", "network.", "competition.host", "competition.local", "data.mounted", "workspace")
"""Beginnings of settings that mean this machine."""


def build_job(
    workspace: Workspace,
    yaml: Path | None,
    settings: Sequence[str],
    names: Sequence[str],
    *,
    accelerator: str | None,
    wheel_folder: Path | None = None,
) -> tuple[Built, list[Plan]]:
    """Build the folder of a training in the workspace, unless it is there; return it and what it trains.

    Args:
        yaml, settings: the competition's file, and overrides.
        names: of models.
        accelerator: such as NvidiaTeslaT4; None: the processor alone.
        wheel_folder: with wheels of the packages that the host's image lacks; None: download them.

    Raises:
        ConfigError: a model needs what the host's notebook cannot have.
        KagglekitError: the wheels cannot be downloaded.
    """
    config, path = workspace.config, Path(DEFAULT_NAME) if yaml is None else yaml
    plans = [resolve(config, name) for name in dict.fromkeys(names)]
    _check(config, plans)
    text = console.without_secrets(path.read_text(encoding="utf-8"))
    tables = _tables(config)
    weights = {plan.model: _weights(plan) for plan in plans}
    shared = [one for one in settings if not one.startswith((*NOT_THERE, "submissions"))]
    shared += [
        "competition.host=kaggle",
        "data.mounted=null",
        *(f"{key}={p.name}" for key, p in tables.items()),
    ]
    jobs = {plan.model: [*shared, *_settings(plan, weights[plan.model])] for plan in plans}
    root, files = workspace.root / TRAININGS, all_files()
    packages = wheels(root, config.competition.limits.python, wheel_folder, PACKAGES)
    key = key_of(
        *(VERSION, text, jobs, accelerator, [path.name for path in packages]),
        [plan.as_dict() for plan in plans],
        {name: sha256_of(file) for name, file in (files | tables).items()},
        [_size(path) for path in weights.values()],
    )
    with building(root / key, key) as part:
        if part is not None:
            dataset = part / DATASET
            for place in (dataset, part / KERNEL):
                place.mkdir()
            write_text(dataset / DEFAULT_NAME, text)
            write_json(dataset / MANIFEST, {"key": key, "models": list(jobs)})
            for file in (*tables.values(), *packages):
                shutil.copyfile(file, dataset / file.name)
            for plan in plans:
                _pack_weights(plan, weights[plan.model], dataset)
            pack(dataset, WHEEL, files, least_versions(PACKAGES))
            _check_same(dataset / DEFAULT_NAME, plans, jobs)
            finish(part, _describe(part, key, config, jobs, accelerator))
    return read_built(root / key), plans


def _check(config: Config, plans: Sequence[Plan]) -> None:
    """Refuse what a notebook of the host cannot have.

    Raises:
        ConfigError: training data or soft targets that lie on this machine alone.
    """
    if names := [str(train.external) for train in config.data.train if train.external is not None]:
        raise ConfigError(
            f"the host's notebook does not have the training set in {names[0]}",
            hint="make it a data set there, and name it in data.train as kaggle:OWNER/SLUG/...",
        )
    for plan in plans:
        if plan.train.soft_targets:
            raise ConfigError(
                f"{plan.model} trains on soft targets of this workspace, which the host does not have",
                hint="train it here, or without train.soft_targets",
            )


def _tables(config: Config) -> dict[str, Path]:
    """Return the tables of your own that travel along, by the settings that name them."""
    given = config.validation.given
    tables = {"data.leave_out_clips": config.data.leave_out_clips}
    tables["validation.given.table"] = None if given is None else given.table
    return {key: path for key, path in tables.items() if path is not None}


def _weights(plan: Plan) -> Path | None:
    """Return the file or the folder of a model's pretrained weights; None where it needs none.

    Raises:
        ConfigError: they are not on this machine, or are not known to travel.
    """
    architecture, info = models.load(plan.model), models.info(plan.model)
    config: Any = models.configure(plan.model, plan.params)
    name = getattr(config, "checkpoint", None)
    if name is not None:
        needed = getattr(architecture, "CHECKPOINT_SETTINGS", SETTINGS)
        place = Path(name) if Path(name).exists() else local_folder(name, needed)
        if place is None and info.input == "embedding":
            place = find_file(name)
        if place is None:
            raise ConfigError(
                f"the checkpoint '{name}' of {plan.model} is not on this machine, and the notebook has no "
                "internet to download it",
                hint="kagglekit fetch --checkpoints",
            )
        return place
    without: Mapping[str, Any] = getattr(architecture, "WITHOUT_WEIGHTS", {})
    if any(getattr(config, key, value) != value for key, value in without.items()):
        raise ConfigError(
            f"{plan.model} takes its weights from the package of kagglekit[{info.extra}], which the host's "
            "notebook does not have",
            hint="train it here",
        )
    return None


def _settings(plan: Plan, weights: Path | None) -> list[str]:
    """Return the setting that says where the checkpoint of a model lies there."""
    if weights is None:
        return []
    name = plan.model.removeprefix(CASCADE)
    if "." in name:
        raise ConfigError(
            f"{plan.model} cannot be given its checkpoint by a setting, as its name has a dot",
            hint="train it here",
        )
    place = f"WORK/checkpoints/{folder_name(plan.model)}" if weights.is_dir() else weights.name
    return [f"models.{name}.checkpoint={place}"]


def _size(path: Path | None) -> list[tuple[str, int, int]]:
    """Return names, sizes and times of the files of a checkpoint."""
    if path is None:
        return []
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _pack_weights(plan: Plan, weights: Path | None, dataset: Path) -> None:
    if weights is None:
        return
    if weights.is_file():
        shutil.copyfile(weights, dataset / weights.name)
        return
    with zipfile.ZipFile(dataset / f"checkpoint-{folder_name(plan.model)}.zip", "w") as archive:
        for path in sorted(one for one in weights.rglob("*") if one.is_file()):
            archive.write(path, path.relative_to(weights))


def _check_same(yaml: Path, plans: Sequence[Plan], jobs: Mapping[str, Sequence[str]]) -> None:
    """Check that the file that travels means the same plans.

    Raises:
        KagglekitError: it does not.
    """
    for plan in plans:
        settings = [one for one in jobs[plan.model] if not re.match(r"models\.[^.]+\.checkpoint=", one)]
        there = resolve(load_config(yaml, settings), plan.model)
        if (there.train, there.features) != (plan.train, plan.features):
            raise KagglekitError(
                f"the settings of {plan.model} would be others on the host than here",
                hint="set them in competition.yaml, so that they travel with it",
            )


def _describe(
    folder: Path, key: str, config: Config, jobs: Mapping[str, Sequence[str]], accelerator: str | None
) -> BuildRecord:
    """Write the script and the metadata, and return the record."""
    competition = config.competition.slug
    record = BuildRecord(
        key=key,
        competition=competition,
        dataset=slug_of("kagglekit-training", competition),
        kernel=slug_of("kagglekit-train", competition),
        output=OUTPUT,
        blend=", ".join(jobs),
    )
    text = training_script(
        key,
        title_of(record.kernel),
        record.dataset,
        jobs,
        competition=competition,
        output=OUTPUT,
        result=RESULT,
        limit_s=(LIMIT_MINUTES - SPARE_MINUTES) * 60,
        version=__version__,
        wheel=WHEEL,
        least=least_versions(PACKAGES),
    )
    write_text(folder / KERNEL / SCRIPT, text)
    others = {
        f"{one.dataset.owner}/{one.dataset.slug}" for one in map(parse, host_files(config)) if one.dataset
    }
    write_metadata(folder, record, accelerator=accelerator, datasets=sorted(others))
    return record
