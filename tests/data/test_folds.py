"""Folds: whole speakers, even words, and filler words that training never heard."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kagglekit.data.folds import grouped_folds, word_folds
from kagglekit.errors import ConfigError

FOLDS = 4


def clips(seed: int = 0, speakers: int = 150) -> tuple[list[str], list[str]]:
    """Speakers and words as real ones are: some say a lot, most a little, some words are rare."""
    rng = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(20)]
    often = np.array([3.0 if i < 10 else 1.0 for i in range(20)])
    said = [
        (f"s{s}", rng.choice(words, p=often / often.sum()))
        for s in range(speakers)
        for _ in range(int(rng.geometric(0.1)))
    ]
    return [s for s, _ in said], [str(w) for _, w in said]


@pytest.mark.parametrize("seed", range(4))
def test_speakers_are_whole_and_words_even(seed: int) -> None:
    speakers, words = clips(seed)
    fold = grouped_folds(speakers, words, FOLDS, seed)
    assert fold.shape == (len(speakers),) and set(fold) == set(range(FOLDS))
    folds_of = {s: {int(f) for f, t in zip(fold, speakers, strict=True) if t == s} for s in set(speakers)}
    assert all(len(folds) == 1 for folds in folds_of.values())
    for word, count in Counter(words).items():
        of_word = fold[np.array(words) == word]
        shares = [(of_word == k).sum() / count for k in range(FOLDS)]
        assert sum(shares) == pytest.approx(1)
        assert max(abs(s - 1 / FOLDS) for s in shares) < 0.15, word
    assert max(abs((fold == k).mean() - 1 / FOLDS) for k in range(FOLDS)) < 0.03


def test_even_words_are_no_accident() -> None:
    speakers, words = clips()
    names = sorted(set(words))

    def spread(fold: np.ndarray[tuple[int], np.dtype[np.int32]]) -> float:
        counts = np.array(
            [[np.sum((fold == k) & (np.array(words) == n)) for n in names] for k in range(FOLDS)]
        )
        return float(np.square(counts / counts.sum(0) - 1 / FOLDS).sum())

    people = sorted(set(speakers))
    rng = np.random.default_rng(0)
    by_chance = [dict(zip(people, rng.integers(FOLDS, size=len(people)), strict=True)) for _ in range(50)]
    best = min(spread(np.array([deal[s] for s in speakers], dtype=np.int32)) for deal in by_chance)
    assert spread(grouped_folds(speakers, words, FOLDS, 0)) < best / 2


def test_seeds() -> None:
    speakers, words = clips()
    first, again, other = (grouped_folds(speakers, words, FOLDS, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_order_of_clips_does_not_matter() -> None:
    speakers, words = clips()
    order = np.random.default_rng(3).permutation(len(words))
    fold = grouped_folds(speakers, words, FOLDS, 0)
    mixed = grouped_folds([speakers[i] for i in order], [words[i] for i in order], FOLDS, 0)
    np.testing.assert_array_equal(mixed, fold[order])


def test_as_many_speakers_as_folds() -> None:
    fold = grouped_folds(["a", "b", "c", "a"], ["x", "x", "x", "y"], 3, 0)
    assert sorted(fold[:3]) == [0, 1, 2] and fold[3] == fold[0]


def test_too_few_speakers() -> None:
    with pytest.raises(ConfigError, match="4 folds cannot be made of 3 groups") as caught:
        grouped_folds(["a", "b", "c", "c"], ["x"] * 4, 4, 0)
    assert "validation.folds" in str(caught.value.hint)


def test_word_folds_are_even_in_clips() -> None:
    words = ["a"] * 60 + ["b"] * 50 + ["c"] * 30 + ["d"] * 20 + ["e"] * 20
    chosen = word_folds(words, 3)
    totals = Counter({k: sum(words.count(w) for w in chosen if chosen[w] == k) for k in range(3)})
    assert set(chosen) == set("abcde") and sum(totals.values()) == 180
    assert totals == {0: 60, 1: 70, 2: 50}  # largest first, each to the emptiest
    assert word_folds(words[::-1], 3) == chosen
    assert word_folds([], 3) == {}
