"""Decode audio bytes to mono int16 at the competition's sample rate.

Bad content never raises: the clip carries flags instead. Several may apply; this list runs from the most to
the least serious, and the first four are also called its problem, which `data.leave_out` may exclude:

    empty       there are no bytes, or no samples
    unreadable  no decoder reads the file, or its rate, channels or length are out of bounds; zeros
    truncated   the file ends in the middle, or before its header says; the samples that exist are kept
    silent      all samples have the same value
    damaged     parts are damaged, as the message says: what the decoder printed, samples that are NaN ...
    antiphase   the channels cancel each other; the loudest one is taken instead of their mean
    rescaled    floating-point samples of the size of integers; divided by 2^15, 2^23 or 2^31
    resampled   the file has another sample rate
    converted   the samples are not 16 bit, or PyAV has read them, or there are several channels, which are
                averaged; Ogg and MP3 of one channel have no samples of their own and are not converted
    clipped     at least 0.1 % of the samples are at full scale
    long        longer than a clip, or than audio.max_windows, by more than 10 ms; cut at the end
    short       shorter than a clip by more than 10 ms; padded with zeros

Files at the competition's rate are not resampled; their int16 samples stay as they are. Others go through
soxr (the SoX resampler) at its quality HQ: the pass band, level within 0.01 dB, ends at 0.91 of the lower
Nyquist frequency, and aliases are below -120 dB. Floating-point samples become int16 by rint(x * 32768),
ties to even, clipped to -32768 ... 32767.
"""

import hashlib
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kagglekit.config import Audio
from kagglekit.data.bounds import OutOfBoundsError, check_format, check_length
from kagglekit.data.samples import FULL_SCALE, Int16, blocks_of, resample, to_int16
from kagglekit.data.sound_file import Sound, read_sound
from kagglekit.data.windows import split_windows

CLIPPED_SHARE = 0.001
LENGTH_TOLERANCE = 0.01  # s; encoders add or drop a few samples, up to a frame of MP3 or Vorbis
PROBLEMS = ("empty", "unreadable", "duplicate", "truncated", "silent")
"""Flags that data.leave_out may exclude, the most serious first. Duplicates are found by ingest."""
FLAGS = (*PROBLEMS, "damaged", "antiphase", "rescaled", "resampled", "converted", "clipped", "long", "short")


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
    flags: tuple[str, ...]
    """Names from the list above, the most serious first."""
    rate: int
    """The file's own sample rate in Hz; 0 if it cannot be read."""
    message: str
    """What the decoder said, or the format of a file that it cannot read: "AAC in .m4a"; else ""."""

    @property
    def problem(self) -> str:
        """The most serious of `PROBLEMS` that applies, or ""."""
        return problem_of(self.flags)


def problem_of(flags: Iterable[str]) -> str:
    """Return the most serious of `PROBLEMS` among flags, or ""."""
    return next((name for name in PROBLEMS if name in flags), "")


def sort_flags(flags: Iterable[str]) -> tuple[str, ...]:
    """Sort flags from the most to the least serious."""
    return tuple(sorted(flags, key=FLAGS.index))


def decode(data: bytes, audio: Audio) -> Clip:
    """Decode one clip from the bytes of a file: wav, FLAC, Ogg, MP3 ..., with kagglekit[av] AAC, AMR ..."""
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return clip_of(*decode_recording(data, audio), sha1, audio)


def clip_of(pcm: Int16, sound: Sound, sha1: str, audio: Audio) -> Clip:
    """Cut, pad and describe a decoded recording, or a part of one.

    Args:
        pcm: (samples,) at audio.sample_rate.
        sound: what reading the file has shown.
        sha1: of the file, and of the part.
    """
    samples, rows = len(pcm), padded(pcm, audio)
    if not samples:
        known = {"empty", "unreadable"} & {*sound.flags}  # else it is a part behind the recording's end
        flags = sort_flags({*sound.flags} if known else {*sound.flags, "empty"})
        return Clip(rows, 0, 0.0, 0.0, sha1, flags, sound.rate, sound.message)
    rms = math.sqrt(sum(map(_energy, blocks_of(pcm))) / samples) / FULL_SCALE
    low, high = int(pcm.min()), int(pcm.max())
    flags = sort_flags({*sound.flags, *_flags(pcm, low, high, audio)})
    return Clip(rows, samples, rms, max(-low, high) / FULL_SCALE, sha1, flags, sound.rate, sound.message)


def padded(pcm: Int16, audio: Audio) -> Int16:
    """Cut a recording, or a part of one, to the length of a clip, or pad it with zeros; `Clip.rows`."""
    samples = len(pcm)
    rows = pcm[: audio.samples]
    if samples < audio.samples:
        rows = np.zeros(audio.samples, np.int16)
        rows[:samples] = pcm
    if audio.longer == "windows":
        return split_windows(pcm, audio) if samples > audio.samples else rows[None]
    return rows


def _flags(pcm: Int16, low: int, high: int, audio: Audio) -> list[str]:
    """Return the flags that the samples show: (samples,), of which `low` and `high` are the extremes."""
    flags = []
    if low == high:
        flags.append("silent")
    elif max(-low, high) >= FULL_SCALE - 1 and _share_at_full_scale(pcm) >= CLIPPED_SHARE:
        flags.append("clipped")
    return flags + length_flags(len(pcm), audio)


def length_flags(samples: int, audio: Audio) -> list[str]:
    """Return `long` or `short` where a length at audio.sample_rate differs by more than the tolerance."""
    most = LENGTH_TOLERANCE * audio.sample_rate
    if samples - audio.max_samples > most:
        return ["long"]
    return ["short"] if audio.samples - samples > most else []


def decode_recording(data: bytes, audio: Audio) -> tuple[Int16, Sound]:
    """Return (samples,) at the target rate, and the sound with all flags that reading the file has shown."""
    return at_rate_of(audio, read_sound(data))


def at_rate_of(audio: Audio, sound: Sound) -> tuple[Int16, Sound]:
    """Return the samples of a sound at the rate of `audio`, as `decode_recording`."""
    if not len(sound.waveform) or sound.rate == audio.sample_rate:
        return to_int16(sound.waveform), sound
    try:
        check_format(sound.rate, 1)
        check_length(len(sound.waveform) * audio.sample_rate // sound.rate, audio.sample_rate)
    except OutOfBoundsError as error:
        return np.zeros(0, np.int16), sound._replace(flags=("unreadable",), message=str(error))
    pcm = to_int16(resample(sound.waveform, sound.rate, audio.sample_rate))
    flags = (*sound.flags, "resampled") if len(pcm) else ("empty",)  # a few samples at a high rate
    return pcm, sound._replace(flags=flags)


def _energy(pcm: Int16) -> float:
    scaled = pcm.astype(np.float32)
    return float(scaled @ scaled)


def _share_at_full_scale(pcm: Int16) -> float:
    return float(np.mean((pcm >= FULL_SCALE - 1) | (pcm == -FULL_SCALE)))
