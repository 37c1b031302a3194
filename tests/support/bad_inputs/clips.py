"""Unusable clips and noise."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable

import numpy as np
import soundfile

from support.bad_box import Box
from support.bad_inputs.case import section
from support.tiny import RATE, tone, wav_bytes

case = section("Clips")


def _sound(rate: int = RATE, seconds: float = 0.5, channels: int = 1, subtype: str = "PCM_16") -> bytes:
    rng = np.random.default_rng(5)
    mono = np.interp(np.arange(round(rate * seconds)) / rate, np.arange(RATE) / RATE, tone(300, rng, 1.0))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([mono / 32768] * channels, 1), rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def _header_only() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
    return buffer.getvalue()


CLIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a file of no bytes": (lambda: b"", "empty"),
    "a wav without samples": (_header_only, "empty"),
    "a wav that is cut off": (lambda: _sound()[:3000], "truncated"),
    "a text file called .wav": (lambda: b"this is no sound\n" * 40, "unreadable"),
    "a wav of zeros": (lambda: wav_bytes(np.zeros(RATE // 2)), "silent"),
    "8 bits": (lambda: _sound(subtype="PCM_U8"), "converted"),
    "24 bits": (lambda: _sound(subtype="PCM_24"), "converted"),
    "floats": (lambda: _sound(subtype="FLOAT"), "converted"),
    "stereo": (lambda: _sound(channels=2), "converted"),
    "16 kHz instead of 8": (lambda: _sound(rate=16_000), "resampled"),
    "44.1 kHz instead of 8": (lambda: _sound(rate=44_100), "resampled"),
    "a rate of 1 GHz": (lambda: _with_rate(1_000_000_000), "unreadable"),
    "a longer clip": (lambda: _sound(seconds=0.8), "long"),
    "a shorter clip": (lambda: _sound(seconds=0.3), "short"),
    "a clip twice": (lambda: b"", "duplicate"),
}


def _with_rate(rate: int) -> bytes:
    data = bytearray(wav_bytes(np.arange(4000)))
    struct.pack_into("<I", data, 24, rate)
    return bytes(data)


def _clip_case(what: str, content: Callable[[], bytes], problem: str) -> None:
    def damage(box: Box) -> None:
        name = "train/audio/low/00000003_nohash_0.wav"

        def change(members: dict[str, bytes]) -> None:
            twin = members["train/audio/low/00000002_nohash_0.wav"]
            members[name] = twin if problem == "duplicate" else content()

        box.repack(change)
        box.good("fetch")
        out = box.fine("prepare --list", f"train: 1 {problem}").out
        assert f"low/00000003_nohash_0.wav  {problem}" in out
        left_out = problem in ("empty", "unreadable", "duplicate")
        assert ("1 train clip is left out" in out) == left_out

    case(what)(damage)


for _what, (_content, _problem) in CLIPS.items():
    _clip_case(_what, _content, _problem)


@case("no noise recordings")
def _no_noise(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        for name in [n for n in members if "_background_noise_" in n]:
            del members[name]

    box.repack(change)
    box.good("fetch")
    box.bad("prepare", "no file matches 'train.zip/train/audio/_background_noise_/*.wav'", "correct the path")


@case("noise shorter than a clip")
def _short_noise(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        members["train/audio/_background_noise_/noise_0.wav"] = wav_bytes(np.arange(900))

    box.repack(change)
    box.good("fetch")
    box.bad("prepare", "noise 'noise_0.wav' is 900 samples, not longer than a clip (4000)", "data.noise")


@case("a class without a clip", "fetched")
def _no_clips(box: Box) -> None:
    box.edit("targets: [low, mid]", "targets: [low, mid, stop]")
    box.bad("prepare", "no training clip for stop", "labels.classes")


@case("a class whose clips are all unreadable")
def _no_good_clips(box: Box) -> None:
    box.repack(lambda m: m.update({n: b"text" for n in m if "/low/" in n}))
    box.good("fetch")
    box.bad("prepare", "no training clip for low", "labels.classes")


@case("more folds than speakers", "fetched")
def _many_folds(box: Box) -> None:
    box.bad(
        "prepare --set validation.folds=9 --set labels.silence=null --set 'validation.prior={}'",
        "9 folds cannot be made of 8 groups",
        "set validation.folds lower",
    )


@case("fmax above half the sample rate", "prepared")
def _fmax(box: Box) -> None:
    box.bad(
        "train --model tcresnet --set features.fmax=5000",
        "features.fmax is 5000 Hz, above 4000 Hz, half the sample rate: set it to at most 4000",
        "run the same command again",
    )


@case("mel filters narrower than a bin", "prepared")
def _narrow(box: Box) -> None:
    box.bad(
        "features --set features.n_mels=200", "mel filters hold no frequency bin", "features.n_mels lower"
    )


@case("clips shorter than a window", "fetched")
def _window(box: Box) -> None:
    box.bad("features --set audio.seconds=0.01", "waveform of shape", "audio.seconds higher")


@case("a wav to predict that is none", "trained")
def _predict_wav(box: Box) -> None:
    (box.folder / "hello.wav").write_bytes(b"hello")
    box.bad("predict --model gru hello.wav", "hello.wav is unreadable", "give a wav")
    box.bad("predict --model gru gone.wav", "there is no file gone.wav", "check the path")
    box.bad("predict --model gru --run ../x", "no finished run gru/../x", "known: ")
