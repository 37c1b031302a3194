"""Speak words with eSpeak NG, as speakers who differ in voice, pitch, speed and formants.

The library comes from the espeakng-loader wheel (GPL-3) and is loaded at run time.
"""

import ctypes
import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from kagglekit.data.samples import Float32
from kagglekit.errors import KagglekitError
from kagglekit.parallel.children import Child, result_of

SAMPLE_RATE = 16_000
CHUNK = 32  # utterances
Speak = Callable[[Sequence["Utterance"]], Iterator[Float32]]
"""Synthesise utterances, each (samples,) at SAMPLE_RATE."""
_INSTALL = "pip install 'kagglekit[demo]'"


def split_words(text: str) -> tuple[str, ...]:
    """Split a text at its spaces."""
    return tuple(text.split())


ACCENTS = ("en", "en-us", "en-029", "en-gb-x-rp")
RATES = (20_500, 21_000, 21_500, 22_000, 22_500, 23_000, 23_500)
TRAIN_VOICES = split_words(
    "m1 m2 m3 m5 m7 f1 f2 f4 klatt2 klatt4 Alex Alicia Annie Michael Mike Denis adam belinda boris "
    "caleb david linda max paul steph whisper croak grandma Andy edward norbert marcelo robert travis "
    "zac"
)
TEST_VOICES = split_words(
    "m4 m6 f3 f5 klatt klatt3 Lee benjamin shelby quincy sandro rob aunty grandpa anika victor"
)


@dataclass(frozen=True)
class Speaker:
    """A speaker's voice, manner of speaking and microphone."""

    name: str
    """8 hexadecimal digits."""
    voice: str
    """In eSpeak's form, language+variant."""
    pitch: float
    """On eSpeak's scale, 0 to 100."""
    words_per_minute: float
    rate: int
    """Hz at which eSpeak's 22,050 samples a second are played; lower rates sound slower and larger."""
    tilt: float
    """Slope of the microphone's response in dB per octave, 0 dB at 1 kHz."""


@dataclass(frozen=True)
class Utterance:
    """A word as a speaker says it once."""

    word: str
    speaker: Speaker
    pitch: int
    words_per_minute: int
    intonation: int


@contextmanager
def open_espeak() -> Iterator[Speak]:
    """Start eSpeak NG in a new process.

    The library keeps state between words that nothing resets, so the same words sound the same only in a new
    process.
    """
    child = Child({})
    try:
        yield partial(_spoken, child)
    finally:
        child.end()


def _spoken(child: Child, utterances: Sequence[Utterance]) -> Iterator[Float32]:
    """Yield utterances as the process speaks them, a chunk ahead."""
    for start in range(0, len(utterances), CHUNK):
        child.call(_speak_all, utterances[start : start + CHUNK])
        if start:
            yield from result_of(child.receive())
    if utterances:
        yield from result_of(child.receive())


def _speak_all(utterances: Sequence[Utterance]) -> list[Float32]:
    return [_speak(utterance) for utterance in utterances]


def _speak(utterance: Utterance) -> Float32:
    """Synthesise a word at 16 kHz, and trim the silence before and after it."""
    speech: Float32 = soxr.resample(_espeak().speak(utterance), utterance.speaker.rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


class _Espeak:
    """The library's interface, as in its header, speak_lib.h."""

    RETRIEVAL, DONT_EXIT, UTF8 = 2, 0x8000, 1
    SPEED, PITCH, INTONATION = 1, 3, 4

    def __init__(self) -> None:
        loader = find_library()
        self.library = ctypes.CDLL(loader.get_library_path())
        data = os.fsencode(loader.get_data_path())
        if self.library.espeak_Initialize(self.RETRIEVAL, 0, data, self.DONT_EXIT) <= 0:
            raise KagglekitError(f"eSpeak NG does not start with {loader.get_data_path()}", hint=_INSTALL)
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # the default is the time
        self.pieces: list[NDArray[np.int16]] = []
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self.callback = signature(self._add)  # an attribute, because the library holds its address alone
        self.library.espeak_SetSynthCallback(self.callback)

    def _add(self, samples: Any, count: int, _events: int) -> int:
        if count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0  # continue

    def speak(self, utterance: Utterance) -> Float32:
        """Synthesise a word: (samples,) at 22,050 Hz, full scale 1."""
        if self.library.espeak_SetVoiceByName(utterance.speaker.voice.encode()) != 0:
            raise KagglekitError(f"eSpeak NG has no voice '{utterance.speaker.voice}'", hint=_INSTALL)
        self.library.espeak_SetParameter(self.SPEED, utterance.words_per_minute, 0)
        self.library.espeak_SetParameter(self.PITCH, utterance.pitch, 0)
        self.library.espeak_SetParameter(self.INTONATION, utterance.intonation, 0)
        text = utterance.word.encode() + b"\0"
        self.pieces.clear()
        self.library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, self.UTF8, None, None)
        return np.concatenate(self.pieces).astype(np.float32) / np.float32(32768)


@cache
def _espeak() -> _Espeak:
    return _Espeak()


def find_library() -> ModuleType:
    """Import the wheel that contains eSpeak NG and its voices.

    Raises:
        KagglekitError: the wheel is not installed.
    """
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise KagglekitError("the demo needs eSpeak NG, which is not installed", hint=_INSTALL) from error


def draw_speakers(prefix: str, voices: Sequence[str], count: int, rng: np.random.Generator) -> list[Speaker]:
    """Draw speakers; those with the same voice differ in accent, pitch, speed and formants."""
    return [
        Speaker(
            name=hashlib.sha1(f"{prefix}/{i}".encode()).hexdigest()[:8],
            voice=f"{rng.choice(ACCENTS)}+{voices[i % len(voices)]}",
            pitch=rng.uniform(25, 75),
            words_per_minute=rng.uniform(130, 200),
            rate=int(rng.choice(RATES)),
            tilt=rng.uniform(-3, 3),
        )
        for i in range(count)
    ]


def draw_utterances(
    words: Sequence[str], speakers: Sequence[Speaker], rng: np.random.Generator
) -> list[Utterance]:
    """Draw a speaker for each word, so that all speak about equally often."""
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
