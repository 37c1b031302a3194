"""Find the classes and the folds that competition.yaml leaves to the data."""

import json
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

import polars as pl

from kagglekit.config import Config
from kagglekit.config.labels import FROM_LABELS, FROM_SAMPLE, ClassList, Labels, NameTable
from kagglekit.data.expected_rows import sample_table
from kagglekit.errors import ConfigError, close_match
from kagglekit.files import tables
from kagglekit.files.resolve import read_file
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.label_cells import NO_VALUE
from kagglekit.scoring.task import Task


def resolve(workspace: Workspace, annotations: pl.DataFrame) -> Workspace:
    """Return the workspace with classes and number of folds as the data has them.

    Args:
        annotations: of the training recordings, with the names of classes (`named`).

    Raises:
        ConfigError: a file has no classes, or the given folds are fewer than two.
    """
    config = workspace.config
    labels, validation = config.labels, config.validation
    if not labels.known:
        labels = labels.model_copy(update={"classes": _classes(workspace, annotations)})
        labels = labels.model_copy(update={"auxiliary": _auxiliary(workspace, labels, annotations)})
    if given := given_folds(annotations):
        validation = validation.model_copy(update={"folds": len(given)})
    if labels is config.labels and validation is config.validation:
        return workspace
    resolved = config.model_copy(update={"labels": labels, "validation": validation})
    check_classes(resolved)
    return Workspace(resolved)


def check_classes(config: Config) -> None:
    """Check what the config could not, as it did not know the classes.

    Raises:
        ConfigError: there are too few classes, one contains the separator, or the prior names another.
    """
    task = Task.of(config)
    if not task.multi and len(task.classes) < 2:
        raise ConfigError(
            f"labels.classes: there is only the class '{task.classes[0]}', and labels.kind is single",
            hint="a sample submission may repeat one label: set classes to from_labels, or list them",
        )
    if odd := [name for name in task.learnt if name != name.strip() or not name]:
        raise ConfigError(
            f"labels.classes: the class '{odd[0]}' is empty, or begins or ends with a space",
            hint="labels are read without spaces around them; write the class so",
        )
    if task.separator is not None and (odd := [name for name in task.learnt if task.separator in name]):
        raise ConfigError(
            f"the class '{odd[0]}' contains '{task.separator}', which separates labels",
            hint="set data.train's delimiter to the text that separates labels in the table",
        )
    for name in config.validation.prior:
        if name not in task.classes:
            hint = close_match(name, task.classes)
            raise ConfigError(f"validation.prior names '{name}', which is not a class", hint=hint)


def given_folds(annotations: pl.DataFrame) -> dict[str, int]:
    """Return the folds that a field gives, by their names in order; {} where folds are made here.

    Raises:
        ConfigError: there is only one.
    """
    names = annotations.filter(pl.col("judged"))["fold"].drop_nulls().unique().to_list()
    if len(names) == 1:
        raise ConfigError(
            f"all recordings are in fold '{names[0]}'",
            hint="validation needs two folds; check data.train's fold",
        )
    return {name: number for number, name in enumerate(sorted(names, key=_as_number))}


