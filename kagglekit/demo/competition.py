"""Make the demo's competition: words spoken by eSpeak NG, packed as in Kaggle's speech challenge.

Nothing is downloaded. Voices, pitches, speeds, rooms, microphones and noise differ from clip to clip, and
the test has speakers, words and a noise that training clips lack. The same seed gives the same clips; the
archives differ in their time stamps.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import py7zr
import soundfile

from kagglekit.demo import espeak
from kagglekit.demo.espeak import SAMPLE_RATE, Speak, Speaker, draw_utterances, split_words
from kagglekit.demo.sounds import Waveform, excerpt, gain, noise_recordings, record, wind
from kagglekit.files.atomic import replacing, write_text
from kagglekit.terminal import progress

TARGETS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
FILLERS = split_words("bed bird cat dog eight five four happy house nine one seven three zero")
"""Filler words of train and test."""
UNSEEN_FILLERS = split_words("backward follow learn marvin sheila six tree two visual wow")
"""Filler words of the test alone."""
SILENCE_SHARE, UNKNOWN_SHARE = 0.1, 0.2  # of the test; the ten targets share the rest equally
PUBLIC_SHARE = 0.3  # of the test


def make_competition(
    folder: Path, *, seed: int = 0, train_clips_per_word: int = 75, test_clips: int = 500
) -> None:
    """Synthesise a 12-class competition: train.7z, test.7z, sample_submission.7z, solution.csv.

    Args:
        folder: gets the four files; created if it does not exist.
        seed: determines clips, names and solution.
        train_clips_per_word: number of clips for each of the 24 training words.
        test_clips: number of clips: 10 % silence, 20 % unknown (half of them unseen words), 70 % targets.

    Raises:
        KagglekitError: eSpeak NG is not installed or does not start.
    """
    espeak.find_library()  # fails before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    train_rng, test_rng = (np.random.default_rng([seed, split]) for split in (0, 1))
    with espeak.open_espeak() as speak:
        speakers = espeak.draw_speakers(
            f"{seed}/train", espeak.TRAIN_VOICES, max(4, train_clips_per_word), train_rng
        )
        _write_train(folder / "train.7z", speak, speakers, train_clips_per_word, train_rng)
        speakers = espeak.draw_speakers(
            f"{seed}/test", espeak.TEST_VOICES, max(4, test_clips // 12), test_rng
        )
        answers = _write_test(folder / "test.7z", speak, speakers, _test_words(test_clips), seed, test_rng)
    with _seven_zip(folder / "sample_submission.7z") as archive:
        lines = ["fname,label", *(f"{fname},silence" for fname in answers)]
        archive.writestr("\n".join(lines) + "\n", "sample_submission.csv")
    _write_solution(folder / "solution.csv", answers, test_rng)


def demo_yaml(files: str = "host") -> str:
    """Return the competition.yaml; `files` is `make_competition`'s folder, relative to the YAML's."""
    return f"""\
# `kagglekit demo` wrote this file: words spoken by eSpeak NG, in a folder that takes the place of Kaggle.

competition:
  slug: demo-speech
  host: local
  local:
    files: {files}
    solution: {files}/solution.csv

