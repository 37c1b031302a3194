"""A case: a bad input, and the commands that are run on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from support.bad_box import Box
from support.outcome import Outcome

Damage = Callable[[Box], None]


class NotHereError(Exception):
    """This machine cannot make this bad input."""


@dataclass(frozen=True)
class Case:
    """One bad input."""

    section: str
    what: str
    stage: str
    slow: bool
    damage: Damage

    def run(self, folder: Path) -> list[Outcome]:
        """Run the case in a new folder."""
        box = Box(folder, self.stage)
        self.damage(box)
        return box.shown


CASES: list[Case] = []


class Register(Protocol):
    """Registers a function that damages a box of a stage, runs commands on it and checks their messages."""

    def __call__(
        self, what: str, stage: str = "host", *, slow: bool = False
    ) -> Callable[[Damage], Damage]: ...


def section(title: str) -> Register:
    """Return the decorator that registers the cases of a section."""

    def case(what: str, stage: str = "host", *, slow: bool = False) -> Callable[[Damage], Damage]:
        def register(damage: Damage) -> Damage:
            CASES.append(Case(title, what, stage, slow, damage))
            return damage

        return register

    return case
