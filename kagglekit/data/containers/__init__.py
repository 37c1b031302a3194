"""Make audio files say what is in them: lengths in headers are 0, -1, guesses, or of a first part alone."""

import struct

from kagglekit.data.containers.container import Container
from kagglekit.data.containers.flac import true_flac, whole_frames
from kagglekit.data.containers.mpeg import true_mpeg
from kagglekit.data.containers.ogg import true_ogg
from kagglekit.data.containers.riff import Wav, parse_wav, true_wav
from kagglekit.data.containers.tags import without_tags

__all__ = ["Container", "Wav", "parse_wav", "true_container", "whole_frames", "without_tags"]

_MOST = 0xFFFF_FFFF
_MOST_BEFORE = 2**16  # bytes of something else before a file
_W64, _W64_DATA = b"riff\x2e\x91\xcf\x11", b"data\xf3\xac\xd3\x11"


def true_container(data: bytes) -> Container:
    """Return a file as decoders need it: without tags, and with a header that tells the truth.

    A file in a format that is not known here, and one that needs nothing, is returned as it is. Decoding it
    may still fail.
    """
    data = without_tags(data)
    container = _known(data)
    if container is None and (at := _beginning(data)) > 0:
        container = _known(data[at:])
        if container is not None and not container.message:
            return container._replace(message=f"{at:,} bytes of something else come first")
    return container or true_mpeg(data)


def _beginning(data: bytes) -> int:
    """Return where a file begins behind something else, such as the 128 bytes of MacBinary; -1 if nowhere."""
    places = [data.find(mark, 0, _MOST_BEFORE) for mark in (b"fLaC\0\0\0\x22", b"OggS\0\2")]
    riff = data.find(b"RIFF", 0, _MOST_BEFORE)
    places += [riff] if data[riff + 8 : riff + 12] == b"WAVE" else []
    return min((place for place in places if place >= 0), default=-1)


def _known(data: bytes) -> Container | None:
    """Return a file with a true header; None if its first bytes tell nothing."""
    if wav := parse_wav(data):
        return true_mpeg(data[wav.start : wav.end]) if wav.is_mp3 else true_wav(data, wav)
    if data.startswith(b"fLaC"):
        return true_flac(data)
    if data.startswith(b"OggS"):
        return true_ogg(data)
    if data.startswith(b".snd"):
        return _true_au(data)
    if data.startswith(b"caff"):
        return _true_caf(data)
    if data.startswith(b"FORM"):
        return Container((data,), cut=_is_cut_aiff(data))
    if data.startswith(_W64):
        return Container((data,), cut=_is_cut_w64(data))
    return None


def _true_au(data: bytes) -> Container:
    """Sun's .au says where the samples begin, and how many bytes there are; -1 is unknown, and 0 is, too."""
    if len(data) < 24:
        return Container((data,))
    start, size = struct.unpack_from(">II", data, 4)
    rest = max(len(data) - start, 0)
    if size == 0 or size > rest:
        true = data[:8] + struct.pack(">I", rest) + data[12:]
        return Container((true,), cut=rest < size < _MOST)
    more = f"{rest - size:,} bytes behind the samples" if rest - size > 1 else ""
    return Container((data,), message=more)


def _true_caf(data: bytes) -> Container:
    """Apple's .caf may end with samples whose size is -1."""
    at = 8
    while at + 12 <= len(data):
        name, size = struct.unpack_from(">4sq", data, at)
        at += 12
        rest = len(data) - at
        if name == b"data" and (size <= 4 or size > rest):  # four bytes count edits
            true = data[: at - 8] + struct.pack(">q", rest) + data[at:]
            return Container((true,), cut=size > rest)
        if size < 0:
            break
        at += size
    return Container((data,))


def _is_cut_aiff(data: bytes) -> bool:
    """Tell whether an .aiff, which libsndfile reads to its end, says that there were more samples."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        if name == b"SSND":
            return bool(at + 8 + size > len(data) and size < 0x7FFF_F000)
        at += 8 + size + size % 2
    return False


def _is_cut_w64(data: bytes) -> bool:
    """Tell whether a .w64 says that there were more samples."""
    at = data.find(_W64_DATA, 40)
    size = int.from_bytes(data[at + 16 : at + 24], "little")  # with the 24 bytes of the chunk's own header
    return at > 0 and len(data) - at < size < 2**62
