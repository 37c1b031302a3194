"""Read the samples of an audio file, in any format that libsndfile or an installed PyAV reads."""

import contextlib
import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import soundfile

from kagglekit.data import bounds, decoder_messages, with_ffmpeg
from kagglekit.data.bounds import OutOfBoundsError
from kagglekit.data.containers import Wav, parse_wav, true_container, whole_frames, without_tags
from kagglekit.data.kinds import kind_of
from kagglekit.data.samples import Channels, Float32, Int16, as_meant, concatenate, resample

_AS_INT16 = ("PCM_16", "DPCM_16", "ALAC_16", "VORBIS", "OPUS")
_GUESSED = ("MPEG_LAYER_I", "MPEG_LAYER_II")  # libsndfile tells a length that is none
FLOATS = ("FLOAT", "DOUBLE")
"""Encodings whose samples may be of any size."""
DAMAGED = ", damaged"
"""Follows the format in the message of a file that no decoder can read, though one reads the format."""
QUIET = (b"RIFF", b"RIFX", b"fLaC", b"OggS", b"FORM", b"caff")
"""What files begin with whose decoders print nothing."""
# soundfile seeks after every read, which is slow in Ogg and MP3, so blocks are large. Where one fails, the
# file is read again in small ones, a quarter of a FLAC frame, to keep the frames before damaged ones.
_BLOCK_SAMPLES = 2**20
_SMALL_BLOCK_SAMPLES = 1024
_UNKNOWN_FRAMES = 2**62  # or more, where libsndfile does not know the length
ERRORS = (soundfile.SoundFileError, TypeError, ValueError, OverflowError)
"""What libsndfile and soundfile raise for a file that is damaged, or none of theirs."""


class Sound(NamedTuple):
    """A file's samples at its own sample rate, channels averaged."""

    waveform: Int16 | Float32
    """(frames,) int16, or float32 in [-1, 1)."""
    rate: int
    """In Hz; 0 if it is unknown."""
    flags: tuple[str, ...] = ()
    """Of kagglekit.data.decode: empty, unreadable, truncated, damaged, antiphase, rescaled, converted."""
    message: str = ""
    """What the decoder said, or the format of a file that cannot be read."""

    def adding(self, *flags: str, message: str = "") -> "Sound":
        """Return the sound with further flags, and with this message unless it has one."""
        return self._replace(
            flags=tuple(dict.fromkeys((*self.flags, *flags))), message=self.message or message
        )


def read_sound(data: bytes) -> Sound:
    """Read a file from its bytes, whatever its name or its header claims."""
    if not data:
        return _nothing("empty")
    data = without_tags(data)
    wav = parse_wav(data)
    if wav is not None and wav.is_int16:
        return _pcm16(data, wav)
    container = true_container(data)
    sound = _one_after_the_other([_read(part) for part in container.parts])
    if not len(sound.waveform):
        return sound
    if container.message:
        sound = sound.adding("damaged", message=container.message)
    return sound.adding("truncated") if container.cut else sound


def _nothing(flag: str, message: str = "", rate: int = 0) -> Sound:
    return Sound(np.zeros(0, np.float32), rate, (flag,), message)


