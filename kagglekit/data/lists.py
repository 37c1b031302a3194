"""Read lists of clips: the data set's own of validation and test clips, and clips to leave out."""

from pathlib import Path

import polars as pl

from kagglekit.data.clips import LEFT_OUT, WITHOUT_LABELS
from kagglekit.errors import ConfigError, MissingError
from kagglekit.files.resolve import read_file
from kagglekit.files.tables import read_table, read_table_file
from kagglekit.files.workspace import Workspace

KINDS = {"validation_list": "validation", "testing_list": "testing"}
"""Setting in `data` -> the kind of the clips that it lists."""


def official_lists(workspace: Workspace) -> dict[str, str] | None:
    """Return clip_id -> validation or testing; None if the data set has no lists."""
    lists: dict[str, str] = {}
    for setting, kind in KINDS.items():
        path = getattr(workspace.config.data, setting)
        if path is not None:
            lists.update(dict.fromkeys(_listed(workspace, path, setting), kind))
    return lists or None


def _listed(workspace: Workspace, path: str, setting: str) -> list[str]:
    """Return the clips in a list, one a line; none for an empty or absent file."""
    try:
        data = read_file(workspace, path)
    except (ConfigError, MissingError):
        return []
    if not data.strip():
        return []
    table = read_table(data, path, hint=f"data.{setting} names it", header=False, columns=["clip_id"])
    return table.frame["clip_id"].drop_nulls().to_list()


def read_clip_list(path: Path) -> set[str]:
    """Read the clip ids from a CSV with a column clip_id, such as the report exports.

    Raises:
        ConfigError: the file does not exist.
        TableError: it is not a table or has no such column.
    """
    if not path.is_file():
        hint = "export it from the listening page of kagglekit report, or remove the setting"
        raise ConfigError(f"data.leave_out_clips: {path} does not exist", hint=hint)
    table = read_table_file(path, hint="data.leave_out_clips names it", columns=["clip_id"])
    return set(table.frame["clip_id"].drop_nulls())


def leave_out(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Take the clips that the CSV lists out of their folds. All other clips stay in theirs.

    Raises:
        ConfigError: the CSV cannot be read, or lists a clip that is not a training clip.
    """
    listed = read_clip_list(path)
    trainable = ~pl.col("split").is_in(WITHOUT_LABELS)
    ids = table.filter(trainable)["clip_id"]
    unknown = sorted(listed - set(ids))
    if unknown:
        raise ConfigError(
            f"data.leave_out_clips: '{unknown[0]}' is not a training clip "
            f"(unknown ids in the list: {len(unknown):,} of {len(listed):,})",
            hint="ids look like " + ", ".join(f"'{clip_id}'" for clip_id in ids[:2]),
        )
    chosen = trainable & pl.col("clip_id").is_in(sorted(listed))
    return table.with_columns(
        fold=pl.when(chosen).then(pl.lit(LEFT_OUT, dtype=pl.Int32)).otherwise(pl.col("fold"))
    )
