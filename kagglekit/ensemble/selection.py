"""Ensemble selection with replacement on out-of-fold predictions, bagged.

Caruana et al. 2004, "Ensemble selection from libraries of models"
(https://doi.org/10.1145/1015330.1015432): greedy picks with replacement, started from the best few
models, averaged over selections on random halves of the models against overfitting.

Running sums make each pick cheap: a clip is right when, summed over the picks, no class beats the true one.
Clips that every model agrees on are right or wrong for any blend and are set aside beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.ensemble.blends import Mean
from kagglekit.errors import KagglekitError
from kagglekit.scoring.metrics import Metric, Truth
from kagglekit.scoring.numerics import SAME, SMALLEST, Floats, levels
from kagglekit.scoring.oof import Ints

SMALLEST_BAG = 5  # simulated, 10 seeds: bags of 2 of 4 models end 0.4 to 0.8 points below all 4
MAX_INITIAL = 5  # the paper starts from its best 5 to 25 of 2,000 models; our libraries hold tens
BLOCK = 1024  # clips at once: 10 candidates x ~4 rivals x 1,024 float32 = 164 kB, within a core's L2


def select(probs: Floats, target: Ints, weight: Floats, *, rounds: int, bags: int, seed: int) -> Floats:
    """Choose weights by the highest weighted accuracy; of equals by the lowest weighted log-loss.

    The blend is never less accurate on these clips than the best single model.

    Args:
        probs: (models, clips, classes), out-of-fold class probabilities.
        target: (clips,), index of the true class.
        weight: (clips,), >= 0, on any scale.
        rounds: picks in a selection, the first models included; its best prefix is kept.
        bags: selections averaged, each among a random half of the models, five at least, the best one always.
        seed: decides which models share a bag.

    Returns:
        (models,), >= 0, summing to 1.

    Raises:
        KagglekitError: a model's probabilities are not finite, or no clip has a weight.
    """
    if not np.isfinite(probs).all():
        bad = next(number for number, model in enumerate(probs, start=1) if not np.isfinite(model).all())
        raise KagglekitError(
            f"the probabilities of model {bad} of {len(probs)} are not all finite",
            hint="leave that model out of the ensemble, or train it again",
        )
    if not weight.sum() > 0:
        raise KagglekitError(
            f"none of {len(weight):,} clips has a weight above 0",
            hint="check validation.prior in competition.yaml",
        )
    share = weight / weight.sum()

    def accuracy(weights: Floats) -> float:
        right: NDArray[np.bool_] = Mean(weights)(probs).argmax(axis=1) == target
        return float(right @ share)

    ranked = _library(probs, target, share)
    single: Floats = np.eye(len(probs))[ranked.order[0]]
    if len(probs) == 1:
        return single
    floor = accuracy(single) - SAME
    weights = _bagged(ranked, rounds, bags, np.random.default_rng(seed))
    if accuracy(weights) < floor:  # a mean of good selections can be a worse blend than each of them
        weights = _shares(_grow(ranked, rounds), len(probs))
    return weights if accuracy(weights) >= floor else single


def greedy(probs: Floats, target: Ints, weight: Floats, *, rounds: int) -> Floats:
    """Make one selection from an empty start, without bags, like AutoGluon's EnsembleSelection.

    Of equals, models that are picked already win over a lower log-loss, and the shortest of the best prefixes
    is kept (autogluon.core, models/greedy_ensemble/ensemble_selection.py, with tie_breaker
    "second_metric").

    Arguments and result as those of `select`.
    """
    library = _library(probs, target, weight / weight.sum())
    return _shares(_grow(library, rounds, initial=0, thrifty=True), len(probs))


def greedy_by_metric(
    probs: Floats,
    truth: Truth,
    metric: Metric,
    weight: Floats | None = None,
    known: Truth | None = None,
    *,
    rounds: int,
) -> Floats:
    """Make one selection with replacement by a metric, and keep the shortest of its best prefixes.

    Of models that are equally good, one that is picked already comes first, then the first in order.

    Args:
        probs: (models, clips, classes).
        truth: (clips, classes).
        metric: of `truth` and the mean of probabilities.
        weight: (clips,), on any scale; None: all clips alike.
        rounds: picks.
        known: (clips, classes), whether it is known if the clip has the class; None: of all.

    Returns:
        (models,), >= 0, summing to 1.
    """
    picks: list[int] = []
    scores: list[float] = []
    total = np.zeros(probs.shape[1:])
    for _ in range(rounds):
        means = ((total + model) / (len(picks) + 1) for model in probs)
        candidates = [metric.order(metric(truth, mean, weight, known)) for mean in means]
        equals = np.flatnonzero(_best(candidates)).tolist()
        picks.append(next((m for m in equals if m in picks), equals[0]))
        scores.append(max(candidates))
        total += probs[picks[-1]]
    best = np.array(picks[: int(_best(scores).argmax()) + 1])
    return _shares(best, len(probs))


def _best(scores: Sequence[float]) -> NDArray[np.bool_]:
    """Mark the highest scores, and those that are lower by rounding alone."""
    level = levels(scores)
    equal: NDArray[np.bool_] = level == level.max()
    return equal


class _Library(NamedTuple):
    """The models to select from, the best first."""

    order: Ints  # (models,): their places in the caller's arrays
    margins: Floats  # (models, classes, open clips): probability minus the true class's, rivals first
    rivals: Ints  # (open clips,), descending: classes that some model prefers to the true one
    open_share: Floats  # (open clips,): of clips that a blend can get right or wrong
    sure: float  # share of the clips that every blend gets right
    hits: Floats  # (models, clips): probability of the true class
    share: Floats  # (clips,), summing to 1

    def subset(self, places: Ints) -> _Library:
        """Return the models at some places, ascending."""
        return self._replace(order=self.order[places], margins=self.margins[places], hits=self.hits[places])

    def accuracies(self, total: Floats, candidates: slice) -> Floats:
        """Return the weighted accuracy of `total` (classes, open clips) plus each candidate's margins."""
        margins = self.margins[candidates]
        result = np.full(len(margins), self.sure)
        for start in range(0, len(self.open_share), BLOCK):
            rows, most = slice(start, start + BLOCK), self.rivals[start]
            best_wrong = (total[:most, rows] + margins[:, :most, rows]).max(axis=1)
            result += (best_wrong < 0) @ self.open_share[rows]
        return result

    def losses(self, total: Floats, candidates: Ints, picks: int) -> Floats:
        """Return the weighted log-loss of each candidate when it joins `picks` models with hits `total`."""
        hits = (total + self.hits[candidates]) / (picks + 1)
        return -np.log(np.maximum(hits, SMALLEST)) @ self.share


