"""Each metric against its published definition, in plain loops, on 1,000 random cases; and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kagglekit.config.names import METRICS, Takes
from kagglekit.scoring.metrics import BY_ROW, Metric, make_metric

CASES = 1000
SINGLE_CASES = [name for name, info in METRICS.items() if "single" in info.kinds]
MULTI_CASES = [name for name, info in METRICS.items() if "multi" in info.kinds]

Rows = list[list[bool]]
Values = list[list[float]]


def random_case(number: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A few rows and classes, with ties in every third case, absent classes, and rows without a class."""
    rng = np.random.default_rng(number)
    rows, classes = int(rng.integers(2, 13)), int(rng.integers(2, 6))
    scores = rng.random((rows, classes)) ** 2
    if kind == "single":
        truth = np.arange(classes) == rng.integers(0, classes, rows)[:, None]
        scores /= scores.sum(1, keepdims=True)
    else:
        truth = rng.random((rows, classes)) < rng.choice([0.1, 0.4, 0.8])
    return truth, scores.round(1) if number % 3 == 0 else scores


# --- the definitions ---


def likeliest(row: list[float]) -> int:
    return max(range(len(row)), key=lambda c: (row[c], -c))


def answered(scores: Values, kind: str) -> Rows:
    if kind == "single":
        return [[c == likeliest(row) for c in range(len(row))] for row in scores]
    return [[value >= 0.5 for value in row] for row in scores]


def labels(truth: Rows, scores: Values) -> list[tuple[int, int]]:
    return [(t.index(True), likeliest(s)) for t, s in zip(truth, scores, strict=True)]


def accuracy(truth: Rows, scores: Values, kind: str) -> float:
    pairs = labels(truth, scores)
    return sum(t == a for t, a in pairs) / len(pairs)


def balanced_accuracy(truth: Rows, scores: Values, kind: str) -> float:
    pairs = labels(truth, scores)
    present = sorted({t for t, _ in pairs})
    recalls = [sum(t == a == c for t, a in pairs) / sum(t == c for t, _ in pairs) for c in present]
    return sum(recalls) / len(recalls)


def counts(truth: Rows, answers: Rows, pick: Callable[[int, int], bool]) -> tuple[int, int, int]:
    tp = fp = fn = 0
    for r, (true, answer) in enumerate(zip(truth, answers, strict=True)):
        for c in range(len(true)):
            if pick(r, c):
                tp += true[c] and answer[c]
                fp += answer[c] and not true[c]
                fn += true[c] and not answer[c]
    return tp, fp, fn


def f1(tp: int, fp: int, fn: int) -> float:
    if tp == 0:
        return 0.0
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return 2 * precision * recall / (precision + recall)


def f1_macro(truth: Rows, scores: Values, kind: str) -> float:
    answers, each = answered(scores, kind), []
    for c in range(len(truth[0])):
        one = counts(truth, answers, lambda _, k, c=c: k == c)
        if any(one) or kind == "multi":  # scikit-learn judges the labels that occur, or every column
            each.append(f1(*one))
    return sum(each) / len(each)


def f1_micro(truth: Rows, scores: Values, kind: str) -> float:
    return f1(*counts(truth, answered(scores, kind), lambda r, c: True))


def f1_rows(truth: Rows, scores: Values, kind: str) -> float:
    """As in the competitions: sets of names, an empty one written as `nocall`."""
    total = 0.0
    for true, answer in zip(truth, answered(scores, kind), strict=True):
        actual = {str(c) for c, t in enumerate(true) if t} or {"nocall"}
        guess = {str(c) for c, a in enumerate(answer) if a} or {"nocall"}
        tp, fp, fn = len(actual & guess), len(guess - actual), len(actual - guess)
        total += tp / (tp + (fp + fn) / 2)
    return total / len(truth)


