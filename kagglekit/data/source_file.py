"""Look at an audio file without decoding it, and decode a part of it."""

import functools
import hashlib
import io
import math
import threading
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr

from kagglekit.config import Audio
from kagglekit.data import bounds, decoder_messages
from kagglekit.data.containers import true_container
from kagglekit.data.containers.ogg import before_last_page, one_vorbis
from kagglekit.data.decode import Clip, clip_of, decode_recording, length_flags, sort_flags
from kagglekit.data.samples import FULL_SCALE, Float32, Int16, join, scale_to_int16
from kagglekit.data.sound_file import ERRORS, FLOATS, QUIET, is_plain

_PAD = 4096  # samples on either side of a window, more than soxr's filter reaches


class SourceFile(NamedTuple):
    """An audio file, and what its header says."""

    content: bytes
    """The file, with a true header; where it can only be decoded as a whole, FLAC of the decoded samples;
    b"" if unreadable."""
    samples: int
    """Length at the competition's sample rate."""
    sha1: str
    """SHA-1 of the original file, hexadecimal."""
    flags: tuple[str, ...]
    """As kagglekit.data.decode; `silent`, `clipped`, `antiphase` and damage in the middle of a file are not
    looked for."""
    rate: int
    """The original file's own sample rate in Hz."""
    message: str
    """As kagglekit.data.decode."""
    content_rate: int
    """Sample rate of `content` in Hz."""


class _Header(NamedTuple):
    rate: int
    frames: int
    plain: bool  # one channel, and no samples of other than 16 bits


def look(data: bytes, audio: Audio, false: Collection[str] = ()) -> SourceFile:
    """Read a file's header; decode the file only if it is damaged, or in a format without seeking.

    Args:
        false: SHA-1 of files whose headers are known to be wrong, so that they are decoded.
    """
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if sha1 in false:
        return _decoded(data, sha1, audio)
    container = true_container(data)
    content = container.parts[0]
    header = None
    if len(container.parts) == 1 and not container.cut and not container.message:
        header = _vorbis_header(content) or _header(content)
    if header is None:
        return _decoded(data, sha1, audio)
    samples = round(header.frames * audio.sample_rate / header.rate)
    flags = [] if header.plain else ["converted"]
    if header.rate != audio.sample_rate:
        flags.append("resampled")
    flags += length_flags(samples, audio)
    return SourceFile(content, samples, sha1, sort_flags(flags), header.rate, "", header.rate)


def _decoded(data: bytes, sha1: str, audio: Audio) -> SourceFile:
    """Decode a file, and encode its samples as FLAC, from which windows can be read."""
    pcm, sound = decode_recording(data, audio)
    clip = clip_of(pcm, sound, sha1, audio)
    file = io.BytesIO()
    if len(pcm):
        soundfile.write(file, pcm, audio.sample_rate, format="FLAC", subtype="PCM_16")
    return SourceFile(
        file.getvalue(), len(pcm), sha1, clip.flags, sound.rate, sound.message, audio.sample_rate
    )


def _vorbis_header(data: bytes) -> _Header | None:
    """Read rate and length of one whole Ogg Vorbis stream."""
    vorbis = one_vorbis(data)
    if vorbis is None:
        return None
    try:
        bounds.check_format(vorbis.rate, vorbis.channels)
        bounds.check_length(vorbis.frames, vorbis.rate, whole=False)
    except bounds.OutOfBoundsError:
        return None
    return _Header(vorbis.rate, vorbis.frames, plain=vorbis.channels == 1)


def _header(data: bytes) -> _Header | None:
    """Read rate and length by libsndfile; None unless the last sample that the header claims is there.

    None also for floating-point samples, of which all must be read to know their scale.
    """

    def read() -> _Header:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            bounds.check_format(file.samplerate, file.channels)
            bounds.check_length(file.frames, file.samplerate, whole=False)
            if file.subtype in FLOATS:
                raise ValueError("its samples may have any size")
            file.seek(file.frames - 1)
            if not len(file.read(1, dtype="float32")):
                raise ValueError("it is cut")
            return _Header(file.samplerate, file.frames, is_plain(file))

    try:
        header, message = (read(), "") if data.startswith(QUIET) else decoder_messages.catch(read)
    except (*ERRORS, bounds.OutOfBoundsError):
        return None
    return None if message else header


