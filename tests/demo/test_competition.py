"""A tiny synthetic competition, made once: its shape, its promises, and that it sounds like words."""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import wave
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import py7zr
import pytest

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.demo import competition, espeak
from kagglekit.demo.espeak import Speaker, Utterance, open_espeak
from kagglekit.errors import KagglekitError

pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed (kagglekit[demo])")

CLIPS_PER_WORD, TEST_CLIPS = 3, 60


class Made(NamedTuple):
    """A competition as it was written, read back with py7zr."""

    folder: Path
    train: dict[str, bytes]
    test: dict[str, bytes]
    solution: list[dict[str, str]]


def members(path: Path) -> dict[str, bytes]:
    factory = py7zr.io.BytesIOFactory(limit=1 << 30)
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(factory=factory)
    for product in factory.products.values():
        product.seek(0)
    return {name: product.read() for name, product in factory.products.items()}


def make(folder: Path, seed: int = 0) -> Made:
    competition.make_competition(
        folder, seed=seed, train_clips_per_word=CLIPS_PER_WORD, test_clips=TEST_CLIPS
    )
    solution = list(csv.DictReader(io.StringIO((folder / "solution.csv").read_text())))
    return Made(folder, members(folder / "train.7z"), members(folder / "test.7z"), solution)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("demo"))


def clips(made: Made) -> dict[str, bytes]:
    """Every wav but the background recordings."""
    every = made.train | made.test
    return {name: data for name, data in every.items() if name.endswith(".wav") and "_background" not in name}