def map_at_k(truth: Rows, scores: Values, kind: str, k: int = 3) -> float:
    total = 0.0
    for true, row in zip(truth, scores, strict=True):
        actual = [c for c in range(len(row)) if true[c]]
        listed = sorted(range(len(row)), key=lambda c: (-row[c], c))[:k]
        hits, score = 0, 0.0
        for place, c in enumerate(listed):
            if c in actual:
                hits += 1
                score += hits / (place + 1)
        total += score / min(len(actual), k) if actual else 0.0
    return total / len(truth)


def lwlrap(truth: Rows, scores: Values, kind: str) -> float:
    precisions = []
    for true, row in zip(truth, scores, strict=True):
        for c in range(len(row)):
            if true[c]:
                above = [other for other in range(len(row)) if row[other] >= row[c]]
                precisions.append(sum(true[other] for other in above) / len(above))
    return sum(precisions) / len(precisions) if precisions else 0.0


def area_in_steps(truth: list[bool], scores: list[float]) -> float:
    """AP = sum over thresholds of (R_n - R_n-1) P_n."""
    area, recall = 0.0, 0.0
    for limit in sorted(set(scores), reverse=True):
        chosen = [t for t, s in zip(truth, scores, strict=True) if s >= limit]
        now = sum(chosen) / sum(truth)
        area += (now - recall) * sum(chosen) / len(chosen)
        recall = now
    return area


def columns(truth: Rows, scores: Values) -> list[tuple[list[bool], list[float]]]:
    return [([t[c] for t in truth], [s[c] for s in scores]) for c in range(len(truth[0]))]


def pooled(truth: Rows, scores: Values) -> tuple[list[bool], list[float]]:
    return [t for row in truth for t in row], [s for row in scores for s in row]


def average_precision(truth: Rows, scores: Values, kind: str) -> float:
    each = [area_in_steps(t, s) for t, s in columns(truth, scores) if any(t)]
    return sum(each) / len(each) if each else 0.0


def average_precision_micro(truth: Rows, scores: Values, kind: str) -> float:
    t, s = pooled(truth, scores)
    return area_in_steps(t, s) if any(t) else 0.0


def average_precision_padded(truth: Rows, scores: Values, kind: str) -> float:
    classes = len(truth[0])
    return average_precision(truth + 5 * [[True] * classes], scores + 5 * [[1.0] * classes], kind)


def auc(truth: list[bool], scores: list[float]) -> float:
    """The chance that a positive is ranked above a negative, a tie counting half (Mann and Whitney)."""
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p, t in zip(scores, truth, strict=True)
        if t
        for n, u in zip(scores, truth, strict=True)
        if not u
    ]
    return sum(wins) / len(wins) if wins else math.nan


def roc_auc(truth: Rows, scores: Values, kind: str) -> float:
    if kind == "single" and len(truth[0]) == 2:
        return auc([t[1] for t in truth], [s[1] for s in scores])
    return auc(*pooled(truth, scores))


def roc_auc_micro(truth: Rows, scores: Values, kind: str) -> float:
    return auc(*pooled(truth, scores))


def roc_auc_macro(truth: Rows, scores: Values, kind: str) -> float:
    each = [auc(t, s) for t, s in columns(truth, scores) if any(t) and not all(t)]
    return sum(each) / len(each) if each else math.nan


def class_balanced_accuracy(truth: Rows, scores: Values, kind: str) -> float:
    """Every (row, class) answer weighs so that classes are alike, and within one positives and negatives."""
    answers, each = answered(scores, kind), []
    for c in range(len(truth[0])):
        positives = [a[c] for t, a in zip(truth, answers, strict=True) if t[c]]
        negatives = [not a[c] for t, a in zip(truth, answers, strict=True) if not t[c]]
        if positives:
            halves = [sum(side) / len(side) for side in (positives, negatives) if side]
            each.append(sum(halves) / len(halves))
    return sum(each) / len(each) if each else math.nan


def log_loss(truth: Rows, scores: Values, kind: str) -> float:
    total = 0.0
    for true, row in zip(truth, scores, strict=True):
        if kind == "single":
            share = row[true.index(True)] / (sum(row) or 1)
            total -= math.log(min(max(share, 1e-15), 1 - 1e-15))
        else:
            for t, s in zip(true, row, strict=True):
                p = min(max(s, 1e-15), 1 - 1e-15)
                total -= (math.log(p) if t else math.log(1 - p)) / len(row)
    return total / len(truth)


