"""`Metric`: what a competition measures, which direction is better, and what it takes of a submission."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kagglekit.config.names import Takes
from kagglekit.scoring.numerics import SAME, levels

Truth = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
Answers = NDArray[Any]

THRESHOLD = 0.5  # of a probability, at which a class of several is answered by default

T = TypeVar("T")


@dataclass(frozen=True)
class Metric:
    """A metric of true classes and of scores or answers."""

    name: str
    measure: Callable[..., float]
    """Called with truth (rows, classes), the scores or answers, and where `weighted` with weights (rows,)."""
    takes: Takes
    kind: str = "single"
    """Label kind of the task: single or multi."""
    answer: Literal["class", "set", "top_k"] | None = None
    """Answers that `measure` gets, as `decide` returns them; None: it gets scores."""
    k: int = 1
    """Number of classes in a top-k answer."""
    least: int = 0
    """Least number of classes in a set that `decide` answers, and `most`, None: any number."""
    most: int | None = None
    low: float | None = 0.0
    """Lowest value; None: unbounded."""
    high: float | None = 1.0
    lower_is_better: bool = False
    weighted: bool = True
    """Whether it is defined for rows of unequal weight."""
    kinds: tuple[str, ...] = ("single", "multi")
    """Label kinds that it fits."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """All of them, defaults included."""
    unknown: Literal["pairs", "rows"] | None = None
    """What is left out where it is unknown if a row has a class. pairs: `measure` takes weights of each pair
    (rows, classes), 0 for unknown ones. rows: the class, from the row's ranking or set, by a score of -inf.
    None: all of the row, which `measure` cannot take apart."""

    def __call__(
        self, truth: Truth, scores: Scores, weight: Scores | None = None, known: Truth | None = None
    ) -> float:
        return self.compute(truth, scores, weight, known)

    def compute(
        self, truth: Truth, scores: Scores, weight: Scores | None = None, known: Truth | None = None
    ) -> float:
        """Compute the metric of scores; where it takes decisions, of those that `decide` makes.

        Args:
            truth: (rows, classes), whether each class is true of each row.
            scores: (rows, classes), probabilities; of any monotone scale where `takes` is ranks.
            weight: (rows,), >= 0, on any scale; None: all rows alike.
            known: (rows, classes), whether it is known if the row has the class; None: of all. Pairs that are
                unknown are left out: they count neither as present nor as absent.

        Returns:
            The value; NaN where the metric is undefined, such as an AUC without a positive.
        """
        if known is not None and not known.all():
            return self._of_known(truth, scores, weight, known)
        return self._measure(truth, scores if self.answer is None else self.decide(scores), weight)

    def _of_known(self, truth: Truth, scores: Scores, weight: Scores | None, known: Truth) -> float:
        """Compute the metric without the (row, class) pairs that are unknown; NaN where nothing is left."""
        whole = known.any(1) if self.unknown else known.all(1)
        truth, scores, known = truth[whole], scores[whole], known[whole]
        weight = np.ones(len(truth)) if weight is None else weight[whole]
        if not len(truth):
            return math.nan
        scores, truth = np.where(known, scores, -np.inf), truth & known
        given = scores if self.answer is None else self.decide(scores)
        if self.unknown != "pairs":
            return self._measure(truth, given, weight)
        return float(self.measure(truth, given, weight[:, None] * known))

    def of_answers(self, truth: Truth, answers: Answers, weight: Scores | None = None) -> float:
        """Compute the metric of answers, in the shapes that `decide` returns.

        Raises:
            ValueError: the metric takes scores, not answers.
        """
        if self.answer is None:
            raise ValueError(f"the metric {self.name} takes {self.takes}, not answers")
        return self._measure(truth, answers, weight)

    def decide(self, scores: Scores) -> Answers:
        """Turn scores (rows, classes) into answers by the default rule.

        Returns:
            The k likeliest classes (rows, k), the likeliest first, where the metric is of top-k lists; the
            index of the likeliest class (rows,) where a row has one class; else what `decide_sets` returns.
        """
        if self.answer == "top_k":
            return np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        return scores.argmax(1) if self.kind == "single" else self.decide_sets(scores)

    def decide_sets(self, scores: Scores) -> Truth:
        """Return which classes have at least THRESHOLD, `least` to `most` of them a row: (rows, classes)."""
        chosen: Truth = scores >= THRESHOLD
        if not self.least and self.most is None:
            return chosen
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(chosen, order, 1)
        ranked[:, : self.least] = True
        if self.most is not None:
            ranked[:, self.most :] = False
        np.put_along_axis(chosen, order, ranked, 1)
        return chosen

    def _measure(self, truth: Truth, given: NDArray[Any], weight: Scores | None) -> float:
        if self.answer == "set" and given.ndim == 1:
            given = given[:, None] == np.arange(truth.shape[1])
        if not self.weighted:
            return float(self.measure(truth, given))
        return float(self.measure(truth, given, np.ones(len(truth)) if weight is None else weight))

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """The direction of a search, in Optuna's words."""
        return "minimize" if self.lower_is_better else "maximize"

    @property
    def title(self) -> str:
        """The name with the parameters: `map_at_k k=3`."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])

    def gain(self, value: float, base: float) -> float:
        """Return how much better `value` is than `base`; negative where it is worse."""
        return base - value if self.lower_is_better else value - base

    def better(self, value: float, than: float) -> bool:
        """Tell whether a value is better than another one by more than rounding; NaN is the worst value."""
        return self.order(value) > self.order(than) + SAME

    def order(self, value: float) -> float:
        """Return a number that grows with how good a value is: the key of sorted() and max()."""
        return -math.inf if math.isnan(value) else -value if self.lower_is_better else value

    def best(self, items: Iterable[T], value: Callable[[T], float]) -> T | None:
        """Return the first item with the best value; None without any."""
        return next(iter(self.ranked(items, value)), None)

    def ranked(self, items: Iterable[T], value: Callable[[T], float]) -> list[T]:
        """Return the items, the best first; in their order where values differ by rounding alone."""
        listed = list(items)
        order = np.argsort(-levels([self.order(value(item)) for item in listed]), kind="stable")
        return [listed[place] for place in order]

    def clip(self, value: float) -> float:
        """Return the value, moved into the metric's range."""
        low, high = self.low, self.high
        value = value if low is None else max(value, low)
        return value if high is None else min(value, high)

    @property
    def in_points(self) -> bool:
        """Whether differences are given in points, hundredths of the range: a share is, a loss is not."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def unit(self) -> str:
        """The unit of differences: " points", or "" for a metric without."""
        return " points" if self.in_points else ""

    def points(self, gain: float, error: float) -> str:
        """Write a gain with its standard error: "+1.20 ± 0.30 points", or "+0.0120 ± 0.0030"."""
        if self.in_points:
            return f"{round(100 * gain, 2) + 0.0:+.2f} ± {100 * error:.2f} points"
        return f"{round(gain, 4) + 0.0:+.4f} ± {error:.4f}"

    def difference(self, value: float, digits: int = 1) -> str:
        """Write a difference of two values: "+1.2" in points, or "+0.0123" for a metric without points."""
        return f"{round(100 * value, digits) + 0.0:+.{digits}f}" if self.in_points else f"{value:+.4f}"
