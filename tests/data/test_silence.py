"""Silence is cut from noise, each fold's from recordings of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kagglekit.data import silence
from kagglekit.data.silence import WORD, Pieces, piece_folds, split_recordings, write_silence
from kagglekit.data.store import open_store
from kagglekit.errors import AudioError

SAMPLES = 100
FOLDS = 3


def recordings(count: int, samples: int = 3000) -> Pieces:
    """Noise i takes only values of its own, so that a cut tells where it is from."""
    rng = np.random.default_rng(0)
    return {
        f"n{i}": rng.choice([-(i + 1) * 500, (i + 1) * 500], samples).astype(np.int16) for i in range(count)
    }


@pytest.mark.parametrize(("count", "parts"), [(1, 3), (2, 2), (3, 1), (5, 1)])
def test_pieces(count: int, parts: int) -> None:
    whole = recordings(count, 3001)
    pieces = split_recordings(whole, FOLDS, SAMPLES)
    assert len(pieces) == count * parts >= FOLDS
    assert sum(map(len, pieces.values())) == 3001 * count
    names = [f"n0#{i}" for i in range(parts)] if parts > 1 else ["n0"]
    np.testing.assert_array_equal(np.concatenate([pieces[n] for n in names]), whole["n0"])


def test_no_recording_or_a_short_one() -> None:
    with pytest.raises(AudioError, match="there are no noise recordings"):
        split_recordings({}, FOLDS, SAMPLES)
    with pytest.raises(AudioError, match=r"noise 'n0#0' is 100 samples, not longer than a clip \(100\)"):
        split_recordings(recordings(1, 300), FOLDS, SAMPLES)


def test_every_fold_has_noise_of_its_own() -> None:
    made = {"long": 9000, "b": 5000, "c": 4000, "d": 3000, "e": 2000}
    name2fold = piece_folds({name: np.zeros(n, np.int16) for name, n in made.items()}, FOLDS)
    assert name2fold == {"long": 0, "b": 1, "c": 2, "d": 2, "e": 1}  # longest first, to the emptiest


@pytest.fixture
def pieces() -> Pieces:
    return split_recordings(recordings(6), FOLDS, SAMPLES)


def test_cuts(pieces: Pieces, tmp_path: Path) -> None:
    name2fold = piece_folds(pieces, FOLDS)
    facts = write_silence(pieces, name2fold, 300, tmp_path / "store", SAMPLES, seed=0)
    store = open_store(tmp_path / "store")
    assert store.clip_ids == facts["clip_id"].to_list() and store.clip_ids[7] == f"{WORD}/00007.wav"
    scaled = store[:] / 32768
    np.testing.assert_allclose(facts["rms"], np.sqrt((scaled**2).mean(1)), rtol=1e-12)
    np.testing.assert_allclose(facts["peak"], np.abs(scaled).max(1), rtol=1e-12)
    folds = facts["speaker"].str.strip_prefix("noise:").replace_strict(name2fold, return_dtype=pl.Int32)
    assert folds.value_counts(sort=True)["count"].to_list() == [100, 100, 100]


def test_a_cut_sounds_only_like_its_folds_noise(
    pieces: Pieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LEVEL_DB", (-20.0, -20.0))
    name2fold = piece_folds(pieces, FOLDS)
    drawn: list[str] = []
    excerpt = silence._excerpt

    def spy(
        piece: np.ndarray[tuple[int], np.dtype[np.int16]], samples: int, rng: np.random.Generator
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        drawn.append(next(name for name, other in pieces.items() if other is piece))
        return excerpt(piece, samples, rng)

    monkeypatch.setattr(silence, "_excerpt", spy)
    for row in range(60):
        drawn.clear()
        names = sorted(n for n, fold in name2fold.items() if fold == row % FOLDS)
        clip, name = silence._silence_clip(pieces, names, SAMPLES, np.random.default_rng(row))
        assert drawn[0] == name and {name2fold[n] for n in drawn} == {row % FOLDS}
        rms = np.sqrt(np.mean((clip / 32768.0) ** 2))
        assert rms == 0 or rms == pytest.approx(0.1, rel=1e-3)  # -20 dB


def test_levels_zeros_and_sums(pieces: Pieces, tmp_path: Path) -> None:
    facts = write_silence(pieces, piece_folds(pieces, FOLDS), 3000, tmp_path / "s", SAMPLES, seed=1)
    rms = facts["rms"].to_numpy()
    assert 0.015 < (rms == 0).mean() < 0.09  # ZERO_SHARE, and the softest, which round to zero
    db = 20 * np.log10(rms[rms > 1e-3])
    assert db.max() <= -9.9 and np.percentile(db, 90) > -20
    clips = open_store(tmp_path / "s")[:].astype(int)
    loud = np.abs(clips[rms > 0.01])
    assert (
        0.2 < np.mean([len(np.unique(c)) > 1 for c in loud]) < 0.4
    )  # one place has one magnitude: MIXED_SHARE


def test_seeds(pieces: Pieces, tmp_path: Path) -> None:
    name2fold = piece_folds(pieces, FOLDS)
    sums = [
        write_silence(pieces, name2fold, 20, tmp_path / f"{i}", SAMPLES, seed)["sha1"].to_list()
        for i, seed in enumerate((5, 5, 6))
    ]
    assert sums[0] == sums[1] != sums[2]