def _as_number(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _classes(workspace: Workspace, annotations: pl.DataFrame) -> tuple[str, ...]:
    labels = workspace.config.labels
    if isinstance(labels.classes, tuple):
        return labels.classes
    if labels.classes == FROM_SAMPLE:
        classes = _of_sample(workspace)
    elif labels.classes == FROM_LABELS:
        classes = _of_labels(annotations)
    else:
        assert isinstance(labels.classes, ClassList)
        classes = _listed(workspace, labels.classes)
    if not classes:
        source = getattr(labels.classes, "table", labels.classes)
        raise ConfigError(f"labels.classes: {source} gives no class", hint="list the classes")
    return tuple(str(name) for name in classes if name not in (labels.none, labels.filler, labels.silence))


def _auxiliary(workspace: Workspace, labels: Labels, annotations: pl.DataFrame) -> tuple[str, ...] | None:
    """Return the auxiliary classes: those of `labels.auxiliary` that are no classes.

    Raises:
        ConfigError: there is none.
    """
    if labels.auxiliary is None or isinstance(labels.auxiliary, tuple):
        return labels.auxiliary
    if isinstance(labels.auxiliary, ClassList):
        source, names = labels.auxiliary.table, _listed(workspace, labels.auxiliary)
    else:
        source, names = "data.train", _of_labels(annotations)
    further = tuple(name for name in names if name not in {*labels.all_classes, labels.none})
    if not further:
        raise ConfigError(
            f"labels.auxiliary: {source} has no label besides the {len(labels.all_classes):,} classes",
            hint="remove labels.auxiliary",
        )
    return further


def _of_labels(annotations: pl.DataFrame) -> list[str]:
    """Return all labels of the training data, in order; NA and its like are none."""
    columns = [annotations[name].explode() for name in ("present", "absent")]
    names = set(pl.concat(columns).drop_nulls())
    return sorted((name for name in names if name.lower() not in NO_VALUE), key=_as_number)


def _of_sample(workspace: Workspace) -> list[str]:
    """Return the classes that the sample submission names: its columns, its labels, or the ends of its ids.

    Raises:
        ConfigError: there is no sample, or it does not tell.
    """
    table, settings = sample_table(workspace), workspace.config.submission
    if table is None:
        raise ConfigError("labels.classes is from_sample, and data.sample is null", hint="list the classes")
    frame, name = table.frame, workspace.config.data.sample
    others = [column for column in frame.columns if column != settings.id]
    if settings.shape == "probabilities":
        return others
    column = settings.class_column or settings.label or (others[0] if len(others) == 1 else "label")
    if column not in frame.columns or (settings.shape == "long" and settings.class_column is None):
        raise ConfigError(
            f"labels.classes is from_sample, and {name} names no classes", hint="list them, or from_labels"
        )
    return sorted(set(frame[column].drop_nulls()), key=_as_number)


def _listed(workspace: Workspace, listed: ClassList) -> list[str]:
    data = read_file(workspace, listed.table)
    if listed.column is None:
        try:
            names = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{listed.table} is no JSON list: {error}", hint="set column, for a CSV"
            ) from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"{listed.table} is no JSON list of names", hint="set column, for a CSV")
        return names
    table = tables.read_table(data, listed.table, hint="labels.classes names the table").frame
    if listed.column not in table.columns:
        hint = close_match(listed.column, table.columns)
        raise ConfigError(f"{listed.table} has no column {listed.column!r} (labels.classes)", hint=hint)
    return list(table[listed.column].drop_nulls().unique(maintain_order=True))


def named(workspace: Workspace, annotations: pl.DataFrame) -> pl.DataFrame:
    """Turn the labels of the data into names of classes, as labels.names says; drop labels.none.

    Raises:
        ConfigError: the table of names lacks a column.
    """
    labels = workspace.config.labels
    names: Mapping[str, str] | None = None
    if isinstance(labels.names, NameTable):
        names = _name_table(workspace, labels.names)
    columns: dict[str, Any] = {}
    for column in ("present", "absent", "masked", "soft"):
        lists = annotations[column].to_list()
        if labels.none is not None:
            lists = [[name for name in some if name != labels.none] for some in lists]
        if isinstance(labels.names, str):
            lists = [[labels.names.replace("{label}", name) for name in some] for some in lists]
        elif names is not None:
            lists = [[names.get(name, name) for name in some] for some in lists]
        lists = [[normalize("NFC", name) for name in some] for some in lists]
        columns[column] = pl.Series(column, [list(dict.fromkeys(s)) for s in lists], pl.List(pl.String))
    return annotations.with_columns(**columns)


def spelled(annotations: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """Write labels as the classes are written, whose letters may have another Unicode form, as macOS does."""
    names = {normalize("NFC", name): name for name in labels.learnt if not name.isascii()}
    if not names:
        return annotations
    columns = [
        pl.Series(column, [[names.get(name, name) for name in some] for some in annotations[column]])
        for column in ("present", "absent", "masked", "soft")
    ]
    return annotations.with_columns(one.cast(pl.List(pl.String)) for one in columns)


def _name_table(workspace: Workspace, names: NameTable) -> dict[str, str]:
    table = tables.read_table(
        read_file(workspace, names.table), names.table, hint="labels.names names it"
    ).frame
    for column in (names.label, names.name):
        if column not in table.columns:
            hint = close_match(column, table.columns)
            raise ConfigError(f"{names.table} has no column {column!r} (labels.names)", hint=hint)
    pairs = table.select(names.label, names.name).drop_nulls().unique(maintain_order=True)
    twice = pairs.filter(pl.col(names.label).is_duplicated())[names.label]
    if len(twice):
        hint = f"leave one row of it in {names.table}"
        raise ConfigError(f"{names.table} gives the label '{twice[0]}' two names", hint=hint)
    return dict(pairs.rows())
