"""How runs are blended, and how the blend decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from kagglekit.config.base import Count, Section
from kagglekit.config.names import AUTO, DECISIONS, METHODS
from kagglekit.errors import close_match


def _known_method(name: str) -> str:
    return _known(name, METHODS, "ensemble method")


def _known_decision(name: str) -> str:
    return _known(name, DECISIONS, "decision")


def _known(name: str, names: Iterable[str], what: str) -> str:
    if name not in (AUTO, *names):
        raise ValueError(f"no {what} '{name}'; {close_match(name, (AUTO, *names))}")
    return name


class Ensemble(Section):
    """How runs are blended, and how the blend decides."""

    method: Annotated[str, AfterValidator(_known_method)] = "caruana"
    """A method of `kagglekit ensemble`'s table; auto: the one that it chooses."""
    decision: Annotated[str, AfterValidator(_known_decision)] = AUTO
    """A decision of its second table, none for the largest probability; auto: the one that it chooses."""
    rounds: Count = 25
    """Models that a selection picks, with replacement."""
    bags: Count = 20
    """Selections on random halves of the runs that are averaged."""
    seed: int = 0
