"""Ogg: streams that follow each other, of which libsndfile reads the first, and streams side by side.

Format: RFC 3533.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kagglekit.data.containers.container import Container

_HEADER_BYTES = 27
_BEGINS = 2  # among the flags of a stream's first page
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
        return Container((data,))
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
    return Container(tuple(map(b"".join, recordings)) or (data,))


def _is_one_stream(data: bytes) -> bool:
    """Tell whether no stream begins behind the first page: from page to page, as a search takes longer."""
    at, last = 0, len(data) - _HEADER_BYTES
    while at <= last and data.startswith(b"OggS", at):
        if at and data[at + 5] & _BEGINS:
            return False
        segments = data[at + 26]
        at += _HEADER_BYTES + segments + sum(data[at + 27 : at + 27 + segments])
    return at > last or data.find(b"OggS", at) < 0


def _pages(data: bytes) -> Iterator[_Page]:
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - _HEADER_BYTES:
        segments = data[at + 26]
        end = at + _HEADER_BYTES + segments + sum(data[at + 27 : at + 27 + segments])
        yield _Page(data[at:end], data[at + 14 : at + 18], bool(data[at + 5] & _BEGINS))
        at = data.find(b"OggS", end)
