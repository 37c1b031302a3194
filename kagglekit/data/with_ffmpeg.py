"""Read audio by PyAV, which contains FFmpeg: AAC, AMR, Opus in WebM ... Installed by kagglekit[av]."""

import importlib.util
import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kagglekit.data import bounds

Float32 = npt.NDArray[np.float32]


@cache
def is_installed() -> bool:
    """Tell whether PyAV is installed, without importing it."""
    return importlib.util.find_spec("av") is not None


def read(data: bytes, demuxer: str) -> tuple[Float32, int, bool]:
    """Decode the first audio track, channels averaged.

    Args:
        data: the file.
        demuxer: FFmpeg's name of the container. FFmpeg must not guess it: a playlist would open other files.

    Returns:
        The waveform (frames,) in [-1, 1), its sample rate in Hz, and whether the file ends too early.

    Raises:
        OutOfBoundsError: the sample rate, the channels or the length are out of bounds.
        ValueError: FFmpeg cannot read the file.
    """
    import av

    blocks: list[Float32] = []
    seconds, rate, cut = 0.0, 0, False
    try:
        with av.open(io.BytesIO(data), format=demuxer, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise ValueError("it has no audio track that FFmpeg knows")
            rate = stream.rate
            if stream.duration is not None and stream.time_base is not None:
                seconds = float(stream.duration * stream.time_base)
            for block in _blocks(container, stream):
                blocks.append(block)
    except (av.FFmpegError, OSError, EOFError, ValueError) as error:
        if not blocks:
            raise ValueError(str(error)) from error
        cut = True
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return waveform, rate, cut or len(waveform) < rate * (seconds - max(0.1, 0.05 * seconds))


def _blocks(container: Any, stream: Any) -> Iterator[Float32]:
    """Yield the track frame by frame, (frames,) float32."""
    import av

    bounds.check_format(stream.rate, stream.channels)
    to_float = av.AudioResampler(format="fltp")  # changes the sample format alone
    frames = 0
    for frame in container.decode(stream):
        if frame.sample_rate != stream.rate:
            raise ValueError(f"its sample rate changes from {stream.rate} to {frame.sample_rate} Hz")
        for block in to_float.resample(frame):
            planes = block.to_ndarray()  # (channels, frames)
            frames += planes.shape[1]
            bounds.check_length(frames, stream.rate)
            yield planes[0] if len(planes) == 1 else planes.mean(axis=0)