def _one_after_the_other(sounds: list[Sound]) -> Sound:
    """Join the recordings of a file, at the sample rate of the first."""
    audible = [sound for sound in sounds if len(sound.waveform)]
    if len(sounds) == 1 or not audible:
        return sounds[0]
    rate = audible[0].rate
    try:
        for sound in audible:
            bounds.check_format(sound.rate, 1)
        bounds.check_length(sum(len(sound.waveform) * rate // sound.rate for sound in audible), rate)
    except OutOfBoundsError as error:
        return _nothing("unreadable", str(error))
    waveforms = [
        sound.waveform if sound.rate == rate else resample(sound.waveform, sound.rate, rate)
        for sound in audible
    ]
    message = f"{len(audible)} recordings after each other"
    joined = Sound(np.concatenate(waveforms, dtype=np.float32), rate, message=message)
    for sound in audible:
        joined = joined.adding(*sound.flags)
    if lost := len(sounds) - len(audible):
        message = f"{lost} of its {len(sounds)} recordings cannot be read"
        return joined.adding("damaged")._replace(message=message)
    return joined


def _pcm16(data: bytes, wav: Wav) -> Sound:
    """Read 16-bit mono PCM, which nearly all clips are, without libsndfile."""
    frames = (wav.end - wav.start) // 2
    if not frames:
        return _nothing("empty", rate=wav.rate)
    sound = Sound(np.frombuffer(data, "<i2", frames, wav.start), wav.rate)
    sound = sound.adding("damaged", message=wav.message) if wav.message else sound
    return sound.adding("truncated") if wav.cut else sound


def _read(data: bytes) -> Sound:
    """Read a file with a true header by libsndfile, else by PyAV."""
    try:
        if data.startswith(QUIET):
            return _libsndfile(data)
        sound, message = decoder_messages.catch(lambda: _libsndfile(data))
        return sound.adding("damaged", message=message) if message else sound
    except OutOfBoundsError as error:
        return _nothing("unreadable", str(error))
    except ERRORS:
        return _ffmpeg(data)


def _libsndfile(data: bytes) -> Sound:
    """Read to the end of the file, or to the first damage."""
    with contextlib.suppress(*ERRORS):
        return _read_blocks(data, _BLOCK_SAMPLES)
    if data.startswith(b"fLaC"):
        (data,), is_cut, _ = whole_frames(data)
        with contextlib.suppress(*ERRORS):
            sound = _read_blocks(data, _BLOCK_SAMPLES)
            return sound.adding("truncated") if is_cut else sound
    return _read_blocks(data, _SMALL_BLOCK_SAMPLES, keep=True)


def _read_blocks(data: bytes, samples: int, *, keep: bool = False, channel: int | None = None) -> Sound:
    """Read blocks of so many samples.

    Args:
        keep: the blocks before the first one that fails.
        channel: the one to read; by default the mean of all, or the loudest if they cancel each other.
    """
    blocks: list[Float32] = []
    cut = False
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        rate, claimed, plain, subtype = file.samplerate, file.frames, is_plain(file), file.subtype
        bounds.check_format(rate, file.channels)
        bounds.check_length(claimed if claimed < _UNKNOWN_FRAMES else 0, rate)
        channels = Channels(file.channels, channel)
        try:
            for block in _blocks(file, samples // file.channels):
                blocks.append(channels.join(block))
        except ERRORS:
            if not keep or not any(map(len, blocks)):
                raise
            cut = True
    if channels.loudest_if_cancelled is not None:
        again = _read_blocks(data, samples, keep=keep, channel=channels.loudest_if_cancelled)
        return again.adding("antiphase")
    waveform = concatenate(blocks)
    if not len(waveform):
        return _nothing("empty", rate=rate)
    cut = cut or (len(waveform) < claimed < _UNKNOWN_FRAMES and subtype not in _GUESSED)
    sound = Sound(waveform, rate, ("truncated",) * cut + ("converted",) * (not plain))
    return _as_meant(sound, channels.count) if subtype in FLOATS else sound


def _as_meant(sound: Sound, channels: int) -> Sound:
    """Scale floating-point samples that are integers, and flag what is no number."""
    assert sound.waveform.dtype == np.float32
    waveform, flags, message = as_meant(sound.waveform, channels)  # type: ignore[arg-type]
    if "unreadable" in flags:
        return _nothing("unreadable", message, sound.rate)
    return sound._replace(waveform=waveform).adding(*flags, message=message)


def is_plain(file: soundfile.SoundFile) -> bool:
    """Tell whether int16 loses nothing: one channel, of 16 bits or of a format that keeps no samples."""
    return file.channels == 1 and (file.subtype in _AS_INT16 or file.subtype.startswith("MPEG"))


def _blocks(file: soundfile.SoundFile, size: int) -> Iterator[Float32]:
    """Yield the rest of the file as (at most size, channels) float32."""
    frames = 0
    while True:
        block = file.read(size, dtype="float32", always_2d=True)
        frames += len(block)
        bounds.check_length(frames, file.samplerate)
        yield block
        if len(block) < size:
            return


def _ffmpeg(data: bytes) -> Sound:
    """Read what libsndfile does not, by PyAV where it is installed."""
    kind = kind_of(data)
    if kind is None:
        return _nothing("unreadable")
    damaged = kind.name + DAMAGED * bool(kind.demuxer)
    if not kind.demuxer or not with_ffmpeg.is_installed():
        return _nothing("unreadable", damaged if kind.known else kind.name)
    try:
        track = with_ffmpeg.read(data, kind.demuxer)
    except OutOfBoundsError as error:
        return _nothing("unreadable", f"{kind.name}, {error}")
    except ValueError:
        return _nothing("unreadable", damaged)
    if not len(track.waveform):
        return _nothing("empty", kind.name, track.rate)
    flags = ("truncated",) * track.cut + ("antiphase",) * track.cancelled
    return _as_meant(Sound(track.waveform, track.rate, (*flags, "converted")), 1)
