"""Audio bytes -> mono int16 at the competition's rate. Bad content gets a name, never an exception.

Problems, most serious first; a clip has the first that applies:

    empty       no bytes, or no samples
    unreadable  no decoder takes it, or its rate or number of channels is absurd; zeros
    truncated   the file ends before its header says; what is there is kept
    silent      every sample has the same value
    resampled   another sample rate
    converted   another encoding than 16-bit PCM wav, or more than one channel (averaged)
    clipped     at least 0.1 % of the samples at full scale
    long        more samples than a clip has, or than audio.max_windows hold; cut at the end
    short       fewer; padded with zeros (no problem where audio.longer is windows)
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from kagglekit.config import Audio

Int16 = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]

FULL_SCALE = 32768
CLIPPED_SHARE = 0.001
MIN_RATE, MAX_RATE = 1000, 192_000  # Hz
MAX_CHANNELS = 16
# a kilobyte of FLAC can hold hours
MAX_SECONDS = 3600
MAX_FRAMES = 2**26  # 256 MB as float32; an hour at 16 kHz is less
_UNKNOWN_BYTES = 0x7FFF_F000  # writers to a pipe put this or more where they do not know the size
_BLOCK_FRAMES = 1024  # a quarter of a FLAC frame: what comes before damage is kept

# Length of the windowed sinc in zero crossings, roll-off and Kaiser beta: "kaiser_best" of
# https://github.com/bmcfee/resampy, which was optimised for an even pass band and -120 dB aliases.
_ZEROS, _ROLLOFF, _BETA = 64, 0.9475937167399596, 14.769656459379492


class Clip(NamedTuple):
    """One decoded clip."""

    rows: Int16
    """(audio.samples,) cut or padded with zeros; (windows, audio.samples) where audio.longer is windows."""
    samples: int
    """Length at the target rate before that."""
    rms: float
    """Over the real samples; full scale is 1."""
    peak: float
    """Largest magnitude of the real samples; full scale is 1."""
    sha1: str
    """Of the file's bytes, in hexadecimal."""
    problem: str
    """"" or one of this module's list."""


class _Raw(NamedTuple):
    """A file's samples as they are in it."""

    waveform: Int16 | Float32
    """(frames,) int16, or float32 in [-1, 1)."""
    rate: int
    problem: str


def decode(data: bytes, audio: Audio) -> Clip:
    """Decode one clip: wav of any encoding, FLAC, Ogg or whatever libsndfile reads.

    Args:
        data: the file's bytes.
        audio: target rate in Hz and length.

    Returns:
        The clip and what is wrong with it; never raises for bad content.
    """
    pcm, problem = _decode(data, audio)
    samples = len(pcm)
    rows = pcm[: audio.samples]
    if samples < audio.samples:
        rows = np.zeros(audio.samples, np.int16)
        rows[:samples] = pcm
    if audio.longer == "windows":
        rows = windows(pcm, audio) if samples > audio.samples else rows[None]
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if not samples:
        return Clip(rows, 0, 0.0, 0.0, sha1, problem)
    low, high = int(pcm.min()), int(pcm.max())
    if low == high and problem != "truncated":
        problem = "silent"
    peak = max(-low, high)
    if not problem and peak >= FULL_SCALE - 1 and _share_at_full_scale(pcm) >= CLIPPED_SHARE:
        problem = "clipped"
    if not problem and samples > audio.most_samples:
        problem = "long"
    if not problem and samples < audio.samples and audio.longer == "cut":
        problem = "short"
    scaled = pcm.astype(np.float32)
    rms = math.sqrt(float(scaled @ scaled) / samples) / FULL_SCALE
    return Clip(rows, samples, rms, peak / FULL_SCALE, sha1, problem)


def windows(pcm: Int16, audio: Audio) -> Int16:
    """A clip longer than a window as windows: (windows, audio.samples), the last one ending with the clip."""
    starts = _starts(min(len(pcm), audio.most_samples), audio)
    return np.stack([pcm[start : start + audio.samples] for start in starts])


def joined(rows: Int16, samples: int, audio: Audio) -> Int16:
    """What `windows` came from, as far as it was kept: (windows, audio.samples) -> (samples or fewer,)."""
    kept = max(min(samples, audio.most_samples), audio.samples)  # shorter ones are padded
    pcm = np.empty(kept, np.int16)
    for start, row in zip(_starts(kept, audio), rows, strict=True):
        pcm[start : start + audio.samples] = row
    return pcm


def _starts(samples: int, audio: Audio) -> list[int]:
    last = samples - audio.samples
    return [*range(0, last, audio.hop_samples), last]


def decode_whole(data: bytes, audio: Audio) -> Int16:
    """Decode a recording of any length, as `decode`; (samples,), empty where nothing could be read."""
    return _decode(data, audio)[0]


def _decode(data: bytes, audio: Audio) -> tuple[Int16, str]:
    """Samples at the target rate, and a problem of those that can be told from the file."""
    raw = _pcm16(data) or _libsndfile(data)
    if not len(raw.waveform):
        return np.zeros(0, np.int16), raw.problem or "empty"
    if raw.rate == audio.sample_rate:
        return _to_int16(raw.waveform), raw.problem
    if not MIN_RATE <= raw.rate <= MAX_RATE:
        return np.zeros(0, np.int16), "unreadable"
    waveform = resample(_to_float(raw.waveform), raw.rate, audio.sample_rate)
    return _to_int16(waveform), raw.problem if raw.problem == "truncated" else "resampled"