def kappa(truth: Rows, scores: Values, kind: str, weights: str = "none") -> float:
    pairs, classes = labels(truth, scores), range(len(truth[0]))
    cost = {"none": lambda d: d != 0, "linear": abs, "quadratic": lambda d: d * d}[weights]
    seen = sum(cost(t - a) for t, a in pairs) / len(pairs)
    chance = 0.0
    for i in classes:
        for j in classes:
            chance += cost(i - j) * sum(t == i for t, _ in pairs) * sum(a == j for _, a in pairs)
    return 1 - seen / (chance / len(pairs) ** 2) if chance else math.nan


def mcc(truth: Rows, scores: Values, kind: str) -> float:
    """The covariance of truth and answer over all classes, by their deviations (Gorodkin's R_K)."""
    pairs, classes = labels(truth, scores), range(len(truth[0]))

    def covariance(left: int, right: int) -> float:
        total = 0.0
        for c in classes:
            x, y = ([pair[side] == c for pair in pairs] for side in (left, right))
            total += sum((a - sum(x) / len(x)) * (b - sum(y) / len(y)) for a, b in zip(x, y, strict=True))
        return total

    spread = covariance(0, 0) * covariance(1, 1)
    return covariance(0, 1) / math.sqrt(spread) if spread > 1e-12 else 0.0


DEFINITIONS = {name: globals()[name] for name in METRICS}


@pytest.mark.parametrize(
    ("name", "kind"), [(n, "single") for n in SINGLE_CASES] + [(n, "multi") for n in MULTI_CASES]
)
def test_it_is_its_definition(name: str, kind: str) -> None:
    metric, worst, defined = make_metric(name, kind), 0.0, 0
    for number in range(CASES):
        truth, scores = random_case(number, kind)
        value = metric.compute(truth, scores)
        expected = DEFINITIONS[name](truth.tolist(), scores.tolist(), kind)
        assert math.isnan(value) == math.isnan(expected), number
        if not math.isnan(expected):
            defined += 1
            worst = max(worst, abs(value - expected))
            assert metric.clip(value) == pytest.approx(value, abs=1e-12)  # within the range that it names
    assert worst < 1e-9
    assert defined > 0.9 * CASES


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_is_its_definition(weights: str) -> None:
    metric = make_metric("kappa", parameters={"weights": weights})
    for number in range(CASES):
        truth, scores = random_case(number, "single")
        expected = kappa(truth.tolist(), scores.tolist(), "single", weights)
        assert metric.compute(truth, scores) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_map_at_any_k_is_its_definition(k: int, kind: str) -> None:
    metric = make_metric("map_at_k", kind, {"k": k})
    for number in range(CASES):
        truth, scores = random_case(number, kind)
        expected = map_at_k(truth.tolist(), scores.tolist(), kind, k)
        assert metric.compute(truth, scores) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(n, k) for n, info in METRICS.items() for k in info.kinds if info.weighted and n != "roc_auc_macro"],
)
def test_a_row_of_weight_two_is_two_rows(name: str, kind: str) -> None:
    metric = make_metric(name, kind)
    for number in range(100):
        truth, scores = random_case(number, kind)
        times = np.random.default_rng(number).integers(1, 4, len(truth))
        twice = metric.compute(np.repeat(truth, times, axis=0), np.repeat(scores, times, axis=0))
        weighted = metric.compute(truth, scores, times.astype(float))
        assert weighted == pytest.approx(twice, abs=1e-9, nan_ok=True)


