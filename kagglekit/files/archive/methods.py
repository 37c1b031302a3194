"""Compression methods of zip files that zipfile lacks, and the names of those that nothing here reads.

Numbers: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.4.5.
"""

import lzma
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, Protocol

from kagglekit.files.archive.checks import COPY_BYTES

DEFLATE64, ZSTD_OLD, ZSTD, XZ, PPMD = 9, 20, 93, 95, 98
BY_ZIPFILE = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
HERE = frozenset((DEFLATE64, ZSTD_OLD, ZSTD, XZ, PPMD))
NAMES = {1: "Shrink", 6: "Implode", 10: "PKWARE's DCL Implode", 16: "CMPSC", 18: "TERSE", 19: "LZ77"}
NAMES |= {2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 94: "MP3", 96: "JPEG", 97: "WavPack", 99: "AES"}
MOST_OUTPUT = 4 * COPY_BYTES
_INPUT = 2**12  # Deflate64 unpacks a byte to 500 at most, and gives all of it at once


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


def zstd() -> Any:
    """Return Python's module for zstd, which before 3.14 is a package of its own."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module


def decoder_errors() -> tuple[type[Exception], ...]:
    """Return what the decoders that are installed raise for damaged bytes, besides checks.DAMAGE.

    A notebook of the host has none of them.
    """
    errors: list[type[Exception]] = []
    with suppress(ImportError):
        errors.append(zstd().ZstdError)
    with suppress(ImportError):
        from pyppmd import PpmdError

        errors.append(PpmdError)
    return tuple(errors)


def decompressed(file: IO[bytes], method: int, size: int) -> Iterator[bytes]:
    """Yield the content of a member in pieces, from its packed bytes.

    Args:
        file: the packed bytes.
        method: one of HERE.
        size: of the content, in bytes.

    Raises:
        Exception: of checks.DAMAGE, or of the decoder: the bytes are damaged.
    """
    decoder = _decoder(file, method)
    left = size
    while left > 0 and not decoder.eof:
        waits = getattr(decoder, "needs_input", True)
        data = file.read(_INPUT) if waits else b""
        piece = decoder.decompress(data, min(left, MOST_OUTPUT))
        if waits and not data and not piece:
            raise EOFError(f"{size - left:,} of {size:,} bytes")
        left -= len(piece)
        if left < 0:
            raise ValueError("more bytes than its header says")
        yield piece


def _decoder(file: IO[bytes], method: int) -> _Decoder:
    if method == XZ:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    if method == PPMD:
        return _Ppmd(file.read(2))
    if method == DEFLATE64:
        return _Deflate64()
    decoder: _Decoder = zstd().ZstdDecompressor()
    return decoder


class _Deflate64:
    def __init__(self) -> None:
        from inflate64 import Inflater

        self._inflater = Inflater()

    @property
    def eof(self) -> bool:
        return bool(self._inflater.eof)

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return bytes(self._inflater.inflate(data))


class _Ppmd:
    """PPMd, variant I: the order - 1, megabytes - 1 and restore method come first, in 4, 8 and 4 bits."""

    def __init__(self, head: bytes) -> None:
        from pyppmd import Ppmd8Decoder

        bits = int.from_bytes(head, "little")
        self._decoder = Ppmd8Decoder((bits & 15) + 1, ((bits >> 4 & 255) + 1) * 2**20, bits >> 12)

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._decoder.needs_input)

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return bytes(self._decoder.decode(data, max_length))
