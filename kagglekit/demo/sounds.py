"""Make the demo's clips and background recordings: rooms, microphones and noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kagglekit.data.samples import Float32
from kagglekit.demo.espeak import SAMPLE_RATE, Speak, Speaker, draw_utterances

Waveform = NDArray[np.float64]
"""(samples,) at 16 kHz, full scale 1."""


def record(
    speech: Float32, speaker: Speaker, noises: Sequence[Waveform], rng: np.random.Generator
) -> Waveform:
    """Place speech at a random time in a second, and add a room, a microphone and noise.

    One clip in 20 ends early, as in the real data set, but none is shorter than half a second.
    """
    n = SAMPLE_RATE  # 1 s
    speech = speech[: n - 800]  # slow speakers of long words are cut off
    start = int(rng.integers(0, n - speech.size + 1))
    clip = np.zeros(2 * n)
    clip[start : start + speech.size] = speech
    frequency = np.maximum(np.fft.rfftfreq(clip.size, 1 / SAMPLE_RATE), 100.0)  # Hz
    microphone = (frequency / 1000) ** (speaker.tilt / 6.02)
    clip = np.fft.irfft(np.fft.rfft(clip) * np.fft.rfft(_room(rng), clip.size) * microphone)[:n]
    clip *= gain(rng.uniform(-36, -14)) / _rms(clip[start : start + speech.size])
    noise = excerpt(noises, rng)
    clip += noise * _rms(clip) / _rms(noise) * gain(-rng.uniform(12, 45))
    clip *= min(1.0, 0.98 / np.abs(clip).max())  # no clipping
    if rng.random() < 0.05:
        n = int(rng.integers(max(n // 2, start + speech.size), n + 1))
    return clip[:n]


def _room(rng: np.random.Generator) -> Waveform:
    """Draw an impulse response: the direct sound, then a tail of noise that fades."""
    fade_seconds = rng.uniform(0.05, 0.4)  # to -60 dB
    t = np.arange(round(fade_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(size=t.size) * 10 ** (-3 * t / fade_seconds)
    tail *= gain(-rng.uniform(8, 30)) / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail


def excerpt(noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """Draw one second of one of the recordings."""
    noise = noises[int(rng.integers(len(noises)))]
    start = int(rng.integers(noise.size - SAMPLE_RATE + 1))
    return noise[start : start + SAMPLE_RATE]


def gain(db: float) -> float:
    """Convert dB to a factor on the amplitude."""
    return float(10 ** (db / 20))


def _rms(waveform: Waveform | Float32) -> float:
    return float(np.sqrt(np.mean(waveform**2))) or 1.0


def noise_recordings(
    speak: Speak, speakers: Sequence[Speaker], words: Sequence[str], rng: np.random.Generator, seconds: int
) -> dict[str, Waveform]:
    """Make the background recordings by name; the babble consists of `words`."""
    n = seconds * SAMPLE_RATE
    return {
        "white_noise": _level(_coloured(n, rng, 0)),
        "pink_noise": _level(_coloured(n, rng, 1)),
        "brown_noise": _level(_coloured(n, rng, 2)),
        "mains_hum": _level(_hum(n, rng)),
        "tapping": _level(_taps(n, rng)),
        "babble": _level(_babble(n, speak, speakers, words, rng)),
    }


def _level(waveform: Waveform) -> Waveform:
    """Scale to an RMS of -26 dBFS, or less if the peak would exceed 0.45, which leaves room for 6 dB more."""
    return waveform * min(gain(-26) / _rms(waveform), 0.45 / float(np.abs(waveform).max()))


def _coloured(n: int, rng: np.random.Generator, exponent: float) -> Waveform:
    """Return noise whose power is proportional to 1 / frequency ** exponent above 20 Hz."""
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * frequency ** (-exponent / 2), n)


def _hum(n: int, rng: np.random.Generator) -> Waveform:
    """Return the hum of a mains transformer: 50 Hz and its harmonics, slowly modulated, with some hiss."""
    t = np.arange(n) / SAMPLE_RATE
    tones = [
        np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6.28)) * rng.uniform(0.2, 1) / k for k in range(1, 25)
    ]
    return sum(tones, np.zeros(n)) * (1 + 0.3 * np.sin(2 * np.pi * 0.2 * t)) + 0.05 * rng.normal(size=n)


def _taps(n: int, rng: np.random.Generator) -> Waveform:
    """Return knocks on a table, three a second, each a decaying resonance."""
    waveform = 0.002 * rng.normal(size=n + SAMPLE_RATE)
    t = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    for start in rng.integers(0, n, size=3 * n // SAMPLE_RATE):
        ring = np.sin(2 * np.pi * rng.uniform(150, 3000) * t) + 0.5 * rng.normal(size=t.size)
        waveform[start : start + t.size] += rng.uniform(0.1, 1) * ring * np.exp(-t * rng.uniform(30, 200))
    return waveform[:n]


def _babble(
    n: int, speak: Speak, speakers: Sequence[Speaker], words: Sequence[str], rng: np.random.Generator
) -> Waveform:
    """Return the voices of about five speakers at once."""
    drawn = rng.choice(words, size=10 * n // SAMPLE_RATE).tolist()
    waveform = np.zeros(n + 2 * SAMPLE_RATE)
    for speech in speak(draw_utterances(drawn, speakers, rng)):
        start = rng.integers(n)
        waveform[start : start + speech.size] += rng.uniform(0.3, 1) * speech / _rms(speech)
    return waveform[:n] + 0.01 * rng.normal(size=n)


def wind(n: int, rng: np.random.Generator) -> Waveform:
    """Return gusts of wind: low noise modulated over seconds, with hiss in the gusts."""
    gusts = 1 + np.sin(2 * np.pi * np.cumsum(rng.uniform(0.1, 0.8, size=n)) / SAMPLE_RATE)
    low, hiss = _coloured(n, rng, 1.6), _coloured(n, rng, 0.3)
    return _level(gusts * low / _rms(low) + 0.15 * gusts**3 * hiss / _rms(hiss))
