"""Build the clips table: one row for each clip, with label, part and folds.

clip_id
split         train, silence or test
row           first row in the split's store
windows       rows in the store from `row` on (column with audio.longer: windows alone)
word          what is spoken
label         the class; if a clip may have several, all of them, joined by the separator
part          keyword, silence, or seen or unseen: a filler word that the fold's training contains or not
speaker
fold          the fold that validates the clip; -1: left out
heldout_fold  the fold whose training leaves the filler word out; -1: none
official      validation, testing or train; null if the data set has no such lists
samples, rms, peak, sha1, problem, flags, rate, message   from decoding (kagglekit.data.ingest)
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.folds import grouped_folds, word_folds
from kagglekit.errors import ConfigError
from kagglekit.files.tables import read_table_file
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

VERSION = 3  # part of the cache key: raise it when folds or parts change
COLUMNS = (
    *("clip_id", "split", "row", "word", "label", "part", "speaker", "fold", "heldout_fold", "official"),
    *("samples", "rms", "peak", "sha1", "problem", "flags", "rate", "message"),
)
WINDOWS = "windows"


def train_table(config: Config, facts: pl.DataFrame, official: Mapping[str, str] | None) -> pl.DataFrame:
    """Return the table of the spoken training clips.

    Args:
        facts: facts.parquet of the train archive.
        official: clip_id to "validation" or "testing"; None if the data set has no such lists.

    Raises:
        ConfigError: a target word has no clip, or there are more folds than speakers.
    """
    task = Task.of(config)
    labels = [task.label_of(word) for word in facts["word"].to_list()]
    used = np.array(
        [
            label is not None and problem not in config.data.leave_out
            for label, problem in zip(labels, facts["problem"], strict=True)
        ]
    )
    table = facts.with_columns(split=pl.lit("train"), label=pl.Series(labels, dtype=pl.String))
    fold = np.full(len(facts), -1, dtype=np.int32)
    kept = table.filter(pl.Series(used))
    words = task.each(kept["word"]).explode()
    missing = sorted(set(task.targets) - set(words.str.strip_chars()))
    if missing:
        present = sorted(set(words.drop_nulls()) - {""})
        raise ConfigError(
            f"no training clip for {', '.join(missing)}",
            hint="check labels.classes and data.train; words found: " + ", ".join(present[:12]),
        )
    if task.multi:
        nameless = len(kept.filter((pl.col("label") == "") & (pl.col("word") != "")))
        if nameless:
            console.note(
                f"training clips whose labels are all outside labels.classes: {nameless:,} of {len(kept):,}; "
                "each is treated as a negative for every class. "
                f"If that is too many, check the separator '{task.separator}'."
            )
    fold[used] = _folds(kept, config)
    fillers = kept.filter(pl.col("label") == task.filler)["word"].to_list() if task.filler else []
    heldout = word_folds(fillers, config.validation.folds)
    table = table.with_columns(
        fold=pl.Series(fold),
        heldout_fold=pl.col("word").replace_strict(heldout, default=-1, return_dtype=pl.Int32),
        official=pl.Series(
            [official.get(i, "train") if official else None for i in facts["clip_id"]], dtype=pl.String
        ),
    )
    keyword = pl.when(pl.col("label") != pl.lit(task.filler or "")).then(pl.lit("keyword"))
    unseen = pl.when(pl.col("fold") == pl.col("heldout_fold")).then(pl.lit("unseen"))
    part = keyword.otherwise(unseen.otherwise(pl.lit("seen")))
    return table.with_columns(part=part).select(_columns(facts))


def _folds(kept: pl.DataFrame, config: Config) -> NDArray[np.int32]:
    """Return each clip's fold, by speaker, with words spread evenly, or labels if a clip may have several."""
    clips = kept.select(pl.coalesce("speaker", "clip_id").alias("group"), "word").with_row_index()
    task, validation = Task.of(config), config.validation
    if task.multi:  # a clip counts once for each label, as hardly any two have the same set of labels
        clips = clips.with_columns(word=task.each(kept["label"])).explode("word")
    fold = grouped_folds(clips["group"].to_list(), clips["word"].to_list(), validation.folds, validation.seed)
    return fold[np.unique(clips["index"].to_numpy(), return_index=True)[1]]


def silence_table(config: Config, facts: pl.DataFrame, fold_of: Mapping[str, int]) -> pl.DataFrame:
    """Return the table of the silence clips, a window each, in the fold of their piece of noise."""
    if config.audio.longer == "windows":
        facts = facts.with_columns(pl.lit(1, dtype=pl.Int64).alias(WINDOWS))
    return facts.with_columns(
        split=pl.lit("silence"),
        label=pl.lit(config.labels.silence),
        part=pl.lit("silence"),
        fold=pl.col("speaker")
        .str.strip_prefix("noise:")
        .replace_strict(dict(fold_of), return_dtype=pl.Int32),
        heldout_fold=pl.lit(-1, dtype=pl.Int32),
        official=pl.lit(None, dtype=pl.String),
    ).select(_columns(facts))


def test_table(facts: pl.DataFrame) -> pl.DataFrame:
    """Return the table of the test clips, which have neither label nor fold."""
    unknown = dict.fromkeys(("word", "speaker", "label", "part", "official"), pl.lit(None, dtype=pl.String))
    no_fold = dict.fromkeys(("fold", "heldout_fold"), pl.lit(-1, dtype=pl.Int32))
    return facts.with_columns(split=pl.lit("test"), **unknown, **no_fold).select(_columns(facts))


def _columns(facts: pl.DataFrame) -> list[str]:
    return [*COLUMNS, *([WINDOWS] if WINDOWS in facts.columns else [])]


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
    trainable = pl.col("split") != "test"
    ids = table.filter(trainable)["clip_id"]
    unknown = sorted(listed - set(ids))
    if unknown:
        raise ConfigError(
            f"data.leave_out_clips: '{unknown[0]}' is not a training clip "
            f"(unknown ids in the list: {len(unknown):,} of {len(listed):,})",
            hint="ids look like " + ", ".join(f"'{clip_id}'" for clip_id in ids[:2]),
        )
    chosen = trainable & pl.col("clip_id").is_in(sorted(listed))
    return table.with_columns(fold=pl.when(chosen).then(pl.lit(-1, dtype=pl.Int32)).otherwise(pl.col("fold")))


def training_rows(clips: pl.DataFrame, fold: int, config: Config, seed: int) -> pl.DataFrame:
    """Return the clips that one fold trains on: the other folds', without this fold's held-out filler words.

    Filler clips are sampled down to labels.keep_fillers; the same seed keeps the same clips.
    """
    rows = clips.filter((pl.col("fold") >= 0) & (pl.col("fold") != fold) & (pl.col("heldout_fold") != fold))
    keep = config.labels.keep_fillers
    if keep == "all" or config.labels.filler is None:
        return rows
    is_filler = pl.col("label") == config.labels.filler
    fillers = rows.filter(is_filler)
    count = round(keep * len(fillers)) if keep <= 1 else min(round(keep), len(fillers))
    return pl.concat([rows.filter(~is_filler), fillers.sample(min(max(count, 1), len(fillers)), seed=seed)])


def validation_rows(clips: pl.DataFrame, fold: int) -> pl.DataFrame:
    """Return the clips that one fold validates on."""
    return clips.filter(pl.col("fold") == fold)
