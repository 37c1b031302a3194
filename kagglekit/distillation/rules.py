"""The rule by which test clips are pseudo-labelled, and what an audit says of it."""

from collections.abc import Mapping
from typing import NamedTuple

MIN_CLIPS = 20  # of a class above a threshold: the precision of fewer is noise
MAX_ERRORS = 2.0  # a class with more than this many times the errors that the rule allows is excluded
NEVER = 2.0  # a threshold that no probability reaches


class PseudoLabelRule(NamedTuple):
    """When a test clip gets a pseudo-label."""

    agree: int
    """Minimum number of runs whose answer is that of their mean."""
    precision: float
    """Minimum precision of pseudo-labels on OOF."""
    share: float
    """Maximum share of pseudo-labelled clips in a fold's training."""
    seed: int = 0
    """Seed of the draw where there are too many clips."""


class Audit(NamedTuple):
    """The rule applied to OOF, where labels are known."""

    coverage: float
    """Share of the OOF clips that get a pseudo-label, weighted as the test has them; where a clip may have
    several classes, of the pairs of a clip and a class."""
    precision: float
    """Share of those whose pseudo-label is right; where a clip may have several classes, of those present."""
    by_class: dict[str, tuple[int, float]]
    """Pseudo-labelled clips of each class, and their precision."""
    left_out: tuple[str, ...]
    """Classes that are wrong too often; counted only in their own row."""
    absent: Mapping[str, tuple[int, float]] = {}
    """Clips said to lack each class, and the share that does, where a clip may have several classes."""
