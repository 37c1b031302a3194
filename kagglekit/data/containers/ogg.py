"""Ogg: lengths, streams after each other, of which libsndfile reads the first, and streams side by side.

Format: RFC 3533.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from kagglekit.data.containers.container import Container

_HEADER_BYTES = 27
_BEGINS, _ENDS = 2, 4  # among the flags of a stream's first and last page
_MOST_PAGE_BYTES = 65_307
_MOST_PACKET = 4096  # samples that a Vorbis packet adds, half of its longest block
_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")


class _Page(NamedTuple):
    content: bytes
    serial: bytes
    """Of the stream."""
    begins: bool
    """It is the first page of a stream."""


def true_ogg(data: bytes) -> Container:
    """Return the recordings that follow each other in an Ogg file, without streams of anything else."""
    if _is_one_stream(data):
        return Container((data,), cut=_is_cut(data))
    recordings: list[list[bytes]] = []
    serial, before = b"", False
    for page in _pages(data):
        if page.begins and not before:  # the streams of a recording begin before any of them goes on
            serial = b""
        if page.begins and not serial and any(page.content.find(mark, 0, 512) > 0 for mark in _AUDIO):
            serial = page.serial
            recordings.append([])
        if page.serial == serial:
            recordings[-1].append(page.content)
        before = page.begins
    return Container(tuple(map(b"".join, recordings)) or (data,), cut=_is_cut(data))


def _is_cut(data: bytes) -> bool:
    """Tell whether the last page goes beyond the end of the file, as where a download was cut off."""
    at = data.rfind(b"OggS")
    return at >= 0 and (at + _HEADER_BYTES > len(data) or _end(data, at) > len(data))


def _is_one_stream(data: bytes) -> bool:
    """Tell whether no stream begins behind the first page: from page to page, as a search takes longer."""
    at, last = 0, len(data) - _HEADER_BYTES
    while at <= last and data.startswith(b"OggS", at):
        if at and data[at + 5] & _BEGINS:
            return False
        at = _end(data, at)
    return at > last or data.find(b"OggS", at) < 0


def _pages(data: bytes) -> Iterator[_Page]:
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - _HEADER_BYTES:
        end = _end(data, at)
        yield _Page(data[at:end], data[at + 14 : at + 18], bool(data[at + 5] & _BEGINS))
        at = data.find(b"OggS", end)


def _end(data: bytes, at: int) -> int:
    """Return where the page at `at` ends, whose header is there."""
    lengths = at + _HEADER_BYTES
    return lengths + data[at + 26] + sum(data[lengths : lengths + data[at + 26]])


def _position(data: bytes, at: int) -> int:
    """Return at which frame of the recording the page at `at` ends; -1 if no packet ends in it."""
    return int.from_bytes(data[at + 6 : at + 14], "little", signed=True)


class Vorbis(NamedTuple):
    """What the pages of an Ogg Vorbis file say."""

    channels: int
    rate: int
    """In Hz."""
    frames: int


def one_vorbis(data: bytes) -> Vorbis | None:
    """Read the length of one whole Vorbis stream that begins at 0; None for any other file.

    libsndfile takes half a millisecond to do so.
    """
    if len(data) < 100 or data[:4] != b"OggS" or data[26] != 1 or data[28:35] != b"\x01vorbis":
        return None
    channels, rate = struct.unpack_from("<BI", data, 39)
    at = data.rfind(b"OggS", max(0, len(data) - _MOST_PAGE_BYTES))
    if at < 0 or at + _HEADER_BYTES > len(data) or data[14:18] != data[at + 14 : at + 18]:  # another stream
        return None
    frames, is_end = _position(data, at), data[at + 5] & _ENDS and _end(data, at) == len(data)
    return Vorbis(channels, rate, frames) if is_end and frames > 0 and _begins_at_zero(data) else None


def _begins_at_zero(data: bytes) -> bool:
    """Tell whether the first page with samples ends where a stream that begins at 0 would."""
    at = 0
    for _ in range(8):
        if data[at : at + 4] != b"OggS" or at + _HEADER_BYTES > len(data):
            return False
        if (position := _position(data, at)) > 0:
            lengths = data[at + _HEADER_BYTES : at + _HEADER_BYTES + data[at + 26]]
            return position <= _MOST_PACKET * sum(length < 255 for length in lengths)
        at = _end(data, at)
    return False


def before_last_page(content: memoryview) -> int:
    """Return a frame before the last page of an Ogg file, in which libsndfile seeks up to a block too far."""
    tail = bytes(content[-2 * _MOST_PAGE_BYTES :])
    at = tail.rfind(b"OggS", 0, max(tail.rfind(b"OggS"), 0))
    return max(_position(tail, at) - _MOST_PACKET, 0) if at >= 0 else 0
