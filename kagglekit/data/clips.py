"""Build the clips table: one row for each clip, with label, part and folds.

clip_id
split         train, silence, test or unlabelled
row           first row in the split's store
windows       rows in the store from `row` on (column with audio.longer: windows alone)
path          the recording
start, end    seconds of the part of the recording that the clip is; null: the whole recording
low, high     edges in Hz of the annotated box; null: there is none
word          the label of the data; if a clip may have several, all of them, joined by the separator
label         the class; if a clip may have several, all of them, joined by the separator
part          keyword, silence, or seen or unseen: a filler word that the fold's training contains or not
speaker       what must not be split between folds: the speaker, author, site ...
fold          the fold that validates the clip; -1: left out; -2: trained on in every fold, never validated
heldout_fold  the fold whose training leaves the clip out, too; -1: none
official      validation, testing or train; null if the data set has no such lists
weight        weight of the clip in the loss
masked        classes for which the clip has no loss, joined by the separator
soft          secondary classes, whose target is soft_target
samples, rms, peak, sha1, problem, flags, rate, message   from decoding (kagglekit.data.ingest)
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.classes import given_folds
from kagglekit.data.folds import grouped_folds, word_folds
from kagglekit.data.label_checks import check_labels, say_no_class
from kagglekit.errors import ConfigError, plural
from kagglekit.files.ids import describe
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

VERSION = 5  # part of the cache key: raise it when columns, folds or parts change
LEFT_OUT, TRAINED_ONLY = -1, -2
"""Values of fold for clips that no fold validates."""
COLUMNS = (
    *("clip_id", "split", "row", "path", "start", "end", "low", "high", "word", "label", "part"),
    *("speaker", "fold", "heldout_fold", "official", "weight", "masked", "soft", "soft_target"),
    *("samples", "rms", "peak", "sha1", "problem", "flags", "rate", "message"),
)
WITHOUT_LABELS = ("test", "unlabelled")
"""Splits whose clips have neither label nor fold."""
WINDOWS = "windows"
_UNLABELLED = {
    **dict.fromkeys(("start", "end", "low", "high"), pl.lit(None, pl.Float64)),
    "weight": pl.lit(1.0),
    "masked": pl.lit(""),
    "soft": pl.lit(""),
    "soft_target": pl.lit(0.5),
}
"""Columns of clips that have no annotation."""


def train_table(
    config: Config, facts: pl.DataFrame, annotations: pl.DataFrame, official: Mapping[str, str] | None
) -> pl.DataFrame:
    """Return the table of the training clips.

    Args:
        facts: facts.parquet of the training recordings.
        annotations: of the same clips (kagglekit.data.annotations), with clip_id and names of classes.
        official: clip_id to "validation" or "testing"; None if the data set has no such lists.

    Raises:
        ConfigError: a class has no clip, a clip has two classes, or there are more folds than groups.
    """
    task = Task.of(config)
    table = facts.join(annotations.drop("path"), on="clip_id", how="left", maintain_order="left")
    words = [_word(labels, task) for labels in table["present"].to_list()]
    labels = [task.label_of(word) for word in words]
    table = table.with_columns(
        split=pl.lit("train"),
        word=pl.Series(words, dtype=pl.String),
        label=pl.Series(labels, dtype=pl.String),
        speaker=pl.col("group"),
        **_unsure(table, task),
    )
    outside = pl.col("start").is_not_null() & (pl.col("problem") == "empty")  # after the recording's end
    left_out = pl.col("problem").is_in(list(config.data.leave_out)) | outside
    used = pl.col("label").is_not_null() & ~left_out
    say_no_class(table.filter(~left_out), task)
    kept = table.with_row_index("_at").filter(used)
    check_labels(kept, task.each(table.filter(~left_out)["word"]).explode(), config)
    fold = np.full(len(table), LEFT_OUT, dtype=np.int32)
    fold[kept["_at"].to_numpy()] = TRAINED_ONLY
    judged = _judged(kept)
    fold[judged["_at"].to_numpy()] = (
        _given(judged, given) if (given := given_folds(annotations)) else _folds(judged, config)
    )
    table = table.with_columns(fold=pl.Series(fold))
    fillers = kept.filter(pl.col("label") == task.filler)["word"].to_list() if task.filler else []
    heldout = word_folds(fillers, config.validation.folds)
    table = table.with_columns(
        heldout_fold=pl.col("word").replace_strict(heldout, default=-1, return_dtype=pl.Int32),
        official=pl.Series(
            [official.get(i, "train") if official else None for i in facts["clip_id"]], dtype=pl.String
        ),
    )
    keyword = pl.when(pl.col("label") != pl.lit(task.filler or "")).then(pl.lit("keyword"))
    unseen = pl.when(pl.col("fold") == pl.col("heldout_fold")).then(pl.lit("unseen"))
    part = keyword.otherwise(unseen.otherwise(pl.lit("seen")))
    return _without_relatives(table.with_columns(part=part)).select(_columns(facts))


def _word(labels: list[str] | None, task: Task) -> str | None:
    """Return the labels of a clip as one text; None where there is none and each clip has one."""
    if labels is None:
        return None
    if task.separator is not None:
        return task.separator.join(labels)
    return labels[0] if labels else None


def _unsure(table: pl.DataFrame, task: Task) -> dict[str, pl.Series]:
    """Return the columns masked and soft: names of classes, joined by the separator."""
    joiner, classes = task.separator or "|", set(task.learnt)
    masked, soft = [], []
    columns = table.select("present", "absent", "masked", "soft", "unknown").iter_rows()
    for present, absent, hidden, weaker, unknown in columns:
        sure = {*(present or ()), *(absent or ())}
        names = task.learnt if unknown else [name for name in hidden or () if name in classes]
        masked.append(joiner.join(name for name in names if name not in sure))
        soft.append(joiner.join(name for name in weaker or () if name in classes and name not in sure))
    return {"masked": pl.Series("masked", masked, pl.String), "soft": pl.Series("soft", soft, pl.String)}


def _judged(kept: pl.DataFrame) -> pl.DataFrame:
    """Return the clips that folds validate on: those of the test's own domain, where there are any.

    Raises:
        ConfigError: there is none.
    """
    judged = kept.filter(pl.col("judged"))
    own = judged.filter(pl.col("domain") == "test")
    judged = own if len(own) else judged
    if not len(judged):
        raise ConfigError(
            "there is no training clip to validate on",
            hint="remove `validate: false` from a set of data.train",
        )
    return judged


def _given(judged: pl.DataFrame, number: Mapping[str, int]) -> NDArray[np.int32]:
    """Return each clip's fold as a field gives it; clips without one are trained on in every fold.

    Raises:
        ConfigError: a fold has no clip to validate on.
    """
    if empty := sorted(set(number) - set(judged["fold"].drop_nulls())):
        raise ConfigError(
            f"the given fold '{empty[0]}' has no clip to validate on",
            hint="data.train's fold gives the folds; only clips with a class, and where there are sets of "
            "domain: test those alone, are validated on",
        )
    if without := judged["fold"].null_count():
        console.note(f"{plural(without, 'clip')} without a given fold: trained on in every fold")
    several = judged.group_by("group").agg(pl.col("fold").n_unique()).drop_nulls("group")
    if split := several.filter(pl.col("fold") > 1)["group"].sort().to_list():
        console.note(f"{plural(len(split), 'group')} in several of the given folds: {describe(split)}")
    return np.array([number.get(name, TRAINED_ONLY) for name in judged["fold"]], np.int32)


def _without_relatives(table: pl.DataFrame) -> pl.DataFrame:
    """Hold clips that are only trained on out of the fold that validates their group, or a copy of them."""
    judged = table.filter(pl.col("fold") >= 0)
    if len(judged) == len(table.filter(pl.col("fold") != LEFT_OUT)):
        return table
    groups = dict(judged.drop_nulls("speaker").select("speaker", "fold").iter_rows())
    copies = dict(judged.select("sha1", "fold").iter_rows())
    heldout = [
        groups.get(group, copies.get(sha1, held)) if fold == TRAINED_ONLY else held
        for fold, held, group, sha1 in table.select("fold", "heldout_fold", "speaker", "sha1").iter_rows()
    ]
    return table.with_columns(heldout_fold=pl.Series(heldout, dtype=pl.Int32))


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
        **_UNLABELLED,
        split=pl.lit("silence"),
        label=pl.lit(config.labels.silence),
        part=pl.lit("silence"),
        fold=pl.col("speaker")
        .str.strip_prefix("noise:")
        .replace_strict(dict(fold_of), return_dtype=pl.Int32),
        heldout_fold=pl.lit(-1, dtype=pl.Int32),
        official=pl.lit(None, dtype=pl.String),
    ).select(_columns(facts))


def table_without_labels(facts: pl.DataFrame, split: str) -> pl.DataFrame:
    """Return the table of the clips of test or unlabelled, which have neither label nor fold."""
    unknown = dict.fromkeys(("word", "speaker", "label", "part", "official"), pl.lit(None, dtype=pl.String))
    no_fold = dict.fromkeys(("fold", "heldout_fold"), pl.lit(-1, dtype=pl.Int32))
    table = facts.with_columns(split=pl.lit(split), **_UNLABELLED, **unknown, **no_fold)
    return table.select(_columns(facts))


def _columns(facts: pl.DataFrame) -> list[str]:
    return [*COLUMNS, *([WINDOWS] if WINDOWS in facts.columns else [])]


def training_rows(clips: pl.DataFrame, fold: int, config: Config, seed: int) -> pl.DataFrame:
    """Return the clips that one fold trains on: the other folds', without this fold's held-out filler words.

    Filler clips are sampled down to labels.keep_fillers; the same seed keeps the same clips.
    """
    trained = (pl.col("fold") != LEFT_OUT) & ~pl.col("split").is_in(WITHOUT_LABELS)
    rows = clips.filter(trained & (pl.col("fold") != fold) & (pl.col("heldout_fold") != fold))
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
