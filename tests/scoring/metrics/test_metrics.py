"""The registry: names, parameters, label kinds, directions, answers, and metrics of other packages."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kagglekit.config.names import METRIC_ALIASES, METRICS, Takes
from kagglekit.errors import ConfigError
from kagglekit.scoring import metrics
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.metrics.ranks import average_precisions

RNG = np.random.default_rng(0)


def test_names_and_functions_are_the_same() -> None:
    assert metrics.MEASURES.keys() == METRICS.keys()
    assert set(METRIC_ALIASES.values()) <= METRICS.keys()
    assert {name for name, info in METRICS.items() if info.takes == Takes.DECISIONS} == set(metrics.ANSWERS)


def test_the_earlier_name_reads() -> None:
    assert make_metric("map", "multi").name == "average_precision"


def test_of_the_best_the_worst_and_nothing() -> None:
    truth = np.array([[True, False, True], [False, True, False]])
    lwlrap, macro = make_metric("lwlrap", "multi"), make_metric("average_precision", "multi")
    assert lwlrap(truth, truth.astype(float)) == macro(truth, truth.astype(float)) == 1.0
    assert lwlrap(truth, 1.0 - truth) == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    nothing = np.zeros((2, 3), bool)
    assert lwlrap(nothing, RNG.random((2, 3))) == macro(nothing, RNG.random((2, 3))) == 0.0
    assert math.isnan(make_metric("roc_auc_macro", "multi")(nothing, RNG.random((2, 3))))
    one = np.array([[True, False], [False, False]])
    assert np.isnan(average_precisions(one, RNG.random((2, 2)))[1])  # a class without rows counts for nothing


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_perfect_scores_reach_the_better_end_of_the_range(name: str, kind: str) -> None:
    if kind not in METRICS[name].kinds:
        with pytest.raises(ConfigError, match=f"the metric {name} does not fit rows of label kind multi"):
            make_metric(name, kind)
        return
    metric, truth = make_metric(name, kind), np.eye(4, dtype=bool)
    best = metric.compute(truth, truth.astype(float))
    assert best == pytest.approx(metric.low if metric.lower_is_better else metric.high, abs=1e-12)
    worse = metric.compute(truth, np.roll(truth, 1, axis=0).astype(float))
    assert metric.better(best, worse) and not metric.better(worse, best) and metric.gain(best, worse) > 0


def test_answers_are_judged_as_given() -> None:
    truth = np.array([[True, False, False], [False, True, True]])
    top = make_metric("map_at_k", "multi", {"k": 2})
    assert top.of_answers(truth, np.array([[1, 0], [2, 1]])) == pytest.approx((1 / 2 + 1) / 2)
    assert top.of_answers(truth, np.array([[0, 0], [2, 2]])) == pytest.approx((1 + 1 / 2) / 2)  # once each
    assert top.of_answers(truth, np.array([[-1, -1], [2, -1]])) == pytest.approx((0 + 1 / 2) / 2)
    sets = make_metric("f1_rows", "multi")
    assert sets.of_answers(truth, truth) == 1.0
    one = np.eye(3, dtype=bool)
    assert make_metric("accuracy").of_answers(one, np.array([0, 1, -1])) == pytest.approx(2 / 3)
    assert make_metric("f1_micro").of_answers(one, np.array([0, 1, 1])) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="takes ranks, not answers"):
        make_metric("lwlrap", "multi").of_answers(truth, truth)


def test_a_label_that_is_no_class_is_never_right() -> None:
    truth = np.array([[True, False], [False, False]])
    scores = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert make_metric("accuracy")(truth, scores) == 0.5
    assert make_metric("mcc")(truth, scores) == 0.0
    assert make_metric("log_loss")(truth, scores) == pytest.approx((-math.log(0.9) - math.log(1e-15)) / 2)


def test_direction_and_order() -> None:
    loss, auc = make_metric("log_loss"), make_metric("roc_auc")
    assert (loss.direction, auc.direction) == ("minimize", "maximize")
    values = [0.7, 0.2, math.nan, 1.9]
    assert loss.best(values, float) == 0.2 and auc.best(values, float) == 1.9
    assert loss.ranked(values, float)[:3] == [0.2, 0.7, 1.9]
    assert loss.best([], float) is None
    assert not loss.better(math.nan, 5.0) and loss.better(5.0, math.nan)
    assert (loss.clip(1.7), loss.clip(-0.1)) == (1.7, 0.0)
    assert make_metric("kappa").clip(-0.3) == -0.3
    assert auc.difference(0.0123) == "+1.2" and loss.difference(-0.0123) == "-0.0123"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("map_at_k", {"k": 0}, "k of the metric map_at_k must be a number from 1, not 0"),
        ("map_at_k", {"K": 3}, "the metric map_at_k has no parameter 'K'"),
        (
            "kappa",
            {"weights": "cubic"},
            "weights of the metric kappa must be none, linear, quadratic, not 'cubic'",
        ),
        ("accuracy", {"k": 3}, "the metric accuracy has no parameter 'k'; it has none"),
        ("roc_acu", {}, "there is no metric 'roc_acu'"),
    ],
)
def test_wrong_parameters(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_metric(name, parameters=parameters)


# --- metrics of other packages ---

PACKAGE = """
from kagglekit.config.names import Takes
from kagglekit.scoring.metrics import Metric

def make(power=1):
    def error(truth, scores):
        return (abs(truth - scores) ** power).mean()
    return Metric("", error, Takes.PROBABILITIES, high=None, lower_is_better=True, weighted=False)

def number():
    return 3
"""


ENTRY_POINTS = """[kagglekit.metrics]
distance = distance_metrics:make
number = distance_metrics:number
gone = distance_metrics:gone
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small package, installed by pip from a wheel."""
    wheel = tmp_path_factory.mktemp("wheels") / "distance_metrics-1.0-py3-none-any.whl"
    info = "distance_metrics-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("distance_metrics.py", PACKAGE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: distance-metrics\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", ENTRY_POINTS)
        archive.writestr(f"{info}/RECORD", "")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", target, wheel], check=True, capture_output=True)
    return target


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    metrics._entry_point.cache_clear()
    yield
    metrics._entry_point.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_package_adds_a_metric() -> None:
    metric = make_metric("distance", "multi", {"power": 2})
    assert (metric.name, metric.kind, metric.direction) == ("distance", "multi", "minimize")
    truth, scores = np.array([[True, False]]), np.array([[0.5, 0.2]])
    assert metric.compute(truth, scores) == pytest.approx((0.25 + 0.04) / 2)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("distance", {"base": 2}, "the metric distance cannot be made with base=2: .*unexpected keyword"),
        ("number", {}, "the metric number is a int, not a Metric"),
        ("gone", {}, "the metric gone cannot be imported from distance_metrics:gone"),
        ("distanse", {}, "there is no metric 'distanse'"),
    ],
)
def test_a_broken_metric_of_a_package(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_metric(name, parameters=parameters)