def clip_of_part(file: SourceFile, start: int, stop: int | None, sha1: str, audio: Audio) -> Clip:
    """Describe a part of a recording as kagglekit.data.decode.clip_of does, without samples and loudness.

    Args:
        start: first sample at audio.sample_rate, negative if the part begins with silence.
        stop: the sample behind the last one; None: the end of the recording.
        sha1: of the file, and of the part.
    """
    end = file.samples if stop is None else min(stop, file.samples)
    samples = max(end - start, 0) if file.samples else 0
    flags = set(file.flags) - {"long", "short"}
    if not samples:
        flags |= set() if flags & {"empty", "unreadable"} else {"empty"}
    else:
        flags.update(length_flags(samples, audio))
    nothing = np.empty((0, audio.samples), np.int16)
    return Clip(nothing, samples, math.nan, math.nan, sha1, sort_flags(flags), file.rate, file.message)


class _Scratch(threading.local):
    """A thread's memory for decoded samples: new memory for each window would cost half of its decoding."""

    block = np.empty(0, np.float32)

    def take(self, frames: int, channels: int) -> Float32:
        """Return (frames, channels) whose content is arbitrary."""
        if len(self.block) < frames * channels:
            self.block = np.empty(frames * channels, np.float32)
        return self.block[: frames * channels].reshape(frames, channels)


_SCRATCH = _Scratch()


class _View:
    """A file in memory that is read without copying it: a window is a small part of an hour."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max((0, self._at, len(self._content))[whence] + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, out: Any) -> int:
        part = self._content[self._at : self._at + len(out)]
        out[: len(part)] = part
        self._at += len(part)
        return len(part)


def read_part(content: memoryview, rate: int, audio: Audio, start: int, out: Int16 | Float32) -> bool:
    """Decode a part of a file into `out`, (samples,) at audio.sample_rate, int16 or float32 in [-1, 1).

    What lies before or behind the file is zero. A file that is damaged, or ends before its header says, is
    decoded from its beginning; return whether it is whole.

    Args:
        rate: the file's own, in Hz.
        start: the part's first sample, counted at audio.sample_rate.
    """
    before = min(max(-start, 0), len(out))
    out[:before] = 0
    wanted, first = out[before:], max(start, 0)
    if not content or not len(wanted):
        wanted[:] = 0
        return True
    is_whole = True
    read = functools.partial(_read_part, content, rate, audio.sample_rate, first, wanted)
    try:
        if bytes(content[:4]) in QUIET:
            read()
        else:
            decoder_messages.catch(read)
    except ERRORS:
        is_whole = False
        _fill(wanted, decode_recording(bytes(content), audio)[0][first : first + len(wanted)])
    if out.dtype == np.float32:
        np.divide(wanted, np.float32(FULL_SCALE), out=wanted)
    return is_whole


def _fill(out: Int16 | Float32, part: Int16 | Float32) -> None:
    """Copy `part`, whole numbers in the range of int16, and fill what it leaves with zeros."""
    out[: len(part)] = part[: len(out)]
    out[len(part) :] = 0


def _read_part(content: memoryview, rate: int, target: int, start: int, out: Int16 | Float32) -> None:
    # soxr maps whole periods of the two rates onto each other, so the part begins with one
    stop, common = start + len(out), int(np.gcd(rate, target))
    period, target_period = rate // common, target // common
    pad = 0 if rate == target else -(-_PAD * target // rate)
    first = max(start - pad, 0) // target_period
    if bytes(content[:4]) == b"OggS":
        first = min(first, before_last_page(content) * target // rate // target_period)
    begin = first * period
    with soundfile.SoundFile(_View(content)) as file:
        frames = min(-(-(stop + pad) * rate // target), file.frames) - begin
        if frames <= 0:
            out[:] = 0
            return
        file.seek(begin)
        block = file.read(out=_SCRATCH.take(frames, file.channels))
    if len(block) < frames:
        raise ValueError("it ends before its header says")
    waveform = join(block)
    if not math.isfinite(float(waveform @ waveform)):
        waveform = np.nan_to_num(waveform, nan=0.0, posinf=1.0, neginf=-1.0)
    if rate != target:
        waveform = soxr.resample(waveform, rate, target)
    waveform = waveform[start - first * target_period :]
    scale_to_int16(waveform)
    _fill(out, waveform)
