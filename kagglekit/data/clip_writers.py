"""Write clips of recordings to a store: decoded, or as the recordings' own bytes (audio.store)."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from kagglekit.config import Audio
from kagglekit.data.cuts import Cut, part_of, segment, span
from kagglekit.data.decode import Clip, clip_of, decode_recording
from kagglekit.data.samples import Int16
from kagglekit.data.sound_file import Sound
from kagglekit.data.source_file import SourceFile, clip_of_part, look
from kagglekit.data.source_store import Excerpt, SourceWriter
from kagglekit.data.store import StoreWriter

WEIGHT = 12  # of decoding a file, in multiples of its size: Ogg is a tenth of int16


class DecodedFile(NamedTuple):
    """A decoded recording."""

    pcm: Int16
    """(samples,) at the competition's sample rate."""
    sound: Sound
    sha1: str
    """Of the file, hexadecimal."""

    @property
    def samples(self) -> int:
        """Length at the competition's sample rate."""
        return len(self.pcm)


class WrittenClip(NamedTuple):
    """A clip in a store."""

    cut: Cut
    clip: Clip
    windows: int
    """Rows that it has in the store."""


class ClipWriter(Protocol):
    """Writes recordings and their clips; `read` may be called in several threads, `add` in one."""

    weight: int
    """Memory that a file takes when it is read, in multiples of its size; a guess."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: Any) -> None: ...

    def read(self, content: bytes) -> DecodedFile | SourceFile:
        """Read a file from its bytes."""
        ...

    def add(self, path: str, file: DecodedFile | SourceFile, cuts: Sequence[Cut]) -> list[WrittenClip]:
        """Append a file's clips."""
        ...


def clip_writer(folder: Path, audio: Audio, false: Collection[str] = ()) -> ClipWriter:
    """Return the writer that audio.store names.

    Args:
        false: SHA-1 of recordings whose headers are known to be wrong.
    """
    return _SourceClips(folder, audio, false) if audio.store == "source" else _DecodedClips(folder, audio)


def read_decoded(content: bytes, audio: Audio) -> DecodedFile:
    """Decode a whole recording and hash its file."""
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return DecodedFile(*decode_recording(content, audio), sha1)


class _DecodedClips:
    weight = WEIGHT

    def __init__(self, folder: Path, audio: Audio) -> None:
        self.audio, self.store = audio, StoreWriter(folder, audio.samples)

    def __enter__(self) -> Self:
        self.store.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.store.__exit__(*error)

    def read(self, content: bytes) -> DecodedFile:
        return read_decoded(content, self.audio)

    def add(self, path: str, file: DecodedFile | SourceFile, cuts: Sequence[Cut]) -> list[WrittenClip]:
        assert isinstance(file, DecodedFile)
        written = []
        for cut in cuts:
            pcm, sha1 = segment(file.pcm, cut, self.audio), file.sha1 + part_of(cut.start, cut.end)
            clip = clip_of(pcm, file.sound, sha1, self.audio)
            windows = clip.rows if clip.rows.ndim == 2 else clip.rows[None]
            for window in windows:
                self.store.add(cut.clip_id, window)
            written.append(WrittenClip(cut, clip, len(windows)))
        return written


class _SourceClips:
    weight = 2

    def __init__(self, folder: Path, audio: Audio, false: Collection[str]) -> None:
        self.audio, self.store, self.false = audio, SourceWriter(folder, audio), false

    def __enter__(self) -> Self:
        self.store.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.store.__exit__(*error)

    def read(self, content: bytes) -> SourceFile:
        return look(content, self.audio, self.false)

    def add(self, path: str, file: DecodedFile | SourceFile, cuts: Sequence[Cut]) -> list[WrittenClip]:
        assert isinstance(file, SourceFile)
        spans = [self._span(cut, file) for cut in cuts]
        clips = [
            clip_of_part(file, *place, file.sha1 + part_of(cut.start, cut.end), self.audio)
            for cut, place in zip(cuts, spans, strict=True)
        ]
        parts = [
            Excerpt(cut.clip_id, start, clip.samples)
            for cut, (start, _), clip in zip(cuts, spans, clips, strict=True)
        ]
        return [
            WrittenClip(*each) for each in zip(cuts, clips, self.store.add(path, file, parts), strict=True)
        ]

    def _span(self, cut: Cut, file: SourceFile) -> tuple[int, int | None]:
        """Return where a cut begins and ends; behind the recording, if the cut itself begins there."""
        if cut.start is not None and cut.start * self.audio.sample_rate >= file.samples:
            return file.samples, file.samples
        return span(cut, self.audio)
