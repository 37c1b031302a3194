"""Wav files: RIFF, RIFX, RF64 and BW64, whose header may lack sizes or claim wrong ones."""

import struct
from typing import NamedTuple

import numpy as np

from kagglekit.data.containers.container import Container

_MAGIC = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
_UNKNOWN_BYTES = 0x7FFF_F000  # or more: the size that a writer to a pipe claims, as it does not know it
_IN_DS64 = 0xFFFF_FFFF
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SHORTEST_FMT = 14  # bytes; without the number of bits
_LEAST, _MOST = (
    1e-7,
    8.0,
)  # of nearly all and of all floating-point samples: 24 bits, and 18 dB over full scale
_MP3 = (0x50, 0x55)


class Wav(NamedTuple):
    """The header of a wav file."""

    encoding: int
    """1: integer PCM; 3: floating point; 0x55: MP3."""
    channels: int
    rate: int
    """In Hz."""
    align: int
    """Bytes of a frame, or of a block of a compressed encoding."""
    bits: int
    start: int
    """Byte offset of the first sample."""
    end: int
    """Byte offset behind the last sample."""
    cut: bool
    """The file is shorter than its header says."""
    message: str
    fmt: bytes
    order: str
    """< or >, as for struct."""

    more: tuple[tuple[int, int], ...] = ()
    """Byte offsets of further samples, where there are several chunks of them."""

    @property
    def is_int16(self) -> bool:
        """Whether it is mono 16-bit PCM, the least significant byte first, as nearly all clips are."""
        kind = (self.encoding, self.channels, self.bits, self.align, self.order)
        return kind == (_PCM, 1, 16, 2, "<") and not self.more

    @property
    def is_mp3(self) -> bool:
        """Whether the samples are an MP3 file."""
        return self.encoding in _MP3


def parse_wav(data: bytes) -> Wav | None:
    """Read the chunks; return None unless it is a wav with a format and samples."""
    order = _MAGIC.get(data[:4])
    if order is None or data[8:12] != b"WAVE":
        return None
    at, fmt, long_size = 12, b"", 0
    parts: list[tuple[int, int, bool, str]] = []
    while at + 8 <= len(data):
        name, size = struct.unpack_from(f"{order}4sI", data, at)
        at += 8
        if name == b"ds64" and size >= 16:
            (long_size,) = struct.unpack_from("<Q", data.ljust(at + 16, b"\0"), at + 8)
        elif name == b"fmt " and size >= _SHORTEST_FMT and at + size <= len(data):
            fmt = data[at : at + size]
        elif name == b"data":
            parts.append(_extent(data, at, long_size if size == _IN_DS64 and long_size else size, order))
            size = parts[-1][1] - at
        elif parts and not _is_name(name):
            break
        at = _next_chunk(data, at, size)
    if not fmt or not parts:
        return None
    encoding, channels, rate, _, align = struct.unpack_from(f"{order}HHIIH", fmt)
    bits = struct.unpack_from(f"{order}H", fmt, 14)[0] if len(fmt) >= 16 else 8 * align // max(channels, 1)
    if encoding == _EXTENSIBLE and len(fmt) >= 26:  # the encoding stands in a GUID
        (encoding,) = struct.unpack_from(f"{order}H", fmt, 24)
    more = tuple((start, end) for start, end, _, _ in parts[1:] if end > start)
    return Wav(encoding, channels, rate, align, bits, *parts[0], fmt, order, more)


def _extent(data: bytes, start: int, size: int, order: str) -> tuple[int, int, bool, str]:
    """Return where the samples begin and end, whether some are missing, and what is odd.

    A recorder that is switched off, and a writer to a pipe, leave the size at 0 or at the largest number.
    """
    rest = len(data) - start
    if size >= _UNKNOWN_BYTES or (size == 0 and not _are_chunks(data, start, order)):
        return start, len(data), False, ""
    if size > rest:
        return start, len(data), True, ""
    behind = _next_chunk(data, start, size)
    if data[behind : behind + 4] in _MAGIC and data[behind + 8 : behind + 12] == b"WAVE":
        return start, start + size, False, f"another file of {len(data) - behind:,} bytes follows it"
    if _are_chunks(data, behind, order) or not data[behind:].strip(b"\0"):
        return start, start + size, False, ""
    return start, start + size, False, f"{len(data) - behind:,} bytes behind the samples are no chunk"


def _next_chunk(data: bytes, start: int, size: int) -> int:
    """Return where the chunk behind one begins: at an even offset, unless its writer forgot the padding."""
    at = start + size + size % 2
    forgotten = size % 2 and _is_name(data[at - 1 : at + 3]) and not _is_name(data[at : at + 4])
    return at - 1 if forgotten else at


def _are_chunks(data: bytes, at: int, order: str) -> bool:
    """Tell whether nothing but chunks follow, and fill the file."""
    while at + 8 <= len(data) and _is_name(data[at : at + 4]):
        (size,) = struct.unpack_from(f"{order}I", data, at + 4)
        at = _next_chunk(data, at + 8, size)
    return len(data) <= at <= len(data) + 1  # the last one may lack its padding


def _is_name(four: bytes) -> bool:
    return len(four) == 4 and all(0x20 <= byte < 0x7F for byte in four)


def true_wav(data: bytes, wav: Wav) -> Container:
    """Return a wav file with the format and the samples of another, and with their sizes."""
    samples = b"".join(data[start:end] for start, end in ((wav.start, wav.end), *wav.more))
    fmt, message = wav.fmt, wav.message
    of_sample = wav.align // wav.channels if wav.channels else 0
    if wav.encoding == _PCM and 1 <= of_sample <= 4:
        is_float = of_sample == 4 and _are_floats(samples, wav.order)
        message = message or "floating-point samples, called integers" * is_float
        if is_float or 8 * of_sample != -(-wav.bits // 8) * 8 or len(fmt) < 16:  # such as 24 bits in 32
            bits, encoding = 8 * of_sample, _FLOAT if is_float else _PCM
            start = struct.pack(f"{wav.order}HHI", encoding, wav.channels, wav.rate)
            fmt = start + struct.pack(f"{wav.order}IHH", wav.rate * wav.align % 2**32, wav.align, bits)
    head = b"WAVEfmt " + struct.pack(f"{wav.order}I", len(fmt)) + fmt + b"\0" * (len(fmt) % 2)
    head += b"data" + struct.pack(f"{wav.order}I", len(samples))
    magic = b"RIFX" if wav.order == ">" else b"RIFF"
    size = struct.pack(f"{wav.order}I", len(head) + len(samples))
    return Container((magic + size + head + samples,), wav.cut, message)


def _are_floats(samples: bytes, order: str) -> bool:
    """Tell whether 32-bit samples make sense as floating-point numbers, which integers hardly do."""
    with np.errstate(invalid="ignore"):
        size = np.abs(np.frombuffer(samples, f"{order}f4", len(samples) // 4))
        if not size.max(initial=0.0) < _MOST:  # also where one is no number, as small negative integers are
            return False
        return float(np.mean(size[size != 0] > _LEAST)) > 0.99 if size.any() else False