def _share_at_full_scale(pcm: Int16) -> float:
    return float(np.mean((pcm >= FULL_SCALE - 1) | (pcm == -FULL_SCALE)))


def _to_int16(waveform: Int16 | Float32) -> Int16:
    if waveform.dtype == np.int16:
        return waveform.astype(np.int16, copy=False)
    scaled: Float32 = np.rint(_to_float(waveform) * FULL_SCALE)
    return scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _to_float(waveform: Int16 | Float32) -> Float32:
    if waveform.dtype == np.int16:
        return waveform.astype(np.float32) / np.float32(FULL_SCALE)
    return np.nan_to_num(waveform.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)


class _Wav(NamedTuple):
    """What the chunks of a RIFF file say."""

    encoding: int  # 1: integer PCM
    channels: int
    rate: int
    bits: int
    start: int  # of the samples, in bytes
    end: int
    cut: bool  # the file ends before the samples do


def _parse_riff(data: bytes) -> _Wav | None:
    """Walk the chunks up to the samples; None where this is no RIFF with a format and samples."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, fmt = 12, None
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and size >= 16 and at + size <= len(data):
            encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if encoding == 0xFFFE and size >= 26:  # WAVE_FORMAT_EXTENSIBLE: the encoding is in its GUID
                (encoding,) = struct.unpack_from("<H", data, at + 24)
            fmt = (encoding, channels, rate, bits)
        elif name == b"data" and fmt is not None:
            end = min(at + size, len(data))
            return _Wav(*fmt, at, end, cut=end < at + size and size < _UNKNOWN_BYTES)
        at += size + size % 2  # chunks begin at even bytes
    return None


def _pcm16(data: bytes) -> _Raw | None:
    """The fast path, for what nearly all clips are; None for everything else."""
    wav = _parse_riff(data)
    if wav is None or (wav.encoding, wav.channels, wav.bits) != (1, 1, 16):
        return None
    frames = (wav.end - wav.start) // 2
    pcm = np.frombuffer(data, "<i2", frames, wav.start)
    return _Raw(pcm, wav.rate, "truncated" if wav.cut and frames else "")


def _libsndfile(data: bytes) -> _Raw:
    """Everything else. What a header claims is not believed: samples are read until they end."""
    nothing = np.zeros(0, np.float32)
    if not data:
        return _Raw(nothing, MAX_RATE, "empty")
    blocks: list[Float32] = []
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, claimed = file.samplerate, file.frames
            if file.channels > MAX_CHANNELS or not MIN_RATE <= rate <= MAX_RATE:
                return _Raw(nothing, rate, "unreadable")
            while len(blocks) * _BLOCK_FRAMES < min(MAX_SECONDS * rate, MAX_FRAMES):
                block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
                blocks.append(block.mean(axis=1) if block.shape[1] > 1 else block[:, 0])
                if len(block) < _BLOCK_FRAMES:
                    break
            else:
                return _Raw(nothing, rate, "unreadable")
    except (soundfile.SoundFileError, TypeError, ValueError, OverflowError):
        if not any(map(len, blocks)):
            return _Raw(nothing, MAX_RATE, "unreadable")
        return _Raw(np.concatenate(blocks), rate, "truncated")
    waveform = np.concatenate(blocks)
    wav = _parse_riff(data)
    cut = wav.cut if wav is not None else len(waveform) < claimed
    return _Raw(waveform, rate, "truncated" if cut and len(waveform) else "converted")


# --- resampling ------------------------------------------------------------------------------


def resample(waveform: Float32, source: int, target: int) -> Float32:
    """Band-limited resampling with a windowed sinc, one filter for each phase of the output.

    See https://ccrma.stanford.edu/~jos/resample/. Pass band to 0.9 of the lower Nyquist frequency.

    Args:
        waveform: (samples,) float32.
        source: its rate in Hz.
        target: rate wanted, in Hz.

    Returns:
        (ceil(samples * target / source),) float32.
    """
    divisor = math.gcd(source, target)
    up, down = target // divisor, source // divisor
    filters = _phase_filters(up, down)
    taps = filters.shape[1]
    length = -(-len(waveform) * up // down)
    padded = np.pad(waveform, (taps // 2, taps))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    out = np.empty(length, np.float32)
    for phase in range(min(up, length)):
        # Output phase + k * up lies at input (phase * down) / up + k * down.
        rows = windows[phase * down // up :: down]
        count = len(range(phase, length, up))
        out[phase::up] = rows[:count] @ filters[phase]
    return out


@lru_cache(maxsize=8)
def _phase_filters(up: int, down: int) -> Float32:
    """(up, taps): row p is the sinc around the output at p * down / up, taps // 2 samples before on."""
    cutoff = _ROLLOFF * min(1.0, up / down)  # of the source's Nyquist frequency
    half = math.ceil(_ZEROS / cutoff)
    filters = np.empty((up, 2 * half + 1), np.float32)
    taps = np.arange(-half, half + 1)
    for phase in range(up):
        t = (taps - phase * down % up / up) * cutoff
        window = np.i0(_BETA * np.sqrt(np.clip(1 - (t / _ZEROS) ** 2, 0, None))) / np.i0(_BETA)
        filters[phase] = cutoff * np.sinc(t) * window
    return filters
