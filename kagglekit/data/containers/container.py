"""What the container of an audio file holds, whatever its header says."""

from typing import NamedTuple


class Container(NamedTuple):
    """An audio file whose header says what is there."""

    parts: tuple[bytes, ...]
    """The file, or one for each of the recordings that follow each other in it, each with a true header."""
    cut: bool = False
    """The file is shorter than its header says."""
    message: str = ""
    """What is wrong with it otherwise."""
