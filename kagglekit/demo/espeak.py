"""Words spoken by eSpeak NG, by speakers who differ in voice, pitch, speed and formants.

The library comes from the espeakng-loader wheel (GPL-3) and is loaded at run time.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from types import ModuleType
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from kagglekit.data.wav import Float32
from kagglekit.errors import KagglekitError

SAMPLE_RATE = 16_000
Say = Callable[[Sequence["Utterance"]], Iterator[Float32]]
_INSTALL = "pip install 'kagglekit[demo]'"


@dataclass(frozen=True)
class Speaker:
    """Somebody with a voice, a way of speaking and a microphone."""

    name: str
    """8 hex digits."""
    voice: str
    """eSpeak's language+variant."""
    pitch: float
    """0 to 100, eSpeak's scale."""
    words_per_minute: float
    rate: int
    """Hz at which eSpeak's samples are played: below its 22,050, a longer vocal tract, and slower."""
    tilt: float
    """dB an octave that the microphone adds above 1 kHz and takes below."""


@dataclass(frozen=True)
class Utterance:
    """One word as one speaker says it this time."""

    word: str
    speaker: Speaker
    pitch: int
    words_per_minute: int
    intonation: int


@contextmanager
def voices() -> Iterator[Say]:
    """eSpeak NG in a process of its own.

    The library keeps state from one word to the next that nothing resets, so only a fresh process
    says the same thing twice.
    """
    ignore_ctrl_c = (signal.SIGINT, signal.SIG_IGN)  # this process handles it
    with ProcessPoolExecutor(1, get_context("spawn"), signal.signal, ignore_ctrl_c) as pool:
        yield lambda utterances: pool.map(_say, utterances, chunksize=32)


def _say(utterance: Utterance) -> Float32:
    """The word alone, at 16 kHz, without the quiet before and after it."""
    speech: Float32 = soxr.resample(_espeak().speak(utterance), utterance.speaker.rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


class _Espeak:
    """The library, speaking one word at a time. Calls as in its header, speak_lib.h."""

    RETRIEVAL, DONT_EXIT, UTF8 = 2, 0x8000, 1
    SPEED, PITCH, INTONATION = 1, 3, 4

    def __init__(self) -> None:
        loader = find_library()
        self.library = ctypes.CDLL(loader.get_library_path())
        data = os.fsencode(loader.get_data_path())
        if self.library.espeak_Initialize(self.RETRIEVAL, 0, data, self.DONT_EXIT) <= 0:
            raise KagglekitError(f"eSpeak NG does not start with {loader.get_data_path()}", hint=_INSTALL)
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # by default the time
        self.pieces: list[NDArray[np.int16]] = []
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self.callback = signature(self._take)  # kept: the library holds only its address
        self.library.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: Any, count: int, _events: int) -> int:
        if count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0  # go on

    def speak(self, utterance: Utterance) -> Float32:
        """The word as (samples,) at 22,050 Hz, full scale 1."""
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
    """The wheel that holds eSpeak NG and its voices.

    Raises:
        KagglekitError: it is not installed.
    """
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise KagglekitError("the demo's speech needs eSpeak NG, which is not here", hint=_INSTALL) from error
