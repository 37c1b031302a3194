"""MP3: its frames are counted, as a file may not say how many there are, or say it of its first part alone.

Without a count libmpg123 guesses from the size and the first frame, and libsndfile stops at the guess.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from kagglekit.data.containers.container import Container

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
_KBITS = {  # MPEG 1 or not, layer -> by the header's four bits
    (True, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # the header's bits for the layer: 3 is layer I, 1 is layer III
_LAYER_3 = 1
_COUNTS = (b"Xing", b"Info")  # behind a frame's side information, of which the frame itself is empty
_VBRI, _VBRI_AT = b"VBRI", 36
_SURE = 4  # so many frames in a row are no accident
_DECODER_DELAY = 529  # samples
_ENCODER = b"LAME3.100".ljust(21, b"\0")  # whom libmpg123 believes the delay that follows
_MOST_BEFORE = 2**16  # bytes of something else before the first frame


class _FrameHeader(NamedTuple):
    length: int
    """Bytes of the frame."""
    samples: int
    rate: int
    layer: int
    side: int
    """Where its side information ends."""

    def is_like(self, other: "_FrameHeader") -> bool:
        """Whether frames of both can follow each other in a recording."""
        return self[1:] == other[1:]


class _Frames(NamedTuple):
    """The frames of a file."""

    places: list[int]
    """Byte offset of each whole frame."""
    starts: list[int]
    """Which frames begin a recording of their own: the first, and those after which the sample rate differs
    or which count the frames behind them."""
    end: int
    """Byte offset behind the last frame, or behind what follows it and is no frame."""
    cut: bool
    """The last frame is not whole."""


def true_mpeg(data: bytes) -> Container:
    """Return the MP3 files that follow each other in one, each with the number of its frames."""
    first = _find(data, 0, _MOST_BEFORE)
    if first is None:
        return Container((data,))
    frames = _walk(data, first)
    if not frames.places:
        return Container((data,), frames.cut)
    parts, cut = [], frames.cut
    for start, stop in zip(frames.starts, [*frames.starts[1:], len(frames.places)], strict=True):
        end = frames.places[stop] if stop < len(frames.places) else frames.end
        part, is_cut = _counted(data[frames.places[start] : end], stop - start)
        parts.append(part)
        cut |= is_cut
    return Container(tuple(parts), cut)


@lru_cache(maxsize=1024)
def _parse(four: bytes) -> _FrameHeader | None:
    """Read a frame's header; None if it is none, or one without a bit rate."""
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE0 != 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, four[1] >> 1 & 3
    kbits, rate = four[2] >> 4, four[2] >> 2 & 3
    if version == 1 or layer == 0 or kbits in (0, 15) or rate == 3:
        return None
    hertz, bits = _RATES[version][rate], 1000 * _KBITS[version == 3, layer][kbits]
    padding, mono = four[2] >> 1 & 1, four[3] >> 6 == 3
    side = 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
    if layer == 3:
        return _FrameHeader(4 * (12 * bits // hertz + padding), 384, hertz, layer, side)
    samples = 576 if layer == _LAYER_3 and version != 3 else 1152
    return _FrameHeader(samples // 8 * bits // hertz + padding, samples, hertz, layer, side)


def _header(data: bytes, at: int) -> _FrameHeader | None:
    return _parse(data[at : at + 4])


def _find(data: bytes, start: int, most: int) -> int | None:
    """Return the place of the first of several frames in a row, or of the frames at the file's end."""
    at = start
    while 0 <= at <= start + most:
        if _are_frames(data, at, ends=at == 0):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def _are_frames(data: bytes, at: int, *, ends: bool = True) -> bool:
    """Tell whether enough frames of one format follow each other, or fewer where the file `ends` so."""
    first = header = _header(data, at)
    for _ in range(_SURE):
        if first is None or header is None or not header.is_like(first):
            return False
        at += header.length
        if at >= len(data):
            return ends
        header = _header(data, at)
    return True


def _walk(data: bytes, first: int) -> _Frames:
    """Find all frames."""
    places: list[int] = []
    starts, at, cut = {0}, first, False
    lengths: dict[bytes, int] = {}  # of headers like the last one
    before: _FrameHeader | None = None
    while not cut:
        four = data[at : at + 4]
        length = lengths.get(four)
        if length is None:
            header = _parse(four)
            changes = header is not None and before is not None and not header.is_like(before)
            if header is None or (changes and not _are_frames(data, at)):
                found = _find(data, at + 1, len(data))
                if found is None:
                    break
                at = found
                continue
            if changes:
                lengths.clear()
                starts.add(len(places))
            before, length = header, header.length
            lengths[four] = length
        cut = at + length > len(data)
        if not cut:
            places.append(at)
            at += length
    starts |= {number for number in _counting(data, places) if number}
    return _Frames(places, sorted(starts - {len(places)} | {0}), at if cut else len(data), cut)


def _counting(data: bytes, places: list[int]) -> Iterator[int]:
    """Yield which frames count those behind them."""
    for tag in (*_COUNTS, _VBRI):
        found = data.find(tag)
        while found >= 0:
            number = bisect_right(places, found) - 1
            if number >= 0 and _count(data, places[number]) is not None:
                yield number
            found = data.find(tag, found + 1)


def _count(data: bytes, at: int) -> int | None:
    """Return how many frames a frame without sound says that there are behind it; None for one of sound."""
    header = _header(data, at)
    if header is None:
        return None
    tag = at + header.side
    if data[tag : tag + 4] in _COUNTS:
        return int.from_bytes(data[tag + 8 : tag + 12], "big") if data[tag + 7] & 1 else 0
    if data.startswith(_VBRI, at + _VBRI_AT):
        return int.from_bytes(data[at + _VBRI_AT + 14 : at + _VBRI_AT + 18], "big")
    return None


def _counted(data: bytes, count: int) -> tuple[bytes, bool]:
    """Return an MP3 file with the number of its frames, and whether it says that there were more."""
    header = _header(data, 0)
    assert header is not None
    said = _count(data, 0)
    there = count - (said is not None)
    if header.layer != _LAYER_3 or (said is not None and said >= there - 1):  # some count themselves
        return data, said is not None and said > there + 1
    # libmpg123 drops 529 samples behind such a frame, and the delay that it gives: both in a frame without
    # sound that is put in between
    delay = (header.samples - _DECODER_DELAY) << 12
    kbits = range(1, 15)  # the first that leaves room
    heads = (bytes([0xFF, data[1] | 1, bits << 4 | data[2] & 0x0C, data[3]]) for bits in kbits)
    head = next(head for head in heads if (_parse(head) or header).length >= header.side + 40)
    length = (_parse(head) or header).length
    tag = (
        b"Info"
        + (1).to_bytes(4, "big")
        + (there + 1).to_bytes(4, "big")
        + _ENCODER
        + delay.to_bytes(3, "big")
    )
    silence = head.ljust(length, b"\0")
    info = (head.ljust(header.side, b"\0") + tag).ljust(length, b"\0")
    return info + silence + data[0 if said is None else header.length :], False
