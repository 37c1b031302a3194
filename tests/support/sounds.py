"""Audio files as phones and recorders write them, made by the encoders in soundfile and PyAV."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

FFMPEG = {  # container, encoder, the encoder's rate
    "AAC in .m4a": ("ipod", "aac", 44_100),
    "AMR in .3gp": ("3gp", "libopencore_amrnb", 8000),
    "AMR": ("amr", "libopencore_amrnb", 8000),
    "IMA ADPCM in .caf": ("caf", "adpcm_ima_qt", 22_050),
    "Opus in .webm": ("webm", "libopus", 48_000),
    "AAC": ("adts", "aac", 44_100),
    "ALAC in .mp4": ("mp4", "alac", 44_100),
}


def tone(rate: int, seconds: float = 1.0, hz: float = 440) -> NDArray[np.float32]:
    """(samples,): a sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def encode(
    waveform: NDArray[np.float32], rate: int = 16_000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """A file by libsndfile."""
    file = io.BytesIO()
    channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, format=kind, subtype=subtype) as out:
        for start in range(0, len(waveform), 2**16):  # libvorbis crashes on a minute at once
            out.write(waveform[start : start + 2**16])
    return file.getvalue()


def mp3(seconds: float = 3.0, rate: int = 44_100) -> bytes:
    return encode(tone(rate, seconds), rate, "MP3")


def damaged_mp3(seconds: float = 3.0) -> bytes:
    """An MP3 file with noise in its middle, on which libmpg123 comments."""
    data = bytearray(mp3(seconds))
    middle = len(data) // 2
    data[middle : middle + 400] = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8).tobytes()
    return bytes(data)


def chunk(name: bytes, data: bytes, *, pad: bool = True, order: str = "<") -> bytes:
    """A RIFF chunk."""
    return name + struct.pack(f"{order}I", len(data)) + data + b"\0" * (pad and len(data) % 2)


def wav_format(
    rate: int = 16_000, channels: int = 1, bits: int = 16, encoding: int = 1, order: str = "<"
) -> bytes:
    """What stands in a chunk fmt."""
    align = channels * bits // 8
    return struct.pack(f"{order}HHIIHH", encoding, channels, rate, rate * align, align, bits)


def riff(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    """A wav file of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(">I" if magic == b"RIFX" else "<I", len(body)) + body


def flac_claiming(data: bytes, samples: int) -> bytes:
    """A FLAC file whose header says that it has so many samples."""
    return data[:21] + (data[21] >> 4 << 36 | samples).to_bytes(5, "big") + data[26:]


def mp3_in_riff() -> bytes:
    """MP3 in a RIFF file: format tag 0x55."""
    data = mp3()
    fmt = struct.pack("<HHIIHHHIHHH", 0x55, 1, 44_100, 16_000, 1, 0, 12, 1, 2, 417, 1)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def by_ffmpeg(kind: str, seconds: float = 2.0, hz: float = 440) -> bytes:
    """A file of a kind in `FFMPEG`; the test is skipped where PyAV is not installed."""
    av = pytest.importorskip("av", reason="requires PyAV: pip install 'kagglekit[av]'")
    container, encoder, rate = FFMPEG[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(tone(rate, seconds, hz)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return file.getvalue()