def scikit_learns(name: str, kind: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """The same metric by scikit-learn."""
    import sklearn.metrics as sk

    true, answer = truth.argmax(1), scores.argmax(1)
    if kind == "multi":
        true, answer = truth, scores >= 0.5
    functions = {
        "accuracy": lambda: sk.accuracy_score(true, answer),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(true, answer),
        "f1_macro": lambda: sk.f1_score(true, answer, average="macro"),
        "f1_micro": lambda: sk.f1_score(true, answer, average="micro"),
        "kappa": lambda: sk.cohen_kappa_score(true, answer),
        "mcc": lambda: sk.matthews_corrcoef(true, answer),
        "log_loss": lambda: sk.log_loss(true, scores),
        "average_precision": lambda: sk.average_precision_score(truth, scores, average="macro"),
        "average_precision_micro": lambda: sk.average_precision_score(truth, scores, average="micro"),
        "roc_auc_macro": lambda: sk.roc_auc_score(truth, scores, average="macro"),
        "roc_auc_micro": lambda: sk.roc_auc_score(truth, scores, average="micro"),
        "lwlrap": lambda: sk.label_ranking_average_precision_score(truth, scores, sample_weight=truth.sum(1)),
    }
    return float(functions[name]())


@pytest.mark.parametrize("decimals", [2, 9])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((n, "single") for n in ("accuracy", "balanced_accuracy", "kappa", "mcc", "log_loss")),
        *((n, k) for n in ("f1_macro", "f1_micro", "roc_auc_macro") for k in ("single", "multi")),
        *((n, "multi") for n in ("average_precision", "average_precision_micro", "roc_auc_micro", "lwlrap")),
    ],
)
def test_it_is_scikit_learns(name: str, kind: str, decimals: int) -> None:
    pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing: pip install -e '.[dev]'")
    rng = np.random.default_rng(1)
    scores = rng.random((400, 6))
    truth = rng.random((400, 6)) < 0.2
    if kind == "single":
        truth = np.arange(6) == rng.integers(0, 6, 400)[:, None]
        scores /= scores.sum(1, keepdims=True)
    if name != "log_loss":  # scikit-learn warns of rows that do not add up to 1
        scores = scores.round(decimals)
    assert make_metric(name, kind).compute(truth, scores) == pytest.approx(
        scikit_learns(name, kind, truth, scores), abs=1e-9
    )


# --- by hand ---

ONE = np.eye(3, dtype=bool)[[0, 1, 2, 0]]
GUESS = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.2, 0.7, 0.1]])  # answers 0, 0, 2, 1
SETS = np.array([[True, True, False], [False, False, True], [False, False, False]])
PROBS = np.array([[0.9, 0.2, 0.6], [0.1, 0.3, 0.7], [0.4, 0.3, 0.2]])  # answers {0, 2}, {2}, {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 2 / 4),
        ("balanced_accuracy", (1 / 2 + 0 + 1) / 3),
        ("f1_macro", (1 / 2 + 0 + 1) / 3),
        ("f1_micro", 2 / 4),
        ("f1_rows", 2 / 4),
        ("map_at_k", (1 + 1 / 2 + 1 + 1 / 2) / 4),
        ("lwlrap", (1 + 1 / 2 + 1 + 1 / 2) / 4),
        ("log_loss", -math.log(0.8 * 0.4 * 0.5 * 0.2) / 4),
        ("kappa", (2 / 4 - 6 / 16) / (1 - 6 / 16)),
        ("mcc", (8 - 6) / (16 - 6)),
        ("roc_auc_macro", (2.5 / 4 + 2 / 3 + 1) / 3),
    ],
)
def test_one_class_a_row_by_hand(name: str, expected: float) -> None:
    assert make_metric(name).compute(ONE, GUESS) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f1_rows", (2 / 4 + 1 + 1) / 3),  # {0, 1} against {0, 2}; {2} against {2}; nothing against nothing
        ("f1_micro", 2 * 2 / (2 * 2 + 1 + 1)),
        ("f1_macro", (1 + 0 + 2 / 3) / 3),
        ("class_balanced_accuracy", (1 + (0 + 1) / 2 + (1 + 1 / 2) / 2) / 3),
        ("lwlrap", (1 + 2 / 3 + 1) / 3),
        ("average_precision", (1 + 1 / 3 + 1) / 3),
        ("roc_auc", (6 + 6 + 1.5) / 18),  # 0.9 and 0.7 are above all, 0.2 above 0.1 and beside 0.2
        ("map_at_k", ((1 + 2 / 3) / 2 + 1 + 0) / 3),
    ],
)
def test_several_classes_a_row_by_hand(name: str, expected: float) -> None:
    assert make_metric(name, "multi").compute(SETS, PROBS) == pytest.approx(expected, abs=1e-12)


