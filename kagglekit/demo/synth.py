"""The demo's competition: spoken words by eSpeak NG, packed as Kaggle's speech challenge packs them.

Nothing is downloaded. Voices, pitches, speeds, rooms, microphones and noise differ from clip to
clip, and the test has other speakers, a noise and words that the training clips do not have.
The same seed gives the same clips (the archives' bytes differ in their time stamps).
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import py7zr
from numpy.typing import NDArray

from kagglekit.data.wav import Float32
from kagglekit.demo.espeak import SAMPLE_RATE, Say, Speaker, Utterance, find_library, voices
from kagglekit.files.atomic import replacing, write_text
from kagglekit.terminal import progress

Waveform = NDArray[np.float64]
"""(samples,) at 16 kHz, full scale is 1."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TARGETS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
HEARD = _names("bed bird cat dog eight five four happy house nine one seven three zero")
"""Filler words of train and test."""
UNHEARD = _names("backward follow learn marvin sheila six tree two visual wow")
"""Filler words of the test alone."""

SILENCE_SHARE, UNKNOWN_SHARE = 0.1, 0.2  # of the test; the ten targets divide the rest equally
PUBLIC_SHARE = 0.3

ACCENTS = ("en", "en-us", "en-029", "en-gb-x-rp")
RATES = (20_500, 21_000, 21_500, 22_000, 22_500, 23_000, 23_500)
TRAIN_VOICES = _names(
    "m1 m2 m3 m5 m7 f1 f2 f4 klatt2 klatt4 Alex Alicia Annie Michael Mike Denis adam belinda boris caleb "
    "david linda max paul steph whisper croak grandma Andy edward norbert marcelo robert travis zac"
)
TEST_VOICES = _names(
    "m4 m6 f3 f5 klatt klatt3 Lee benjamin shelby quincy sandro rob aunty grandpa anika victor"
)


@dataclass(frozen=True)
class Synthesised:
    """What `make_competition` made."""

    folder: Path
    train_clips: int
    """Without the background recordings."""
    test_clips: int


