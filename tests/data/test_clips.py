"""The clips table, and what a fold learns from and is judged on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from support.annotated import annotated, made
from support.tiny import make

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.clips import (
    COLUMNS,
    silence_table,
    table_without_labels,
    train_table,
    training_rows,
    validation_rows,
)
from kagglekit.errors import ConfigError
from kagglekit.scoring.task import Task

WORDS = ("low", "mid", "high", "extra", "other", "more")  # low and mid are targets
SPEAKERS = 12
FOLDS = 3


def facts(rows: list[tuple[str | None, str | None, str]]) -> pl.DataFrame:
    """(word, speaker, problem) -> what ingesting an archive finds."""
    return pl.DataFrame(
        {
            "clip_id": [f"{word}/{i}.wav" for i, (word, _, _) in enumerate(rows)],
            "path": [f"train/audio/{word}/{i}.wav" for i, (word, _, _) in enumerate(rows)],
            "word": [word for word, _, _ in rows],
            "speaker": pl.Series([speaker for _, speaker, _ in rows], dtype=pl.String),
            "row": list(range(len(rows))),
            "samples": 4000,
            "rms": 0.1,
            "peak": 0.5,
            "sha1": [f"{i:040x}" for i in range(len(rows))],
            "problem": [problem for _, _, problem in rows],
            "flags": [problem for _, _, problem in rows],
            "rate": 16_000,
            "message": "",
        },
        schema_overrides={"samples": pl.Int64},
    )


SPOKEN = [(word, f"s{s}", "") for s in range(SPEAKERS) for word in WORDS for _ in range(1 + s % 2)]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(make(tmp_path), [f"validation.folds={FOLDS}"])


@pytest.fixture
def clips(config: Config) -> pl.DataFrame:
    train = made(config, facts(SPOKEN), None)
    noise = [("_silence_", f"noise:n{i % FOLDS}", "") for i in range(30)]
    quiet = silence_table(config, facts(noise), {f"n{k}": k for k in range(FOLDS)})
    hidden = facts([("x", None, "")] * 10).with_columns(clip_id=pl.format("t{}.wav", "row"))
    return pl.concat([train, quiet, table_without_labels(hidden, "test")], how="vertical_relaxed")


def changed(config: Config, **labels: object) -> Config:
    return config.model_copy(update={"labels": config.labels.model_copy(update=labels)})


def test_labels(config: Config, clips: pl.DataFrame) -> None:
    assert clips.columns == list(COLUMNS)
    assert (Task.of(config).label_of("low"), Task.of(config).label_of("high")) == ("low", "unknown")
    assert Task.of(changed(config, filler=None)).label_of("high") is None
    labels = clips.select("split", "word", "label").unique().sort("split", "word").rows()
    assert [label for split, _, label in labels if split == "train"] == [
        *("unknown", "unknown", "low", "mid", "unknown", "unknown")
    ]
    assert set(clips.filter(split="silence")["label"]) == {"silence"}
    assert clips.filter(split="test")["label"].null_count() == 10


def test_every_clip_is_validated_exactly_once(clips: pl.DataFrame) -> None:
    judged = pl.concat([validation_rows(clips, k) for k in range(FOLDS)])
    known = clips.filter(pl.col("split") != "test")
    assert sorted(judged["clip_id"]) == sorted(known["clip_id"])


def test_no_speaker_is_in_two_folds(clips: pl.DataFrame) -> None:
    folds = clips.filter(split="train").group_by("speaker").agg(pl.col("fold").n_unique())
    assert len(folds) == SPEAKERS and set(folds["fold"]) == {1}


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_fold_learns_neither_its_speakers_nor_its_words_nor_its_noise(
    fold: int, clips: pl.DataFrame, config: Config
) -> None:
    learned = training_rows(clips, fold, config, seed=0)
    judged = validation_rows(clips, fold)
    assert not set(learned["speaker"]) & set(judged["speaker"])  # speakers and noise pieces
    heldout = set(clips.filter(heldout_fold=fold)["word"])
    assert heldout and not heldout & set(learned["word"])
    assert set(judged.filter(part="unseen")["word"]) == heldout
    assert not heldout & set(judged.filter(part="seen")["word"])
    assert set(learned["split"]) == {"train", "silence"}
    words = set(WORDS) - heldout | {"_silence_"}
    assert set(learned["word"]) == words  # and everything else


def test_every_filler_word_is_held_out_once_and_no_target(clips: pl.DataFrame) -> None:
    held = dict(clips.filter(split="train").select("word", "heldout_fold").unique().rows())
    assert (held["low"], held["mid"]) == (-1, -1)
    assert sorted(held[w] for w in ("high", "extra", "other", "more")) in ([0, 0, 1, 2], [0, 1, 1, 2])


def test_parts(clips: pl.DataFrame) -> None:
    part = dict(clips.group_by("part").len().rows())
    train = clips.filter(split="train")
    unseen = train.filter((pl.col("fold") == pl.col("heldout_fold")) & (pl.col("label") == "unknown"))
    assert part["keyword"] == len(train.filter(pl.col("label") != "unknown")) == 36
    assert part["unseen"] == len(unseen)
    assert part["seen"] == len(train) - 36 - len(unseen)
    assert (part["silence"], part[None]) == (30, 10)


@pytest.mark.parametrize(
    ("keep", "expected"), [("all", None), (10, 10), (0.25, 0.25), (1, 1.0), (10_000, 1.0), (1e-6, 1)]
)
def test_keep_fillers(keep: float | str, expected: float | None, config: Config, clips: pl.DataFrame) -> None:
    whole = training_rows(clips, 0, config, seed=0)
    fillers = len(whole.filter(label="unknown"))
    cut = training_rows(clips, 0, changed(config, keep_fillers=keep), seed=0)
    count = (
        fillers
        if expected is None
        else round(expected * fillers)
        if isinstance(expected, float)
        else expected
    )
    assert len(cut.filter(label="unknown")) == count
    others = pl.col("label") != "unknown"
    assert cut.filter(others)["clip_id"].to_list() == whole.filter(others)["clip_id"].to_list()


def test_kept_fillers_are_the_seeds(config: Config, clips: pl.DataFrame) -> None:
    few = changed(config, keep_fillers=10)
    first, again, other = (training_rows(clips, 1, few, seed)["clip_id"].to_list() for seed in (1, 1, 2))
    assert first == again and first != other
    assert len(set(first)) == len(first)


def test_left_out_clips_are_listed_without_a_fold(config: Config) -> None:
    bad = [("low", "s0", "empty"), ("mid", "s1", "duplicate"), ("mid", "s1", "clipped")]
    table = made(config, facts(SPOKEN + bad), None)
    assert table["fold"].tail(3).to_list()[:2] == [-1, -1] and table["fold"].tail(1).item() >= 0
    assert len(table) == len(SPOKEN) + 3
    learned = pl.concat([training_rows(table, k, config, 0) for k in range(FOLDS)])
    assert not set(learned["problem"]) & {"empty", "duplicate"}


def test_without_a_filler_class_other_words_have_no_fold(config: Config) -> None:
    table = made(changed(config, filler=None), facts(SPOKEN), None)
    assert set(table.filter(pl.col("label").is_null())["fold"]) == {-1}
    assert set(table.filter(pl.col("fold") >= 0)["word"]) == {"low", "mid"}
    assert set(table["heldout_fold"]) == {-1}


def test_a_clip_whose_word_nobody_knows_is_left_out(config: Config) -> None:
    table = made(config, facts([*SPOKEN, (None, "s0", "")]), None)
    assert table.select("word", "label", "fold", "heldout_fold").row(-1) == (None, None, -1, -1)
    assert table["fold"][:-1].to_list() == made(config, facts(SPOKEN), None)["fold"].to_list()


def test_no_filler_clip_to_keep(config: Config) -> None:
    table = made(config, facts([row for row in SPOKEN if row[0] in ("low", "mid")]), None)
    learned = training_rows(table, 0, changed(config, keep_fillers=10), seed=0)
    assert set(learned["word"]) == {"low", "mid"}


def test_clips_without_a_speaker_are_speakers_of_their_own(config: Config) -> None:
    nameless = [(word, None, "") for word, _, _ in SPOKEN]
    fold = made(config, facts(nameless), None)["fold"]
    assert sorted(fold.value_counts()["count"]) == [36, 36, 36]


def test_official_lists(config: Config) -> None:
    table = made(config, facts(SPOKEN), {"low/0.wav": "validation", "mid/2.wav": "testing"})
    found = dict(table.select("clip_id", "official").rows())
    assert (found["low/0.wav"], found.get("mid/1.wav")) == ("validation", "train")
    assert made(config, facts(SPOKEN), None)["official"].null_count() == len(SPOKEN)


def test_a_target_without_a_clip(config: Config) -> None:
    few = [row for row in SPOKEN if row[0] != "mid"]
    with pytest.raises(ConfigError, match="no training clip for mid") as caught:
        made(config, facts(few), None)
    assert "extra, high, low, more, other" in str(caught.value.hint)


def test_too_few_speakers(config: Config) -> None:
    few = [(word, "s0", "") for word in WORDS]
    with pytest.raises(ConfigError, match="3 folds cannot be made of 1 group\n"):
        made(config, facts(few), None)


def test_an_unsure_class_needs_several_labels_a_clip(config: Config) -> None:
    table = facts(SPOKEN)
    hidden = annotated(table).with_columns(masked=pl.lit(["mid"], pl.List(pl.String)))
    with pytest.raises(ConfigError, match=r"^low/0.wav has one class, and secondary or unknown ones\n"):
        train_table(
            config, table.drop("word", "speaker"), hidden.filter(pl.col("clip_id") == "low/0.wav"), None
        )