def test_padding_gives_an_absent_class_a_score() -> None:
    """A class without a positive row: five ones at the top, AP 1. BirdCLEF 2023 averages all classes."""
    truth = np.array([[True, False], [False, False]])
    scores = np.array([[0.1, 0.4], [0.6, 0.3]])
    expected = ((5 * 1 + 6 / 7) / 6 + 1) / 2
    assert make_metric("average_precision_padded", "multi").compute(truth, scores) == pytest.approx(expected)


def test_two_classes_are_one_question() -> None:
    """A whale clip: the probability of the second class is what is submitted."""
    truth = np.array([[True, False], [False, True], [False, True], [True, False]])
    p = np.array([0.2, 0.9, 0.3, 0.6])
    scores = np.stack([1 - p, p], axis=1)
    assert make_metric("roc_auc").compute(truth, scores) == 3 / 4
    assert make_metric("roc_auc").compute(truth[:, ::-1], scores[:, ::-1]) == 3 / 4


def known_alone(name: str, truth: np.ndarray, scores: np.ndarray, known: np.ndarray) -> float:
    """The definition, on lists from which unknown pairs are gone."""
    define = DEFINITIONS[name]
    if name in BY_ROW:
        some = [
            ([bool(t) for t in true[k]], row[k].tolist())
            for true, row, k in zip(truth, scores, known, strict=True)
            if k.any()
        ]
        return define([t for t, _ in some], [s for _, s in some], "multi") if some else math.nan
    if (
        name in ("f1_macro", "average_precision", "average_precision_padded", "roc_auc_macro")
        or "class" in name
    ):
        each = []
        for c in range(truth.shape[1]):
            t, s = truth[known[:, c], c][:, None].tolist(), scores[known[:, c], c][:, None].tolist()
            if name == "average_precision_padded" and not t:
                each.append(1.0)  # the rows of ones alone
            elif t and (any(row[0] for row in t) or name != "average_precision"):
                each.append(define(t, s, "multi"))
        each = [value for value in each if not math.isnan(value)]
        return sum(each) / len(each) if each else 0.0 if name == "average_precision" else math.nan
    return define(truth[known][:, None].tolist(), scores[known][:, None].tolist(), "multi")


@pytest.mark.parametrize("name", MULTI_CASES)
def test_unknown_pairs_count_neither_as_present_nor_as_absent(name: str) -> None:
    metric, compared = make_metric(name, "multi"), 0
    for number in range(300):
        truth, scores = random_case(number, "multi")
        known = np.random.default_rng(number).random(truth.shape) < 0.7
        if not known.any():
            continue
        value = metric.compute(truth, scores, known=known)
        expected = known_alone(name, truth, scores, known)
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True), number
        assert metric.compute(truth ^ ~known, scores, known=known) == pytest.approx(value, nan_ok=True)
        compared += metric.compute(truth, scores) != value
    assert compared > 100
    truth, scores = random_case(1, "multi")
    assert metric.compute(truth, scores, known=np.ones(truth.shape, bool)) == metric.compute(truth, scores)


def test_a_metric_that_cannot_take_rows_apart_leaves_them_out() -> None:
    metric = Metric(
        "distance", lambda truth, scores: float(np.abs(truth - scores).mean()), Takes.RANKS, "multi"
    )
    metric = replace(metric, weighted=False)
    truth, scores = random_case(1, "multi")
    known = np.ones(truth.shape, bool)
    known[0, 1] = False
    assert metric.compute(truth, scores, known=known) == metric.compute(truth[1:], scores[1:])
    assert math.isnan(metric.compute(truth, scores, known=np.zeros(truth.shape, bool)))
