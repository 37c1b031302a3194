"""The CV score, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import scenes
from support.oof import one_run
from support.tiny import make

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.scoring.cv import (
    averaging_gain,
    clip_weights,
    confidence_shift,
    constant_classes,
    score,
)
from kagglekit.scoring.numerics import softmax

CLASSES = ("low", "mid", "silence", "unknown")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """silence is 0.2 of the test and unknown 0.4, so low and mid are 0.2 each."""
    return load_config(make(tmp_path))


def table(rows: list[tuple[str, str, str]], official: list[str | None] | None = None) -> pl.DataFrame:
    """(label, part, word) of each clip."""
    clips = pl.DataFrame(rows, schema=["label", "part", "word"], orient="row")
    alone = {
        "fold": pl.lit(0),
        "speaker": pl.lit(None, pl.String),
        "clip_id": pl.int_range(pl.len()).cast(pl.String),
    }
    return clips.with_columns(official=pl.Series(official or [None] * len(rows), dtype=pl.String), **alone)


def logits(predicted: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array([[4.0 if c == p else -1.0 for c in CLASSES] for p in predicted], dtype=np.float32)


SIX = table(
    [
        ("low", "keyword", "low"),
        ("low", "keyword", "low"),
        ("mid", "keyword", "mid"),
        ("silence", "silence", "_silence_"),
        ("unknown", "seen", "high"),
        ("unknown", "unseen", "other"),
    ],
    ["validation", "train", "validation", None, "testing", "validation"],
)


def test_six_clips_by_hand(config: Config) -> None:
    # low .2 over two clips, mid .2, silence .2, unknown .4: half seen, half unseen words
    np.testing.assert_allclose(clip_weights(SIX, config), [0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
    found = score(logits(["low", "mid", "mid", "silence", "unknown", "low"]), SIX, config)
    assert found.cv == pytest.approx(0.7)
    assert found.plain == pytest.approx(4 / 6)
    assert found.parts == pytest.approx({"keyword": 0.75, "silence": 1.0, "seen": 1.0, "unseen": 0.0})
    assert found.official == pytest.approx(2 / 3)
    # sum of w² (right - cv)²: right ones .01+.04+.04+.04 at .3², wrong ones .01+.04 at .7²
    margin = 1.96 * np.sqrt(0.13 * 0.09 + 0.05 * 0.49)
    assert (found.low, found.high) == pytest.approx((0.7 - margin, 1.0))
    assert found.as_dict()["constant"] == []


def clips(counts: dict[tuple[str, str, str], int]) -> pl.DataFrame:
    return table([key for key, count in counts.items() for _ in range(count)])


MANY = clips(
    {
        ("low", "keyword", "low"): 30,
        ("mid", "keyword", "mid"): 10,
        ("silence", "silence", "_silence_"): 7,
        ("unknown", "seen", "high"): 50,
        ("unknown", "unseen", "other"): 20,
        ("unknown", "unseen", "extra"): 5,
    }
)


def shares(weights: np.ndarray[tuple[int], np.dtype[np.float64]], by: pl.Series) -> dict[str, float]:
    return {key: float(weights[(by == key).to_numpy()].sum()) for key in by.unique()}


def test_classes_weigh_as_the_prior(config: Config) -> None:
    weights = clip_weights(MANY, config)
    assert weights.sum() == pytest.approx(1)
    assert shares(weights, MANY["label"]) == pytest.approx(
        {"low": 0.2, "mid": 0.2, "silence": 0.2, "unknown": 0.4}
    )


def test_unseen_words_have_their_share(config: Config) -> None:
    settings = config.validation.model_copy(update={"never_heard": 0.3})
    weights = clip_weights(MANY, config.model_copy(update={"validation": settings}))
    part = shares(weights, MANY["part"])
    assert (part["seen"], part["unseen"]) == pytest.approx((0.28, 0.12))


def test_words_are_shrunk(config: Config) -> None:
    word = shares(clip_weights(MANY, config), MANY["word"])
    # 20 clips weigh 20 / 25, 5 weigh 5 / 10; the two share 0.2
    assert (word["other"], word["extra"]) == pytest.approx((0.2 * 0.8 / 1.3, 0.2 * 0.5 / 1.3))


def test_without_a_prior_classes_weigh_as_they_are(config: Config) -> None:
    settings = config.validation.model_copy(update={"prior": {}})
    weights = clip_weights(MANY, config.model_copy(update={"validation": settings}))
    share = {label: count / len(MANY) for label, count in MANY["label"].value_counts().rows()}
    assert shares(weights, MANY["label"]) == pytest.approx(share)


@pytest.mark.parametrize("gone", ["seen", "unseen"])
def test_a_part_that_is_not_there_leaves_its_weight_to_the_other(gone: str, config: Config) -> None:
    rest = MANY.filter(pl.col("part") != gone)
    unknown = clip_weights(rest, config)[(rest["label"] == "unknown").to_numpy()]
    np.testing.assert_allclose(unknown, 0.4 / len(unknown))


def test_a_class_that_is_not_there_leaves_its_weight_to_all(config: Config) -> None:
    rest = MANY.filter(pl.col("label") != "silence")
    found = shares(clip_weights(rest, config), rest["label"])
    # of 1 - 0.2 - 0.4 for low and mid, and 0.4: in proportion
    assert found == pytest.approx({"low": 0.25, "mid": 0.25, "unknown": 0.5})


def test_all_right_and_all_wrong(config: Config) -> None:
    right = score(logits(MANY["label"].to_list()), MANY, config)
    assert (right.cv, right.low, right.high, right.plain) == pytest.approx((1, 1, 1, 1))
    assert right.official is None and right.constant == ()
    other = {"low": "mid", "mid": "low", "silence": "unknown", "unknown": "silence"}
    wrong = score(logits([other[label] for label in MANY["label"]]), MANY, config)
    assert (wrong.cv, wrong.low, wrong.high) == pytest.approx((0, 0, 0))


def test_the_report_s_constant_model_is_called_out(config: Config) -> None:
    found = score(logits(["unknown"] * len(MANY)), MANY, config)
    assert found.constant == ("unknown",)
    assert found.plain == pytest.approx(75 / 122) and found.cv == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("predicted", "constant"),
    [
        ({"a": 99, "b": 1}, ("a",)),  # one class throughout
        ({"a": 70, "b": 29, "c": 1}, ("c",)),  # c hardly ever: 1 of 20
        ({"a": 70, "b": 27, "c": 3}, ()),  # seldom, but not hardly ever
        ({"a": 100}, ("a",)),
    ],
)
def test_constant_classes(predicted: dict[str, int], constant: tuple[str, ...]) -> None:
    label = np.repeat(["a", "b", "c"], [50, 30, 20])
    names = np.repeat(list(predicted), list(predicted.values()))
    assert constant_classes(names, label, np.array(["a", "b", "c", "never in the data"])) == constant


def test_data_of_one_class_may_be_predicted_as_one() -> None:
    label = np.repeat(["a", "b"], [95, 5])
    assert constant_classes(np.repeat(["a"], 100), label, np.array(["a", "b"])) == ("b",)
    assert constant_classes(np.repeat(["a"], 100), np.repeat(["a"], 100), np.array(["a", "b"])) == ()


@pytest.mark.parametrize("timid", [0.5, 1.0])
@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_the_gain_of_averaging_without_labels(timid: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 12)) * 2.5
    label = (truth + rng.gumbel(size=truth.shape)).argmax(1)  # a draw from softmax(truth)
    members = [softmax(timid * (truth + noise * rng.normal(size=truth.shape))) for _ in range(4)]
    alone = np.mean([(member.argmax(1) == label).mean() for member in members])
    gain = (np.mean(members, axis=0).argmax(1) == label).mean() - alone
    assert gain > 0.005
    assert averaging_gain(members, float(alone)) == pytest.approx(gain, rel=0.25)


@pytest.mark.parametrize("harder", [0.6, 1.0, 1.5])
def test_the_shift_to_harder_clips_without_labels(harder: float) -> None:
    rng = np.random.default_rng(0)

    def clips_of(size: int, clear: float) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.normal(size=(size, 12)) * 2.5 * clear
        label = (truth + rng.gumbel(size=truth.shape)).argmax(1)
        return softmax(0.7 * truth), label  # less sure than right, on both

    here, label = clips_of(20_000, 1.0)
    there, hidden = clips_of(20_000, harder)
    log = np.log(here)
    expected = confidence_shift(one_run(log, label), [there])
    actual = float((there.argmax(1) == hidden).mean() - (here.argmax(1) == label).mean())
    assert expected == pytest.approx(actual, abs=0.01)


def test_averaging_one_model_with_itself_gains_nothing() -> None:
    member = softmax(np.random.default_rng(0).normal(size=(100, 12)))
    assert averaging_gain([member, member], 0.6) == 0


def test_no_gain_where_models_differ_more_than_their_accuracy_allows() -> None:
    rng = np.random.default_rng(0)
    members = [softmax(9 * rng.normal(size=(500, 12))) for _ in range(4)]
    assert averaging_gain(members, 0.9) == 0


def test_cv_contains_the_gain(config: Config) -> None:
    oof = logits(["low", "mid", "mid", "silence", "unknown", "low"])
    disagreeing = [softmax(logits(["low", "mid", "low"])), softmax(logits(["low", "mid", "mid"]))]
    disagreeing[0][2, 0] += 0.3
    found = score(oof, SIX, config, disagreeing)
    assert found.gain > 0.005 and found.shift < 0
    assert found.cv == pytest.approx(found.oof + found.shift + found.gain) and found.oof == pytest.approx(0.7)
    assert found.low < found.cv < found.high


@pytest.mark.parametrize(
    ("metric", "weighted", "alike"),
    [
        # -log of the true class's probability: p where it is predicted, else q; clips weigh .1 .1 .2 .2 .2 .2
        ("log_loss", (0.7, 0.3), (4 / 6, 2 / 6)),
        # recalls: low .5, mid 1, silence 1, unknown .5, within a class by weight
        ("balanced_accuracy", 0.75, 0.75),
        # F1: low 2/(2 + 1 + 1), mid 2/3, silence 1, unknown 2/3, by counts
        ("f1_macro", (2 * 0.1 / 0.5 + 0.4 / 0.5 + 1 + 0.4 / 0.6) / 4, (0.5 + 2 / 3 + 1 + 2 / 3) / 4),
    ],
)
def test_six_clips_by_other_metrics(config: Config, metric: str, weighted: object, alike: object) -> None:
    """The prior weighs every metric that is defined with weights; shift and gain are of accuracy alone."""
    other = config.competition.model_copy(update={"metric": metric})
    config = config.model_copy(update={"competition": other})
    guesses = logits(["low", "mid", "mid", "silence", "unknown", "low"])
    found = score(guesses, SIX, config, [softmax(guesses)])
    if metric == "log_loss":
        probs = softmax(guesses)[0]
        losses = -np.log(probs[0]), -np.log(probs[1])
        weighted, alike = (float(np.dot(pair, losses)) for pair in (weighted, alike))
    assert (found.cv, found.plain) == pytest.approx((weighted, alike))
    assert (found.shift, found.gain) == (0.0, 0.0) and found.low <= found.cv <= found.high
    assert metric != "log_loss" or found.high > 1.0  # not cut at 1
    assert found.parts == pytest.approx({"keyword": 0.75, "silence": 1.0, "seen": 1.0, "unseen": 0.0})


# --- several labels a clip ---


@pytest.fixture
def street(tmp_path: Path) -> Config:
    return load_config(scenes.make(tmp_path))


def several(labels: list[str], **columns: list[str]) -> pl.DataFrame:
    clips = table([(label, "keyword", label) for label in labels])
    return clips.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def test_unknown_classes_of_a_row_are_left_out_and_the_score_says_so(street: Config) -> None:
    """bell, chirp, hum, knock: lwlrap of the second row would be 1/2 if its hum were absent."""
    found = np.array([[3.0, 2, 1, 0], [0, 1, 3, 2]], np.float32)
    clips = several(["bell", "knock"], masked=["", "hum"], soft=["", ""])
    masked = score(found, clips, street)
    assert masked.cv == 1.0 and masked.parts == {"bell": 1.0, "knock": 1.0}
    assert masked.notes == (
        "left out of the score: 1 of 8 pairs of a row and a class, which the labels leave open",
    )
    plain = score(found, several(["bell", "knock"]), street)
    assert plain.cv == 0.75 and plain.notes == ()
    soft = score(found, several(["bell", "knock"], masked=["", ""], soft=["", "hum"]), street)
    assert soft.cv == 1.0
    assert masked.as_dict()["notes"] == list(masked.notes)


def test_rows_of_windows_validated_on_whole_recordings_are_named(street: Config) -> None:
    found, clips = np.eye(4, dtype=np.float32), several(["bell", "chirp", "hum", "knock"])
    rows = street.rows.model_copy(update={"every": 5.0, "id": "{stem}_{end}"})
    windows = street.model_copy(update={"rows": rows})
    assert score(found, clips, windows).notes == ("rows are windows of 5 s, validated on whole recordings",)
    (train,) = street.data.train
    parts = street.data.model_copy(
        update={"train": (train.model_copy(update={"start": "start", "end": "end"}),)}
    )
    assert score(found, clips, windows.model_copy(update={"data": parts})).notes == ()