def _library(probs: Floats, target: Ints, share: Floats) -> _Library:
    """Gather all models, the most accurate first, with float32 margins."""
    models, clips, classes = probs.shape
    margins = np.empty((models, classes, clips), np.float32)
    hits = np.empty((models, clips), np.float32)
    each_clip = np.arange(clips)
    for m in range(models):
        hits[m] = probs[m, each_clip, target]
        margins[m] = probs[m].T - hits[m]
        margins[m, target, each_clip] = -np.inf
    rivals = margins.max(axis=0) >= 0  # (classes, clips)
    count = rivals.sum(axis=0)
    always_wrong = (margins >= 0).all(axis=0).any(axis=0)  # every model prefers the same wrong class
    clip = np.argsort(-count, kind="stable")
    clip = clip[((count > 0) & ~always_wrong & (share > 0))[clip]]
    rivals_first = np.argsort(~rivals[:, clip], axis=0, kind="stable")
    library = _Library(
        order=np.arange(models),
        margins=np.stack([margins[m][rivals_first, clip] for m in range(models)]),
        rivals=count[clip],
        open_share=share[clip],
        sure=float(share[count == 0].sum()),
        hits=hits,
        share=share,
    )
    nothing = np.zeros_like(library.margins[0])
    accuracies = library.accuracies(nothing, slice(None))
    losses = library.losses(np.zeros_like(hits[0]), library.order, picks=0)
    return library.subset(np.lexsort((levels(losses), -levels(accuracies))))


def _bagged(ranked: _Library, rounds: int, bags: int, rng: np.random.Generator) -> Floats:
    """Average the weights of selections among random halves of the models, each with the best model."""
    models = len(ranked.order)
    others = min(models, max(SMALLEST_BAG, (models + 1) // 2)) - 1
    draws = [(0, *sorted(rng.choice(np.arange(1, models), others, replace=False))) for _ in range(bags)]
    # Few models give few different bags: each is grown once.
    grown = {places: _grow(ranked.subset(np.array(places)), rounds) for places in set(draws)}
    mean: Floats = np.mean([_shares(grown[places], models) for places in draws], axis=0)
    return mean


def _shares(picks: Ints, models: int) -> Floats:
    """Return how often each model was picked, (models,), summing to 1."""
    return np.bincount(picks, minlength=models) / len(picks)


def _grow(library: _Library, rounds: int, initial: int = MAX_INITIAL, thrifty: bool = False) -> Ints:
    """Make one greedy selection with replacement, started from the `initial` best models.

    Returns:
        (picks,), indices of the best prefix of picks in the caller's arrays.
    """
    selection = _Selection(library, thrifty)
    for place in range(min(initial, len(library.order), rounds)):
        selection.pick_from(slice(place, place + 1))
    if initial:
        selection.keep_best_prefix()
    while len(selection.picks) < rounds:
        selection.pick_from(slice(None))
    return library.order[selection.picks[: selection.best_prefix()]]


class _Selection:
    """The picks so far, with the sums that make the next one cheap.

    A thrifty selection prefers fewer models to a lower log-loss, as AutoGluon does.
    """

    def __init__(self, library: _Library, thrifty: bool) -> None:
        self.library = library
        self.thrifty = thrifty
        self.picks: list[int] = []
        self.scores: list[tuple[float, float]] = []  # accuracy and log-loss after each pick
        self.margins = np.zeros_like(library.margins[0])
        self.hits = np.zeros_like(library.hits[0])

    def pick_from(self, candidates: slice) -> None:
        """Add the candidate with the best blend; of equals one already picked, else the better model."""
        accuracies = self.library.accuracies(self.margins, candidates)
        tied = np.flatnonzero(accuracies >= accuracies.max() - SAME)
        places = np.arange(len(self.library.order))[candidates][tied]
        if self.thrifty and np.isin(places, self.picks).any():
            places = places[np.isin(places, self.picks)]
        losses = self.library.losses(self.hits, places, len(self.picks))
        equals = places[losses <= losses.min() + SAME].tolist()
        place = next((m for m in equals if m in self.picks), equals[0])
        self.picks.append(place)
        self.scores.append((float(accuracies.max()), float(losses.min())))
        self.margins += self.library.margins[place]
        self.hits += self.library.hits[place]

    def best_prefix(self) -> int:
        """Return the number of picks at the best score, the first of equals."""
        accuracies, losses = np.array(self.scores).T
        best = np.flatnonzero(_best(accuracies))
        if not self.thrifty:
            best = best[_best(-losses[best])]
        return int(best[0]) + 1

    def keep_best_prefix(self) -> None:
        """Forget the picks after the best score."""
        best = self.best_prefix()
        del self.picks[best:], self.scores[best:]
        self.margins = self.library.margins[self.picks].sum(axis=0)
        self.hits = self.library.hits[self.picks].sum(axis=0)
