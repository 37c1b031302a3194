"""Read the samples of an audio file, in any format that libsndfile or an installed PyAV reads."""

import functools
import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from kagglekit.data import bounds, decoder_messages, with_ffmpeg
from kagglekit.data.bounds import OutOfBoundsError
from kagglekit.data.kinds import kind_of

Int16 = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]

_UNKNOWN_BYTES = 0x7FFF_F000  # or more: the size that a writer to a pipe claims, as it does not know it
_MP3_IN_WAV = (0x50, 0x55)
_AS_INT16 = ("PCM_16", "DPCM_16", "ALAC_16", "VORBIS", "OPUS")
QUIET = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"caff")  # formats whose decoders print nothing
# soundfile seeks after every read, which is slow in Ogg and MP3, so blocks are large. Where one fails, the
# file is read again in small ones, a quarter of a FLAC frame, to keep the frames before damaged ones.
_BLOCK_SAMPLES = 2**20
_SMALL_BLOCK_SAMPLES = 1024
_ERRORS = (soundfile.SoundFileError, TypeError, ValueError, OverflowError)


class Sound(NamedTuple):
    """A file's samples at its own sample rate, channels averaged."""

    waveform: Int16 | Float32
    """(frames,) int16, or float32 in [-1, 1)."""
    rate: int
    """In Hz; 0 if it is unknown."""
    flags: tuple[str, ...] = ()
    """Of kagglekit.data.decode: empty, unreadable, truncated, damaged, converted."""
    message: str = ""
    """What the decoder said, or the format of a file that cannot be read."""


def read_sound(data: bytes) -> Sound:
    """Read a file from its bytes, whatever its name or its header claims."""
    if not data:
        return _nothing("empty")
    wav = parse_riff(data)
    if wav is not None:
        if (wav.encoding, wav.channels, wav.bits) == (1, 1, 16):
            return _pcm16(data, wav)
        if wav.encoding in _MP3_IN_WAV:
            data, wav = data[wav.start : wav.end], None
    try:
        if data.startswith(QUIET):
            return _libsndfile(data, wav)
        sound, message = decoder_messages.catch(lambda: _libsndfile(data, None))
        if message:
            sound = sound._replace(flags=(*sound.flags, "damaged"), message=message)
        return sound
    except OutOfBoundsError as error:
        return _nothing("unreadable", str(error))
    except _ERRORS:
        return _ffmpeg(data)


def _nothing(flag: str, message: str = "", rate: int = 0) -> Sound:
    return Sound(np.zeros(0, np.float32), rate, (flag,), message)


class _Wav(NamedTuple):
    """The header of a RIFF file."""

    encoding: int  # 1: integer PCM
    channels: int
    rate: int
    bits: int
    start: int  # byte offset of the first sample
    end: int  # byte offset behind the last sample
    cut: bool  # the file is shorter than its header says


def parse_riff(data: bytes) -> _Wav | None:
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


def _pcm16(data: bytes, wav: _Wav) -> Sound:
    """Read 16-bit mono PCM, which nearly all clips are, without libsndfile."""
    frames = (wav.end - wav.start) // 2
    if not frames:
        return _nothing("empty", rate=wav.rate)
    pcm = np.frombuffer(data, "<i2", frames, wav.start)
    return Sound(pcm, wav.rate, ("truncated",) if wav.cut else ())


def _libsndfile(data: bytes, wav: _Wav | None) -> Sound:
    """Read to the end of the file, or to the first damage, whatever length the header claims."""
    try:
        return _read_blocks(data, wav, _BLOCK_SAMPLES)
    except _ERRORS:
        return _read_blocks(data, wav, _SMALL_BLOCK_SAMPLES, keep=True)


def _read_blocks(data: bytes, wav: _Wav | None, samples: int, *, keep: bool = False) -> Sound:
    """Read blocks of so many samples; `keep` those before the first one that fails."""
    blocks: list[Float32] = []
    cut = False
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        rate, claimed, plain = file.samplerate, file.frames, is_plain(file)
        bounds.check_format(rate, file.channels)
        try:
            for block in _blocks(file, samples // file.channels):
                blocks.append(block)
        except _ERRORS:
            if not keep or not any(map(len, blocks)):
                raise
            cut = True
    waveform = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if not len(waveform):
        return _nothing("empty", rate=rate)
    cut = cut or (wav.cut if wav is not None else len(waveform) < claimed)
    return Sound(waveform, rate, ("truncated",) * cut + ("converted",) * (not plain))


def is_plain(file: soundfile.SoundFile) -> bool:
    """Tell whether int16 loses nothing: one channel, of 16 bits or of a format that keeps no samples."""
    return file.channels == 1 and (file.subtype in _AS_INT16 or file.subtype.startswith("MPEG"))


def _blocks(file: soundfile.SoundFile, size: int) -> Iterator[Float32]:
    """Yield the rest of the file, channels averaged, as (at most size,) float32."""
    frames = 0
    while True:
        block = file.read(size, dtype="float32", always_2d=True)
        frames += len(block)
        bounds.check_length(frames, file.samplerate)
        yield block[:, 0] if file.channels == 1 else functools.reduce(np.add, block.T) / file.channels
        if len(block) < size:
            return


def _ffmpeg(data: bytes) -> Sound:
    """Read what libsndfile does not, by PyAV where it is installed."""
    kind = kind_of(data)
    if kind is None:
        return _nothing("unreadable")
    damaged = f"{kind.name}, damaged" if kind.demuxer else kind.name
    if not kind.demuxer or not with_ffmpeg.is_installed():
        return _nothing("unreadable", damaged if kind.known else kind.name)
    try:
        waveform, rate, cut = with_ffmpeg.read(data, kind.demuxer)
    except OutOfBoundsError as error:
        return _nothing("unreadable", f"{kind.name}, {error}")
    except ValueError:
        return _nothing("unreadable", damaged)
    if not len(waveform):
        return _nothing("empty", kind.name, rate)
    return Sound(waveform, rate, ("truncated", "converted") if cut else ("converted",))
