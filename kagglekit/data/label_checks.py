"""Check that the labels of the training data fit the classes: as far as can be before audio is decoded."""

from collections import Counter

import numpy as np
import polars as pl

from kagglekit.config import Config
from kagglekit.config.data import FOLDER
from kagglekit.errors import ConfigError, plural
from kagglekit.files.ids import describe
from kagglekit.scoring.label_cells import EMPTY
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

SHOWN = 12  # labels in a message


def checked_annotations(annotations: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the annotations without labels that stand for an empty cell, after checking the others.

    Raises:
        ConfigError: recordings have several labels and may have one; a class has no recording.
    """
    task = Task.of(config)
    annotations = _without_empty(annotations, task)
    _check_one_label(annotations, task)
    words = annotations["present"].explode()
    missing = sorted(set(task.targets) - set(words))
    _check_classes(missing, words, config)
    return annotations


def _without_empty(annotations: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Drop labels such as NA, unless they are classes, and name them."""
    odd = Counter(
        name
        for name in annotations["present"].explode().drop_nulls()
        if name.lower() in EMPTY and name not in task.learnt
    )
    if not odd:
        return annotations
    console.note(
        f"{plural(odd.total(), 'label')} taken for an empty cell: {describe(list(odd))}; "
        "if that is a class, list it in labels.classes"
    )
    kept = [[name for name in some if name not in odd] for some in annotations["present"].to_list()]
    return annotations.with_columns(present=pl.Series(kept, dtype=pl.List(pl.String)))


def _check_one_label(annotations: pl.DataFrame, task: Task) -> None:
    """Check that each recording, or part of one, has one label, where it may have one class.

    Raises:
        ConfigError: some have several; they are counted, and one is named.
    """
    several = annotations.filter(pl.col("present").list.len() > 1)
    if task.multi or not len(several):
        return
    clip_id, labels = several.select("clip_id", "present").row(0)
    raise ConfigError(
        f"{plural(len(several), 'clip')} with several labels, and labels.kind is single: "
        f"{clip_id} is {' and '.join(map(repr, labels[:3]))}",
        hint="leave one label for each in the table, or set labels.kind: multi",
    )


def check_labels(kept: pl.DataFrame, named: pl.Series, config: Config) -> None:
    """Check that each class has a clip that is trained on, and count the clips of no class.

    Args:
        named: all labels of the data, for the message.

    Raises:
        ConfigError: classes have no clip, or a clip of one class has secondary or unknown ones.
    """
    task = Task.of(config)
    if not task.multi and len(unsure := kept.filter((pl.col("masked") != "") | (pl.col("soft") != ""))):
        hint = "remove secondary and unnamed: unknown from data.train, or set labels.kind: multi"
        raise ConfigError(f"{unsure['clip_id'][0]} has one class, and secondary or unknown ones", hint=hint)
    words = task.each(kept["word"]).explode()
    missing = sorted(set(task.targets) - set(words.str.strip_chars()))
    _check_classes(missing, named, config)
    if missing:
        console.note(f"classes without a training clip: {len(missing):,} ({', '.join(missing[:SHOWN])})")
    nameless = np.sum(~task.learnt_truth(kept).any(1) & (kept["word"] != "").to_numpy()) if task.multi else 0
    if nameless:
        console.note(
            f"training clips whose labels are all outside labels.classes: {nameless:,} of {len(kept):,}; "
            "each is treated as a negative for every class. If that is too many, check how labels are "
            f"separated ('{task.separator}'); labels.auxiliary lets networks learn further ones."
        )


def _check_classes(missing: list[str], named: pl.Series, config: Config) -> None:
    """Refuse classes without a clip: any where clips have one class, else all.

    Args:
        named: all labels of the data, for the message.

    Raises:
        ConfigError: there are such.
    """
    task = Task.of(config)
    if not missing or (task.multi and len(missing) < len(task.targets)):
        return
    words = sorted(set(named.drop_nulls()) - {""})
    found = f"{'labels' if task.multi else 'words'} found: {', '.join(words[:SHOWN]) or 'none'}"
    found += f" and {len(words) - SHOWN:,} more" * (len(words) > SHOWN)
    hint = f"check labels.classes and data.train; {found}"
    if len(missing) == len(task.targets) and all(one.label == FOLDER for one in config.data.train):
        hint = (
            f"the label is taken from the folder that a file lies in; {found}. If it stands in the file's "
            "name, set label of data.train to {name: 'REGEX'}, if in a table, set table, file and label"
        )
    which = ", ".join(missing[:SHOWN]) + f" and {len(missing) - SHOWN:,} more" * (len(missing) > SHOWN)
    what = "no training clip has any of the classes" if task.multi else f"no training clip for {which}"
    raise ConfigError(what, hint=hint)


def say_no_class(table: pl.DataFrame, task: Task) -> None:
    """Count and name labels that are no class, where there is no filler class for them.

    Where there is one, name those that differ from a class in case alone.
    """
    named = task.each(table["word"]).explode().drop_nulls().str.strip_chars()
    others = named.filter(~named.is_in(list(task.learnt)) & (named != ""))
    if task.filler is not None:
        plain = {name.casefold() for name in task.targets}
        others = others.filter(pl.Series([name.casefold() in plain for name in others], dtype=pl.Boolean))
    if not len(others):
        return
    names = others.value_counts(sort=True, name="count").sort("count", others.name, descending=[True, False])
    what = "these labels are not trained on" if task.multi else "clips with them are not trained on"
    if task.filler is not None:
        what = f"they differ from classes in case alone, and are '{task.filler}'; labels.names renames them"
    console.note(
        f"{plural(len(names), 'label')} of training clips outside labels.classes, {len(others):,} times: "
        f"{describe(names.to_series(0).to_list())}; {what}"
    )