data:
  sample: sample_submission.7z
  train:
    files: train.7z/train/audio/*/*.wav
    label: folder
    group: {{name: '^(.+?)_nohash_'}} # the speaker
  test: {{files: test.7z/test/audio/*.wav}}
  noise: train.7z/train/audio/_background_noise_/*.wav

labels:
  classes: [{", ".join(TARGETS)}]
  filler: unknown # the class of all other words
  silence: silence # the class of clips cut from the background recordings

validation:
  folds: 3
  prior: {{silence: {SILENCE_SHARE}, unknown: {UNKNOWN_SHARE}}} # in the test; the ten targets share the rest
  never_heard: 0.5 # share of unseen words among the test's unknown clips

# Sized for minutes on two cores: with so few clips and epochs, little augmentation works best.
train: {{batch_size: 64, augment: {{time_mask: 5, freq_mask: 1, noise: 0, filter_db: 1}}}}
models:
  tcresnet: {{train: {{epochs: 40, lr: 0.004}}}}
  gru: {{train: {{epochs: 20}}}}
search: {{trials: 2, epochs: 12, folds: 1}}
"""


def _write_train(
    path: Path, speak: Speak, speakers: Sequence[Speaker], clips_per_word: int, rng: np.random.Generator
) -> None:
    utterances = [
        u for word in TARGETS + FILLERS for u in draw_utterances([word] * clips_per_word, speakers, rng)
    ]
    takes: Counter[tuple[str, str]] = Counter()
    names = []
    with (
        _seven_zip(path) as archive,
        progress.bar("synthesise train.7z", len(utterances), "clips") as advance,
    ):
        noises = noise_recordings(speak, speakers, FILLERS, rng, seconds=24)
        for name, noise in noises.items():
            archive.writestr(_wav(noise), f"train/audio/_background_noise_/{name}.wav")
        for utterance, speech in zip(utterances, speak(utterances), strict=True):
            word, speaker = utterance.word, utterance.speaker
            names.append(f"{word}/{speaker.name}_nohash_{takes[word, speaker.name]}.wav")
            takes[word, speaker.name] += 1
            clip = record(speech, speaker, list(noises.values()), rng)
            archive.writestr(_wav(clip), f"train/audio/{names[-1]}")
            advance(1)
        for part, shares in (("validation", range(10)), ("testing", range(10, 20))):
            listed = [name for name in names if _percentile(name) in shares]
            archive.writestr("".join(f"{name}\n" for name in listed), f"train/{part}_list.txt")


def _write_test(
    path: Path,
    speak: Speak,
    speakers: Sequence[Speaker],
    words: Sequence[str],
    seed: int,
    rng: np.random.Generator,
) -> dict[str, str]:
    """Write a test clip for each word or "silence"; return the labels by file name, sorted."""
    noises = noise_recordings(speak, speakers, FILLERS, rng, seconds=8)
    noises["wind"] = wind(8 * SAMPLE_RATE, rng)
    beds = list(noises.values())
    speeches = speak(utterances := draw_utterances([w for w in words if w != "silence"], speakers, rng))
    spoken = zip(utterances, speeches, strict=True)
    clips: dict[str, bytes] = {}
    answers: dict[str, str] = {}
    with progress.bar("synthesise test.7z", len(words), "clips") as advance:
        for index, word in enumerate(words):
            fname = f"clip_{_hash(f'{seed}/test/{index}')[:9]}.wav"
            if word == "silence":
                clip = excerpt(beds, rng) * gain(rng.uniform(-45, 6))
            else:
                utterance, speech = next(spoken)
                clip = record(speech, utterance.speaker, beds, rng)
            clips[fname] = _wav(clip)
            answers[fname] = word if word in (*TARGETS, "silence") else "unknown"
            advance(1)
        with _seven_zip(path) as archive:  # by name, so that the order does not reveal the labels
            for fname in sorted(clips):
                archive.writestr(clips[fname], f"test/audio/{fname}")
    return dict(sorted(answers.items()))


def _test_words(count: int) -> list[str]:
    """Return the word, or "silence", of each of `count` test clips."""
    silent = round(SILENCE_SHARE * count)
    per_target = round((1 - SILENCE_SHARE - UNKNOWN_SHARE) * count / len(TARGETS))
    unknown = count - silent - per_target * len(TARGETS)
    fillers = [
        (FILLERS, UNSEEN_FILLERS)[i % 2][i // 2 % min(len(FILLERS), len(UNSEEN_FILLERS))]
        for i in range(unknown)
    ]
    return [word for word in TARGETS for _ in range(per_target)] + fillers + ["silence"] * silent


def _write_solution(path: Path, answers: dict[str, str], rng: np.random.Generator) -> None:
    public = set(rng.permutation(len(answers))[: round(PUBLIC_SHARE * len(answers))].tolist())
    lines = [
        f"{fname},{label},{'Public' if row in public else 'Private'}"
        for row, (fname, label) in enumerate(answers.items())
    ]
    write_text(path, "\n".join(["fname,label,Usage", *lines]) + "\n")


@contextmanager
def _seven_zip(path: Path) -> Iterator[py7zr.SevenZipFile]:
    # Deflate packs noisy speech 1.8 times as fast as LZMA2's fastest preset, for 12 % more bytes.
    filters = [{"id": py7zr.FILTER_DEFLATE}]
    with replacing(path) as part, py7zr.SevenZipFile(part, "w", filters=filters) as archive:
        yield archive


def _wav(waveform: Waveform) -> bytes:
    """Encode as 16-bit mono wav."""
    file = io.BytesIO()
    samples = (waveform * 32767).round().astype(np.int16)
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _percentile(name: str) -> int:
    """Return a speaker's number from 0 to 99, by which the real data set's lists are made, too."""
    speaker = name.split("/")[1].split("_nohash_")[0]
    return int(_hash(speaker), 16) % 100


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()
