"""Name a file's format by its first bytes, where libsndfile does not read it."""

import struct
from typing import NamedTuple


class Kind(NamedTuple):
    """A file format."""

    name: str
    """For messages: "AAC in .m4a"."""
    demuxer: str
    """FFmpeg's name of the container, "" if the file is no audio."""
    known: bool = False
    """Whether libsndfile reads the format, so that a file it cannot read is damaged."""


_CODECS = ((b"mp4a", "AAC"), (b"samr", "AMR"), (b"sawb", "AMR-WB"), (b"alac", "ALAC"), (b"Opus", "Opus"))
_MATROSKA = ((b"A_OPUS", "Opus"), (b"A_VORBIS", "Vorbis"), (b"A_AAC", "AAC"))
_CAF = {b"ima4": "IMA ADPCM", b"aac ": "AAC", b"alac": "ALAC", b"opus": "Opus", b".mp3": "MP3"}
_MAGIC = (
    (b"#!AMR-WB", Kind("AMR-WB", "amr")),
    (b"#!AMR", Kind("AMR", "amr")),
    (b"\xff\xf1", Kind("AAC", "aac")),
    (b"\xff\xf9", Kind("AAC", "aac")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("WMA", "asf")),
    (b"ID3", Kind("MP3", "mp3", known=True)),
    (b"OggS", Kind("Ogg", "ogg", known=True)),
    (b"wvpk", Kind("WavPack", "wv")),
    (b"MAC ", Kind("Monkey's Audio", "ape")),
    (b"PK\x03\x04", Kind("zip", "")),
    (b"\x1f\x8b", Kind("gzip", "")),
    (b"7z\xbc\xaf", Kind("7z", "")),
    (b"version https://git-lfs", Kind("a pointer of Git LFS, not the file", "")),
)
_WAV_ENCODINGS = (1, 2, 3, 6, 7, 0x11, 0x31, 0x50, 0x55, 0xFFFE)  # PCM, float, ADPCM, GSM, MP3 ...
_HEAD_BYTES = 4096  # of a Matroska file; its tracks come first


def kind_of(data: bytes) -> Kind | None:
    """Return the format of a file that libsndfile could not read; None if its first bytes tell nothing."""
    if data[4:8] == b"ftyp":
        codec = next((name for mark, name in _CODECS if mark in data), "audio")
        return Kind(f"{codec} in {_mov_suffix(data[8:12])}", "mov")
    if data[:4] == b"\x1aE\xdf\xa3":
        head = data[:_HEAD_BYTES]
        codec = next((name for mark, name in _MATROSKA if mark in head), "audio")
        return Kind(f"{codec} in {'.webm' if b'webm' in head else '.mkv'}", "matroska")
    if data[:4] == b"caff" and data[8:12] == b"desc":
        return Kind(f"{_CAF.get(data[28:32], 'audio')} in .caf", "caf")
    if data[:4] == b"RIFF" and data[8:16] == b"WAVEfmt " and len(data) >= 22:
        (encoding,) = struct.unpack_from("<H", data, 20)
        return Kind(f"codec 0x{encoding:04x} in .wav", "wav", known=encoding in _WAV_ENCODINGS)
    if data[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xfa", b"\xff\xf2"):
        return Kind("MP3", "mp3", known=True)
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    return kind or _kind_of_text(data[:_HEAD_BYTES])


def _kind_of_text(head: bytes) -> Kind | None:
    """Name what is no sound at all: an error that a server sent, a download that never came."""
    if not head.strip(b"\0"):
        return Kind("nothing but zeros", "")
    if head.lstrip().startswith(b"<"):
        return Kind("HTML or XML", "")
    is_text = all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in head)
    return Kind("text", "") if is_text else None


def _mov_suffix(brand: bytes) -> str:
    if brand[:2] == b"3g":
        return ".3gp"
    return {b"M4A ": ".m4a", b"M4B ": ".m4a", b"qt  ": ".mov"}.get(brand, ".mp4")