def make_competition(
    folder: Path, *, seed: int = 0, train_clips_per_word: int = 75, test_clips: int = 500
) -> Synthesised:
    """Synthesise a 12-class competition: train.7z, test.7z, sample_submission.7z, solution.csv.

    Args:
        folder: where the four files go; made if missing.
        seed: the same seed gives the same clips, names and solution.
        train_clips_per_word: clips of each of the 24 training words.
        test_clips: 10 % silence, 20 % unknown (half of them words not in train), the rest targets.

    Raises:
        KagglekitError: eSpeak NG is not installed or does not start.
    """
    find_library()  # says what is missing before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    train_rng, test_rng = (np.random.default_rng([seed, split]) for split in (0, 1))
    with voices() as say:
        speakers = _speakers(f"{seed}/train", TRAIN_VOICES, max(4, train_clips_per_word), train_rng)
        n_train = _write_train(folder / "train.7z", say, speakers, train_clips_per_word, train_rng)
        speakers = _speakers(f"{seed}/test", TEST_VOICES, max(4, test_clips // 12), test_rng)
        answers = _write_test(folder / "test.7z", say, speakers, _test_words(test_clips), seed, test_rng)
    with _seven_zip(folder / "sample_submission.7z") as archive:
        lines = ["fname,label", *(f"{fname},silence" for fname in answers)]
        archive.writestr("\n".join(lines) + "\n", "sample_submission.csv")
    _write_solution(folder / "solution.csv", answers, test_rng)
    return Synthesised(folder, n_train, len(answers))


def demo_yaml(files: str = "host") -> str:
    """The competition.yaml of this competition.

    Args:
        files: `make_competition`'s folder, relative to the YAML's.
    """
    return f"""\
# Words spoken by eSpeak NG, hosted in a folder that stands in for Kaggle. `kagglekit demo` wrote this.

competition:
  slug: demo-speech
  host: local
  local:
    files: {files}
    solution: {files}/solution.csv

labels:
  targets: [{", ".join(TARGETS)}]
  filler: unknown # every other word
  silence: silence # cut from the background recordings

validation:
  folds: 3
  prior: {{silence: {SILENCE_SHARE}, unknown: {UNKNOWN_SHARE}}} # the test's; the ten targets share the rest
  never_heard: 0.5 # of the test's unknown clips, the share whose word is not in train

# Sized for minutes on two cores: so few clips and epochs are learned best with little augmentation.
train: {{batch_size: 64, augment: {{time_mask: 5, freq_mask: 1, noise: 0, filter_db: 1}}}}
models:
  tcresnet: {{train: {{epochs: 40, lr: 0.004}}}}
  gru: {{train: {{epochs: 20}}}}
search: {{trials: 2, epochs: 12, folds: 1}}
"""


def _write_train(
    path: Path, say: Say, speakers: Sequence[Speaker], clips_per_word: int, rng: np.random.Generator
) -> int:
    utterances = [u for word in TARGETS + HEARD for u in _utterances([word] * clips_per_word, speakers, rng)]
    said: Counter[tuple[str, str]] = Counter()
    names = []
    with (
        _seven_zip(path) as archive,
        progress.bar("synthesise train.7z", len(utterances), "clips") as advance,
    ):
        noises = _noise_recordings(say, speakers, rng, seconds=24)
        for name, noise in noises.items():
            archive.writestr(_wav(noise), f"train/audio/_background_noise_/{name}.wav")
        for utterance, speech in zip(utterances, say(utterances), strict=True):
            word, speaker = utterance.word, utterance.speaker
            names.append(f"{word}/{speaker.name}_nohash_{said[word, speaker.name]}.wav")
            said[word, speaker.name] += 1
            clip = _record(speech, speaker, list(noises.values()), rng)
            archive.writestr(_wav(clip), f"train/audio/{names[-1]}")
            advance(1)
        for part, shares in (("validation", range(10)), ("testing", range(10, 20))):
            listed = [name for name in names if _percentile(name) in shares]
            archive.writestr("".join(f"{name}\n" for name in listed), f"train/{part}_list.txt")
    return len(names)


def _write_test(
    path: Path,
    say: Say,
    speakers: Sequence[Speaker],
    words: Sequence[str],
    seed: int,
    rng: np.random.Generator,
) -> dict[str, str]:
    """Write the test clips of `words` ("silence" is a word here); their labels by file name, sorted."""
    noises = _noise_recordings(say, speakers, rng, seconds=8)
    noises["wind"] = _wind(8 * SAMPLE_RATE, rng)
    beds = list(noises.values())
    speeches = say(utterances := _utterances([w for w in words if w != "silence"], speakers, rng))
    spoken = zip(utterances, speeches, strict=True)
    clips: dict[str, bytes] = {}
    answers: dict[str, str] = {}
    with progress.bar("synthesise test.7z", len(words), "clips") as advance:
        for index, word in enumerate(words):
            fname = f"clip_{_hash(f'{seed}/test/{index}')[:9]}.wav"
            if word == "silence":
                clip = _piece(beds, rng) * _gain(rng.uniform(-45, 6))
            else:
                utterance, speech = next(spoken)
                clip = _record(speech, utterance.speaker, beds, rng)
            clips[fname] = _wav(clip)
            answers[fname] = word if word in (*TARGETS, "silence") else "unknown"
            advance(1)
        with _seven_zip(path) as archive:  # by name, so that the order does not tell the labels
            for fname in sorted(clips):
                archive.writestr(clips[fname], f"test/audio/{fname}")
    return dict(sorted(answers.items()))


def _test_words(count: int) -> list[str]:
    """What is said in each of `count` test clips."""
    silent = round(SILENCE_SHARE * count)
    per_target = round((1 - SILENCE_SHARE - UNKNOWN_SHARE) * count / len(TARGETS))
    unknown = count - silent - per_target * len(TARGETS)
    fillers = [(HEARD, UNHEARD)[i % 2][i // 2 % min(len(HEARD), len(UNHEARD))] for i in range(unknown)]
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
    """16-bit mono wav."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes((waveform * 32767).round().astype("<i2").tobytes())
    return file.getvalue()


def _percentile(name: str) -> int:
    """0 to 99 by speaker, as the data set's own lists are made: a speaker stays in one part."""
    speaker = name.split("/")[1].split("_nohash_")[0]
    return int(_hash(speaker), 16) % 100


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _speakers(prefix: str, voices: Sequence[str], count: int, rng: np.random.Generator) -> list[Speaker]:
    """`count` speakers; two with the same voice differ in accent, pitch, speed and formants."""
    return [
        Speaker(
            name=_hash(f"{prefix}/{i}")[:8],
            voice=f"{rng.choice(ACCENTS)}+{voices[i % len(voices)]}",
            pitch=rng.uniform(25, 75),
            words_per_minute=rng.uniform(130, 200),
            rate=int(rng.choice(RATES)),
            tilt=rng.uniform(-3, 3),
        )
        for i in range(count)
    ]


def _utterances(
    words: Sequence[str], speakers: Sequence[Speaker], rng: np.random.Generator
) -> list[Utterance]:
    """Each of `words` by a speaker drawn so that all speak about equally often."""
    turns: list[int] = []
    while len(turns) < len(words):
        turns += rng.permutation(len(speakers)).tolist()
    return [
        Utterance(
            word=word,
            speaker=speakers[turn],
            pitch=int(np.clip(speakers[turn].pitch + rng.normal(0, 6), 0, 99)),
            words_per_minute=int(speakers[turn].words_per_minute * rng.uniform(0.9, 1.15)),
            intonation=int(rng.integers(10, 95)),
        )
        for word, turn in zip(words, turns, strict=False)
    ]


def _record(
    speech: Float32, speaker: Speaker, noises: Sequence[Waveform], rng: np.random.Generator
) -> Waveform:
    """The clip of `speech`: somewhere in a second, in a room, through a microphone, in noise.

    One clip in 20 ends early, as in the real data set; none is shorter than half a second.
    """
    n = SAMPLE_RATE  # 1 s
    speech = speech[: n - 800]  # slow speakers of long words are cut off
    start = int(rng.integers(0, n - speech.size + 1))
    clip = np.zeros(2 * n)
    clip[start : start + speech.size] = speech
    frequency = np.maximum(np.fft.rfftfreq(clip.size, 1 / SAMPLE_RATE), 100.0)  # Hz
    microphone = (frequency / 1000) ** (speaker.tilt / 6.02)
    clip = np.fft.irfft(np.fft.rfft(clip) * np.fft.rfft(_room(rng), clip.size) * microphone)[:n]
    clip *= _gain(rng.uniform(-36, -14)) / _rms(clip[start : start + speech.size])
    noise = _piece(noises, rng)
    clip += noise * _rms(clip) / _rms(noise) * _gain(-rng.uniform(12, 45))
    clip *= min(1.0, 0.98 / np.abs(clip).max())  # no clipping
    if rng.random() < 0.05:
        n = int(rng.integers(max(n // 2, start + speech.size), n + 1))
    return clip[:n]


def _room(rng: np.random.Generator) -> Waveform:
    """Impulse response: the direct sound, then a tail of noise that fades."""
    fade_seconds = rng.uniform(0.05, 0.4)  # to -60 dB
    t = np.arange(round(fade_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(size=t.size) * 10 ** (-3 * t / fade_seconds)
    tail *= _gain(-rng.uniform(8, 30)) / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail


def _piece(noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """One second of one of the recordings."""
    noise = noises[int(rng.integers(len(noises)))]
    start = int(rng.integers(noise.size - SAMPLE_RATE + 1))
    return noise[start : start + SAMPLE_RATE]


def _gain(db: float) -> float:
    return float(10 ** (db / 20))


def _rms(waveform: Waveform | Float32) -> float:
    return float(np.sqrt(np.mean(waveform**2))) or 1.0


def _noise_recordings(
    say: Say, speakers: Sequence[Speaker], rng: np.random.Generator, seconds: int
) -> dict[str, Waveform]:
    n = seconds * SAMPLE_RATE
    return {
        "white_noise": _even(_coloured(n, rng, 0)),
        "pink_noise": _even(_coloured(n, rng, 1)),
        "brown_noise": _even(_coloured(n, rng, 2)),
        "mains_hum": _even(_hum(n, rng)),
        "tapping": _even(_taps(n, rng)),
        "babble": _even(_babble(n, say, speakers, rng)),
    }


def _even(waveform: Waveform) -> Waveform:
    """RMS of -26 dBFS, or less where the peak would pass 0.45 (which leaves 6 dB to add)."""
    return waveform * min(_gain(-26) / _rms(waveform), 0.45 / float(np.abs(waveform).max()))


def _coloured(n: int, rng: np.random.Generator, exponent: float) -> Waveform:
    """Noise whose power falls with frequency ** exponent above 20 Hz."""
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * frequency ** (-exponent / 2), n)


def _hum(n: int, rng: np.random.Generator) -> Waveform:
    """A mains transformer: 50 Hz and its harmonics, swelling slowly, over some hiss."""
    t = np.arange(n) / SAMPLE_RATE
    tones = [
        np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6.28)) * rng.uniform(0.2, 1) / k for k in range(1, 25)
    ]
    return sum(tones, np.zeros(n)) * (1 + 0.3 * np.sin(2 * np.pi * 0.2 * t)) + 0.05 * rng.normal(size=n)


def _taps(n: int, rng: np.random.Generator) -> Waveform:
    """Knocks on a table, three a second, each a resonance that dies away."""
    waveform = 0.002 * rng.normal(size=n + SAMPLE_RATE)
    t = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    for start in rng.integers(0, n, size=3 * n // SAMPLE_RATE):
        ring = np.sin(2 * np.pi * rng.uniform(150, 3000) * t) + 0.5 * rng.normal(size=t.size)
        waveform[start : start + t.size] += rng.uniform(0.1, 1) * ring * np.exp(-t * rng.uniform(30, 200))
    return waveform[:n]


def _babble(n: int, say: Say, speakers: Sequence[Speaker], rng: np.random.Generator) -> Waveform:
    """About five people at once, saying filler words that training clips contain."""
    words = rng.choice(HEARD, size=10 * n // SAMPLE_RATE).tolist()
    waveform = np.zeros(n + 2 * SAMPLE_RATE)
    for speech in say(_utterances(words, speakers, rng)):
        start = rng.integers(n)
        waveform[start : start + speech.size] += rng.uniform(0.3, 1) * speech / _rms(speech)
    return waveform[:n] + 0.01 * rng.normal(size=n)


def _wind(n: int, rng: np.random.Generator) -> Waveform:
    """Gusts: low noise that swells within seconds, with a hiss that comes and goes."""
    gusts = 1 + np.sin(2 * np.pi * np.cumsum(rng.uniform(0.1, 0.8, size=n)) / SAMPLE_RATE)
    low, hiss = _coloured(n, rng, 1.6), _coloured(n, rng, 0.3)
    return _even(gusts * low / _rms(low) + 0.15 * gusts**3 * hiss / _rms(hiss))