def samples(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def word_and_speaker(name: str) -> tuple[str, str]:
    word, file = name.split("/")[-2:]
    return word, file.split("_nohash_")[0]


def test_train_archive_has_each_word_noise_and_lists(made: Made) -> None:
    words = Counter(word_and_speaker(name)[0] for name in made.train if name.endswith(".wav"))
    assert words.pop("_background_noise_") == 6
    assert words == dict.fromkeys(competition.TARGETS + competition.FILLERS, CLIPS_PER_WORD)
    assert {"train/validation_list.txt", "train/testing_list.txt"} <= made.train.keys()


def test_background_recordings_are_long(made: Made) -> None:
    noises = [samples(data) for name, data in made.train.items() if "_background_noise_" in name]
    assert all(20 <= noise.size / 16_000 <= 30 for noise in noises)
    assert all(np.abs(noise).max() < 32_000 and noise.std() > 100 for noise in noises)


def test_official_lists_name_clips_and_keep_speakers_apart(made: Made) -> None:
    validation, testing = (
        made.train[f"train/{x}_list.txt"].decode().split() for x in ("validation", "testing")
    )
    assert all(f"train/audio/{name}" in made.train for name in validation + testing)
    speakers = [{word_and_speaker(name)[1] for name in names} for names in (validation, testing)]
    assert not speakers[0] & speakers[1]


def test_ids_agree_in_test_sample_and_solution(made: Made) -> None:
    sample = members(made.folder / "sample_submission.7z")["sample_submission.csv"].decode()
    rows = list(csv.DictReader(io.StringIO(sample)))
    ids = [row["fname"] for row in made.solution]
    assert [row["fname"] for row in rows] == ids
    assert {row["label"] for row in rows} == {"silence"}
    assert sorted(made.test) == [f"test/audio/{fname}" for fname in ids]
    assert len(set(ids)) == TEST_CLIPS


def test_solution_has_the_stated_shares(made: Made) -> None:
    labels = Counter(row["label"] for row in made.solution)
    assert labels == {**dict.fromkeys(competition.TARGETS, 4), "silence": 6, "unknown": 14}
    assert Counter(row["Usage"] for row in made.solution) == {"Public": 18, "Private": 42}


def test_half_of_the_unknown_words_are_not_in_train(made: Made) -> None:
    words = {word_and_speaker(name)[0] for name in made.train}
    fillers = [w for w in competition._test_words(TEST_CLIPS) if w not in (*competition.TARGETS, "silence")]
    unseen = [word for word in fillers if word in competition.UNSEEN_FILLERS]
    assert len(unseen) == len(fillers) / 2
    assert not words & set(competition.UNSEEN_FILLERS)


def demo_config(folder: Path, files: str = "host") -> Config:
    path = folder / "competition.yaml"
    path.write_text(competition.demo_yaml(files), encoding="utf-8")
    return load_config(path)


def test_default_sizes_have_the_prior_of_the_yaml(tmp_path: Path) -> None:
    words = Counter(competition._test_words(500))
    config = demo_config(tmp_path)
    assert words["silence"] / 500 == config.validation.prior["silence"]
    assert [words[target] for target in competition.TARGETS] == [35] * 10
    assert 1 - (words["silence"] + 350) / 500 == pytest.approx(config.validation.prior["unknown"])


def test_demo_yaml_is_a_competition(tmp_path: Path) -> None:
    config = demo_config(tmp_path, "kaggle files")
    assert config.competition.local is not None
    assert config.competition.local.solution == tmp_path / "kaggle files/solution.csv"
    assert config.labels.all_classes == (*competition.TARGETS, "silence", "unknown")


def test_train_and_test_share_no_speaker_and_no_voice() -> None:
    rng = np.random.default_rng(0)
    train = espeak.draw_speakers("0/train", espeak.TRAIN_VOICES, 75, rng)
    test = espeak.draw_speakers("0/test", espeak.TEST_VOICES, 41, rng)
    assert not {s.name for s in train} & {s.name for s in test}
    assert not {s.voice.split("+")[1] for s in train} & {s.voice.split("+")[1] for s in test}


def test_clips_are_a_second_and_neither_empty_nor_clipped(made: Made) -> None:
    waveforms = [samples(data) for data in clips(made).values()]
    lengths = [waveform.size for waveform in waveforms]
    assert max(lengths) == 16_000
    assert min(lengths) >= 8_000
    assert all(2 < np.abs(waveform).max() < 32_767 for waveform in waveforms)


def test_speech_is_as_loud_as_speech(made: Made) -> None:
    spoken = [samples(data) for name, data in clips(made).items() if name.startswith("train/")]
    dbfs = [20 * np.log10(waveform.std() / 32_768) for waveform in spoken]
    assert -50 < min(dbfs) <= max(dbfs) < -10


def test_words_differ_in_spectrum() -> None:
    speaker = Speaker("0" * 8, "en-us+m3", 50, 160, 22_000, 0)
    with open_espeak() as speak:
        words = [Utterance(word, speaker, 50, 160, 50) for word in competition.TARGETS + competition.FILLERS]
        spectra = [np.abs(np.fft.rfft(speech, 32_000)) for speech in speak(words)]
    likeness = np.corrcoef([np.log(s[:16_000].reshape(80, -1).mean(axis=1)) for s in spectra])
    assert len(likeness) == 24
    assert likeness[~np.eye(24, dtype=bool)].max() < 0.99


def test_same_seed_same_clips_other_seed_other_clips(made: Made, tmp_path: Path) -> None:
    again, other = make(tmp_path / "again"), make(tmp_path / "other", seed=1)
    digest = [hashlib.sha1(b"".join(clips(m).values())).hexdigest() for m in (made, again, other)]
    assert again[1:] == made[1:]
    assert digest[0] != digest[2]
    assert not clips(made).keys() & clips(other).keys()


def test_leaves_nothing_half_written(made: Made) -> None:
    names = sorted(path.name for path in made.folder.iterdir())
    assert names == ["sample_submission.7z", "solution.csv", "test.7z", "train.7z"]


def test_missing_espeak_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(KagglekitError, match="eSpeak NG") as error:
        competition.make_competition(tmp_path / "host")
    assert error.value.hint == "pip install 'kagglekit[demo]'"
    assert not (tmp_path / "host").exists()
