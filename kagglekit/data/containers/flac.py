"""FLAC: how many samples its frames hold, where the header says 0, which means unknown, or something else.

Format: RFC 9639.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kagglekit.data.containers.container import Container

_SYNC = (b"\xff\xf8", b"\xff\xf9")  # of frames that count frames; of frames that count samples
_TOTAL_AT = 21  # the number of samples: 36 bits, the first four of them in a byte with others
_SIZES = {1: 192} | {code: 576 << (code - 2) for code in range(2, 6)} | {c: 1 << c for c in range(8, 16)}
_SIZE_BYTES, _RATE_BYTES = {6: 1, 7: 2}, {12: 1, 13: 2, 14: 2}
_BEGIN = re.compile(rb"fLaC[\0\x80]\0\0\x22")
_MOST_FRAME_BYTES = 2**20
_MOST_CANDIDATES = 1000  # places that look like the last frame


class _Frame(NamedTuple):
    number: int
    """Of the frame, or of its first sample."""
    size: int
    """In samples."""


def true_flac(data: bytes) -> Container:
    """Return the FLAC files that follow each other in one, each with the number of its samples."""
    starts = [begin.start() for begin in _BEGIN.finditer(data)]
    if len(starts) < 2:
        return _counted(data)
    containers = [_counted(data[a:b]) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    return Container(tuple(one.parts[0] for one in containers), any(one.cut for one in containers))


def whole_frames(data: bytes) -> Container:
    """Return a FLAC file as far as its frames are whole; `true_flac` believes a header and a last frame that
    agree, as a checksum takes longer than all else."""
    return _counted(data, believe=False)


def _counted(data: bytes, *, believe: bool = True) -> Container:
    """Return a FLAC file whose header has the number of samples that its frames have."""
    at = _first_frame(data)
    first = _parse(data, at)
    if first is None:
        return Container((data,))
    sync = data[at : at + 2]
    claimed = int.from_bytes(data[_TOTAL_AT : _TOTAL_AT + 5], "big") & 0xF_FFFF_FFFF
    stop = len(data)
    for start, frame in _from_the_end(data, at, sync):
        count = frame.number * (first.size if sync == _SYNC[0] else 1) + frame.size
        if (believe and count == claimed) or _is_whole(data[start:stop]):
            if count == claimed and stop == len(data):
                return Container((data,))
            total = data[_TOTAL_AT] & 0xF0 | count >> 32
            head = data[:_TOTAL_AT] + bytes([total]) + (count & 0xFFFF_FFFF).to_bytes(4, "big")
            return Container((head + data[_TOTAL_AT + 5 : stop],), cut=count < claimed or stop < len(data))
        stop = start
    return Container((data,))


def _first_frame(data: bytes) -> int:
    """Return where the metadata end."""
    at, last = 4, False
    while not last and at + 4 <= len(data):
        last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return at


def _from_the_end(data: bytes, first: int, sync: bytes) -> Iterator[tuple[int, _Frame]]:
    """Yield what looks like a frame, the last one first, each with its place."""
    at = len(data)
    for _ in range(_MOST_CANDIDATES):
        at = data.rfind(sync, first, at + 1)
        if at < 0:
            return
        if frame := _parse(data, at):
            yield at, frame


def _parse(data: bytes, at: int) -> _Frame | None:
    """Read a frame's header; return None unless its checksum holds."""
    if data[at : at + 2] not in _SYNC or at + 6 > len(data) or data[at + 3] & 1:
        return None
    size_code, rate_code, end = data[at + 2] >> 4, data[at + 2] & 15, at + 4
    first = data[end]  # a number in the way of UTF-8, of up to seven bytes
    more = max(8 - (~first & 0xFF).bit_length() - 1, 0)
    number = first & (0x7F >> more if more else 0x7F)
    for byte in data[end + 1 : end + 1 + more]:
        number = number << 6 | byte & 0x3F
    end += 1 + more
    extra = _SIZE_BYTES.get(size_code, 0)
    size = _SIZES.get(size_code) or 1 + int.from_bytes(data[end : end + extra], "big")
    end += extra + _RATE_BYTES.get(rate_code, 0)
    if size_code == 0 or rate_code == 15 or end >= len(data):
        return None
    checksum = 0
    for byte in data[at : end + 1]:
        checksum = _CRC8[checksum ^ byte]
    return _Frame(number, size) if checksum == 0 else None


def _is_whole(data: bytes) -> bool:
    """Tell whether a frame ends with its checksum; something else may follow it."""
    value = 0
    for byte in data[:_MOST_FRAME_BYTES]:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
        if value == 0:
            return True
    return False


def _table(polynomial: int, bits: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)
        table.append(value & ((1 << bits) - 1))
    return table


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)
