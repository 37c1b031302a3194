"""Read audio by PyAV, which contains FFmpeg: AAC, AMR, Opus in WebM ... Installed by kagglekit[av]."""

import importlib.util
import io
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from kagglekit.data import bounds
from kagglekit.data.samples import Channels, Float32, concatenate


class Track(NamedTuple):
    """A decoded audio track."""

    waveform: Float32
    """(frames,) in [-1, 1), channels averaged."""
    rate: int
    """In Hz."""
    cut: bool
    """The file ends too early."""
    cancelled: bool
    """The channels cancel each other, and the loudest one has been taken."""


@cache
def is_installed() -> bool:
    """Tell whether PyAV is installed, without importing it."""
    return importlib.util.find_spec("av") is not None


def read(data: bytes, demuxer: str, channel: int | None = None) -> Track:
    """Decode the first audio track.

    Args:
        data: the file.
        demuxer: FFmpeg's name of the container. FFmpeg must not guess it: a playlist would open other files.
        channel: the one to take; by default the mean of all, or the loudest if they cancel each other.

    Raises:
        OutOfBoundsError: the sample rate, the channels or the length are out of bounds.
        ValueError: FFmpeg cannot read the file.
    """
    import av

    blocks: list[Float32] = []
    seconds, rate, cut = 0.0, 0, False
    channels = Channels(1)
    try:
        with av.open(io.BytesIO(data), format=demuxer, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise ValueError("it has no audio track that FFmpeg knows")
            rate = stream.rate
            bounds.check_format(rate, stream.channels)
            channels = Channels(stream.channels, channel)
            if stream.duration is not None and stream.time_base is not None:
                seconds = float(stream.duration * stream.time_base)
            elif demuxer == "matroska":
                seconds = (getattr(container, "duration", None) or 0) / av.time_base
            for block in _blocks(container, stream):
                if block.shape[1] != channels.count:
                    if blocks:
                        raise ValueError(f"it goes on with {block.shape[1]} channels")
                    channels = Channels(block.shape[1], channel)  # AAC may say so in its first frame
                blocks.append(channels.join(block))
    except (av.FFmpegError, OSError, EOFError, ValueError) as error:
        if not blocks:
            raise ValueError(str(error)) from error
        cut = True
    if channels.loudest_if_cancelled is not None:
        return read(data, demuxer, channels.loudest_if_cancelled)._replace(cancelled=True)
    waveform = concatenate(blocks)
    cut = cut or len(waveform) < rate * (seconds - max(0.1, 0.05 * seconds))
    return Track(waveform, rate, cut, cancelled=False)


def _blocks(container: Any, stream: Any) -> Iterator[Float32]:
    """Yield the track frame by frame, (frames, channels) float32."""
    import av

    to_float = av.AudioResampler(format="fltp")  # changes the sample format alone
    frames = 0
    for frame in container.decode(stream):
        if frame.sample_rate != stream.rate:
            raise ValueError(f"its sample rate changes from {stream.rate} to {frame.sample_rate} Hz")
        for block in to_float.resample(frame):
            planes = block.to_ndarray().astype(np.float32, copy=False)  # (channels, frames)
            frames += planes.shape[1]
            bounds.check_length(frames, stream.rate)
            yield planes.T
