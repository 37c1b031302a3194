"""Cut off what taggers put before and behind an audio file: ID3v2, ID3v1, APEv2, Lyrics3."""

_ID3V1_BYTES, _APE_BYTES = 128, 32
_APE_HAS_HEADER = 0x8000_0000


def without_tags(data: bytes) -> bytes:
    """Return an audio file without the tags at its beginning and its end; the same object if there are none.

    Decoders take an ID3v2 tag for audio when they guess a length from a size, and an ID3v1 tag for a
    damaged frame.
    """
    start, end = 0, len(data)
    while data.startswith(b"ID3", start) and start + 10 <= end:
        start += 10 + _syncsafe(data[start + 6 : start + 10]) + 10 * bool(data[start + 5] & 0x10)  # a footer
    if start > end:  # no tag is that long: its header is passed over, and the first frame is looked for
        start = 10
    if start:
        audio = start + len(data[start:]) - len(data[start:].lstrip(b"\0"))  # padding that no size counts
        start = audio if data[audio : audio + 1] == b"\xff" else start
    while True:
        if end - start >= _ID3V1_BYTES and data.startswith(b"TAG", end - _ID3V1_BYTES):
            end -= _ID3V1_BYTES
        elif size := _ape_bytes(data, start, end) or _lyrics_bytes(data, start, end):
            end -= size
        else:
            break
    return data if (start, end) == (0, len(data)) else data[start:end]


def _syncsafe(four: bytes) -> int:
    """Read a size of four times seven bits."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))


def _ape_bytes(data: bytes, start: int, end: int) -> int:
    """Return the length of the APEv2 tag that ends at `end`; 0 if there is none."""
    foot = end - _APE_BYTES
    if foot < start or not data.startswith(b"APETAGEX", foot):
        return 0
    size = int.from_bytes(data[foot + 12 : foot + 16], "little")  # with the footer, without the header
    size += _APE_BYTES * bool(int.from_bytes(data[foot + 20 : foot + 24], "little") & _APE_HAS_HEADER)
    return size if _APE_BYTES <= size <= end - start else 0


def _lyrics_bytes(data: bytes, start: int, end: int) -> int:
    """Return the length of the Lyrics3v2 tag that ends at `end`; 0 if there is none."""
    digits = data[end - 15 : end - 9] if data.startswith(b"LYRICS200", end - 9) else b""
    size = int(digits) + 15 if digits.isdigit() else 0
    return size if size <= end - start else 0
