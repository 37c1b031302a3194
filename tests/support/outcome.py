"""What a command left on the screen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a command did, without the paths of this machine."""

    command: str
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        return self.err.partition("error: ")[2].partition("\nhint:")[0].strip()

    @property
    def hint(self) -> str:
        return self.err.partition("\nhint:")[2].strip()
