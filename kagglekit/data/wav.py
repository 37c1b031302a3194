"""Decode audio bytes to mono int16 at the competition's sample rate.

Bad content never raises: the clip carries the name of its problem instead. If several apply, it carries
the first of this list, which runs from the most to the least serious:

    empty       there are no bytes, or no samples
    unreadable  libsndfile cannot decode the file, or its sample rate or channel count is absurd; zeros
    truncated   the file ends before its header says; the samples that exist are kept
    silent      all samples have the same value
    resampled   the file has another sample rate
    converted   the file is not 16-bit PCM wav, or has several channels, which are averaged
    clipped     at least 0.1 % of the samples are at full scale
    long        more samples than a clip, or than audio.max_windows, can hold; cut at the end
    short       fewer samples than a clip; padded with zeros (no problem with audio.longer: windows)

Files at the competition's rate are not resampled; their int16 samples stay as they are. Others go through
soxr (the SoX resampler) at its quality HQ: the pass band, level within 0.01 dB, ends at 0.91 of the lower
Nyquist frequency, and aliases are below -120 dB. Floating-point samples become int16 by rint(x * 32768),
ties to even, clipped to -32768 ... 32767.
"""

import hashlib
import io
import math
import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from kagglekit.config import Audio

Int16 = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]

FULL_SCALE = 32768
CLIPPED_SHARE = 0.001
MIN_RATE, MAX_RATE = 1000, 192_000  # Hz
MAX_CHANNELS = 16
MAX_SECONDS = 3600  # a kilobyte of FLAC can expand to hours
MAX_FRAMES = 2**26  # 256 MB as float32; an hour at 16 kHz is less
_UNKNOWN_BYTES = 0x7FFF_F000  # or more: the size that a writer to a pipe claims, as it does not know it
_BLOCK_FRAMES = 1024  # a quarter of a FLAC frame, so that the frames before damaged ones are kept


class Clip(NamedTuple):
    """One decoded clip."""

    rows: Int16
    """(audio.samples,), cut or zero-padded; with audio.longer: windows, (windows, audio.samples)."""
    samples: int
    """Length at the target rate, before cutting and padding."""
    rms: float
    """RMS before padding; full scale is 1."""
    peak: float
    """Largest magnitude; full scale is 1."""
    sha1: str
    """SHA-1 of the file, hexadecimal."""
    problem: str
    """A name from the list above, or ""."""


class _Raw(NamedTuple):
    """A file's samples at its own sample rate, channels averaged."""

    waveform: Int16 | Float32
    """(frames,) int16, or float32 in [-1, 1)."""
    rate: int
    problem: str


def decode(data: bytes, audio: Audio) -> Clip:
    """Decode one clip from the bytes of a file in any format that libsndfile reads: wav, FLAC, Ogg ..."""
    pcm, problem = _decode(data, audio)
    samples = len(pcm)
    rows = pcm[: audio.samples]
    if samples < audio.samples:
        rows = np.zeros(audio.samples, np.int16)
        rows[:samples] = pcm
    if audio.longer == "windows":
        rows = split_windows(pcm, audio) if samples > audio.samples else rows[None]
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if not samples:
        return Clip(rows, 0, 0.0, 0.0, sha1, problem)
    low, high = int(pcm.min()), int(pcm.max())
    if low == high and problem != "truncated":
        problem = "silent"
    peak = max(-low, high)
    if not problem and peak >= FULL_SCALE - 1 and _share_at_full_scale(pcm) >= CLIPPED_SHARE:
        problem = "clipped"
    if not problem and samples > audio.max_samples:
        problem = "long"
    if not problem and samples < audio.samples and audio.longer == "cut":
        problem = "short"
    scaled = pcm.astype(np.float32)
    rms = math.sqrt(float(scaled @ scaled) / samples) / FULL_SCALE
    return Clip(rows, samples, rms, peak / FULL_SCALE, sha1, problem)


def split_windows(pcm: Int16, audio: Audio) -> Int16:
    """Split a clip longer than a window into (windows, audio.samples); the last window ends with the clip."""
    starts = _window_starts(min(len(pcm), audio.max_samples), audio)
    return np.stack([pcm[start : start + audio.samples] for start in starts])


def join_windows(rows: Int16, samples: int, audio: Audio) -> Int16:
    """Undo `split_windows`, as far as the clip was kept: (windows, audio.samples) to (samples or fewer,)."""
    kept = max(min(samples, audio.max_samples), audio.samples)  # shorter clips are padded
    pcm = np.empty(kept, np.int16)
    for start, row in zip(_window_starts(kept, audio), rows, strict=True):
        pcm[start : start + audio.samples] = row
    return pcm


def _window_starts(samples: int, audio: Audio) -> list[int]:
    last = samples - audio.samples
    return [*range(0, last, audio.hop_samples), last]


def decode_whole(data: bytes, audio: Audio) -> Int16:
    """Decode a recording without cutting or padding it: (samples,), empty if it cannot be read."""
    return _decode(data, audio)[0]


def _decode(data: bytes, audio: Audio) -> tuple[Int16, str]:
    """Return (samples,) at the target rate, and the problem if reading the file has shown one."""
    raw = _pcm16(data) or _libsndfile(data)
    if not len(raw.waveform):
        return np.zeros(0, np.int16), raw.problem or "empty"
    if raw.rate == audio.sample_rate:
        return _to_int16(raw.waveform), raw.problem
    if not MIN_RATE <= raw.rate <= MAX_RATE:
        return np.zeros(0, np.int16), "unreadable"
    waveform = soxr.resample(_to_float(raw.waveform), raw.rate, audio.sample_rate)
    if not len(waveform):  # a few samples at a high rate
        return np.zeros(0, np.int16), "empty"
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
    """The header of a RIFF file."""

    encoding: int  # 1: integer PCM
    channels: int
    rate: int
    bits: int
    start: int  # byte offset of the first sample
    end: int  # byte offset behind the last sample
    cut: bool  # the file is shorter than its header says


def _parse_riff(data: bytes) -> _Wav | None:
    """Read the chunks up to the samples; return None unless `data` is RIFF with a format and samples."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, fmt = 12, None
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and size >= 16 and at + size <= len(data):
            encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if encoding == 0xFFFE and size >= 26:  # WAVE_FORMAT_EXTENSIBLE keeps the encoding in a GUID
                (encoding,) = struct.unpack_from("<H", data, at + 24)
            fmt = (encoding, channels, rate, bits)
        elif name == b"data" and fmt is not None:
            end = min(at + size, len(data))
            return _Wav(*fmt, at, end, cut=end < at + size and size < _UNKNOWN_BYTES)
        at += size + size % 2  # chunks start at even offsets
    return None


def _pcm16(data: bytes) -> _Raw | None:
    """Read 16-bit mono PCM, which nearly all clips are, without libsndfile; return None for other files."""
    wav = _parse_riff(data)
    if wav is None or (wav.encoding, wav.channels, wav.bits) != (1, 1, 16):
        return None
    frames = (wav.end - wav.start) // 2
    pcm = np.frombuffer(data, "<i2", frames, wav.start)
    return _Raw(pcm, wav.rate, "truncated" if wav.cut and frames else "")


def _libsndfile(data: bytes) -> _Raw:
    """Read any other file, block by block to its end, whatever length its header claims."""
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
