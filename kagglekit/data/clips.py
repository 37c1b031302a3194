"""The clips table: one row a clip, with label, part and folds. Everything later is a view of it.

Columns: clip_id · split (train, silence, test) · row (in its split's store) · word · label · part
(keyword, silence, seen, unseen) · speaker · fold (that validates it; -1: left out) ·
heldout_fold (that never hears its word; -1: none) · official (validation, testing, train, or null
where the data set has no lists) · samples · rms · peak · sha1 · problem; and windows, the rows that a clip
has in the store from `row` on, where audio.longer makes it several.

Where a clip may have several labels, `label` holds all of them with the competition's separator between.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.folds import grouped_folds, word_folds
from kagglekit.errors import ConfigError, close_match
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

VERSION = 2  # part of the key: raise it when folds or parts change
COLUMNS = (
    *("clip_id", "split", "row", "word", "label", "part", "speaker", "fold", "heldout_fold", "official"),
    *("samples", "rms", "peak", "sha1", "problem"),
)
WINDOWS = "windows"


def train_table(config: Config, facts: pl.DataFrame, official: Mapping[str, str] | None) -> pl.DataFrame:
    """Spoken training clips with labels and folds.

    Args:
        config: labels, validation and what to leave out.
        facts: what ingesting the train archive found.
        official: clip_id -> "validation" or "testing" by the data set's own lists; None: no lists.

    Raises:
        ConfigError: a target word has no clip, or folds are impossible.
    """
    words = facts["word"].to_list()
    task = Task.of(config)
    labels = [task.label_of(word) for word in words]
    used = np.array(
        [
            label is not None and problem not in config.data.leave_out
            for label, problem in zip(labels, facts["problem"], strict=True)
        ]
    )
    table = facts.with_columns(split=pl.lit("train"), label=pl.Series(labels, dtype=pl.String))
    fold = np.full(len(facts), -1, dtype=np.int32)
    kept = table.filter(pl.Series(used))
    words_found = kept["word"]
    if config.separator is not None:
        words_found = words_found.str.split(config.separator).explode()
    missing = sorted(set(config.labels.targets) - set(words_found.str.strip_chars()))
    if missing:
        found = sorted(set(words_found.drop_nulls()) - {""})
        raise ConfigError(
            f"no training clip for {', '.join(missing)}",
            hint="check labels.targets and data.train_clips; words found: " + ", ".join(found[:12]),
        )
    if config.separator is not None:
        nameless = len(kept.filter((pl.col("label") == "") & (pl.col("word") != "")))
        if nameless:
            console.note(
                f"{nameless:,} of {len(kept):,} training clips have labels, but none of labels.targets: "
                f"to be told from all classes. If that is too many: is '{config.separator}' the separator?"
            )
    fold[used] = _folds(kept, config)
    fillers = (
        kept.filter(pl.col("label") == config.labels.filler)["word"].to_list() if config.labels.filler else []
    )
    heldout = word_folds(fillers, config.validation.folds)
    table = table.with_columns(
        fold=pl.Series(fold),
        heldout_fold=pl.col("word").replace_strict(heldout, default=-1, return_dtype=pl.Int32),
        official=_official(facts["clip_id"].to_list(), official),
    )
    return _with_part(table, config).select(_columns(facts))


def _folds(kept: pl.DataFrame, config: Config) -> NDArray[np.int32]:
    """Fold of each clip, by speaker; words are spread evenly, or labels where a clip may have several."""
    clips = kept.select(pl.coalesce("speaker", "clip_id").alias("group"), "word", "label").with_row_index()
    if config.separator is not None:  # a clip counts once for each label: their sets are as good as unique
        clips = clips.with_columns(pl.col("label").str.split(config.separator).alias("word")).explode("word")
    validation = config.validation
    fold = grouped_folds(clips["group"].to_list(), clips["word"].to_list(), validation.folds, validation.seed)
    return fold[np.unique(clips["index"].to_numpy(), return_index=True)[1]]


def _official(clip_ids: list[str], lists: Mapping[str, str] | None) -> pl.Series:
    if lists is None:
        return pl.Series([None] * len(clip_ids), dtype=pl.String)
    return pl.Series([lists.get(clip_id, "train") for clip_id in clip_ids], dtype=pl.String)


def _with_part(table: pl.DataFrame, config: Config) -> pl.DataFrame:
    spoken = pl.when(pl.col("label") != pl.lit(config.labels.filler or "")).then(pl.lit("keyword"))
    heard = pl.when(pl.col("fold") == pl.col("heldout_fold")).then(pl.lit("unseen"))
    return table.with_columns(part=spoken.otherwise(heard.otherwise(pl.lit("seen"))))


def silence_table(config: Config, facts: pl.DataFrame, fold_of: Mapping[str, int]) -> pl.DataFrame:
    """Silence clips, a window each; their fold is their noise piece's."""
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
    """Test clips: no label, no fold."""
    return facts.with_columns(
        split=pl.lit("test"),
        word=pl.lit(None, dtype=pl.String),
        speaker=pl.lit(None, dtype=pl.String),
        label=pl.lit(None, dtype=pl.String),
        part=pl.lit(None, dtype=pl.String),
        fold=pl.lit(-1, dtype=pl.Int32),
        heldout_fold=pl.lit(-1, dtype=pl.Int32),
        official=pl.lit(None, dtype=pl.String),
    ).select(_columns(facts))


def _columns(facts: pl.DataFrame) -> list[str]:
    return [*COLUMNS, *([WINDOWS] if WINDOWS in facts.columns else [])]


def listed_clips(path: Path) -> set[str]:
    """Clip ids in a CSV such as the report exports.

    Raises:
        ConfigError: there is no such file, or no column clip_id in it.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        hint = "export it from the listening page of kagglekit report, or take the setting out"
        raise ConfigError(f"data.leave_out_clips: {path} is not there", hint=hint) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"data.leave_out_clips: {path} is not a CSV: {reason}", hint="look at it"
        ) from error
    if "clip_id" not in table.columns:
        raise ConfigError(
            f"data.leave_out_clips: {path} has no column 'clip_id'",
            hint=close_match("clip_id", table.columns),
        )
    return set(table["clip_id"].drop_nulls())


def without(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The table with the listed clips left out of training. The others stay in their folds.

    Raises:
        ConfigError: no such list, or it names a clip that is not there to be trained on.
    """
    listed = listed_clips(path)
    ours = pl.col("split") != "test"
    unknown = sorted(listed - set(table.filter(ours)["clip_id"]))
    if unknown:
        examples = ", ".join(f"'{clip_id}'" for clip_id in table.filter(ours)["clip_id"][:2])
        raise ConfigError(
            f"data.leave_out_clips: {len(unknown):,} of its {len(listed):,} clips are no train clips, "
            f"for example '{unknown[0]}'",
            hint=f"ids look like {examples}",
        )
    chosen = ours & pl.col("clip_id").is_in(sorted(listed))
    return table.with_columns(fold=pl.when(chosen).then(pl.lit(-1, dtype=pl.Int32)).otherwise(pl.col("fold")))


def training_rows(clips: pl.DataFrame, fold: int, config: Config, seed: int) -> pl.DataFrame:
    """What the model of one fold learns from: other folds' clips, without this fold's filler words.

    Filler clips are cut to labels.keep_fillers, the same ones for a seed.
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
    """The clips that one fold's model is judged on."""
    return clips.filter(pl.col("fold") == fold)
