"""Grading by every metric: labels, and probabilities of one or several classes a row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kagglekit.config import Config
from kagglekit.config.names import METRICS
from kagglekit.errors import HostError
from kagglekit.hosts.base import HostFile
from kagglekit.hosts.local_grading import Grade, Grader
from kagglekit.scoring.metrics import make_metric

CLASSES = ("a", "b", "c")
ROWS = 12
RNG = np.random.default_rng(0)
TRUTH = np.eye(3, dtype=bool)[np.arange(ROWS) % 3]
PROBS = RNG.dirichlet([1, 1, 1], ROWS).round(6)
IDS = [f"{row}.wav" for row in range(ROWS)]


def grader(folder: Path, metric: str, labels: list[str], columns: dict[str, Any]) -> Grader:
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"fname": IDS, **columns}).write_csv(folder / "sample.csv")
    usage = ["Public"] * 6 + ["Private"] * 6
    pl.DataFrame({"fname": IDS, "label": labels, "Usage": usage}).write_csv(folder / "solution.csv")
    local = {"files": folder, "solution": folder / "solution.csv"}
    config = Config.model_validate(
        {
            "competition": {"slug": "tiny", "host": "local", "local": local, "metric": metric},
            "labels": {"classes": CLASSES},
            "data": {
                "sample": "sample.csv",
                "train": {"files": "train/*/*.wav", "label": "folder"},
                "test": {"files": "test/*.wav"},
            },
            "submission": {"id": "fname"},
        }
    )
    return Grader(config, lambda: [HostFile("sample.csv", None, None)])


def csv(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"fname": IDS, **columns}).write_csv(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", [name for name, info in METRICS.items() if "single" in info.kinds])
def test_one_class_a_row(name: str, tmp_path: Path) -> None:
    """Metrics of answers are of labels, the others of a probability for each class."""
    metric = make_metric(name)
    labels = [CLASSES[c] for c in TRUTH.argmax(1)]
    columns: dict[str, Any] = {"label": [CLASSES[c] for c in PROBS.argmax(1)]}
    expected = [metric.compute(TRUTH[part], PROBS[part]) for part in (slice(6), slice(6, None))]
    if metric.takes != "decisions":
        columns = dict(zip(CLASSES, PROBS.T, strict=True))
    elif name == "map_at_k":  # a label is a list of one
        first = PROBS.argmax(1)[:, None]
        expected = [metric.of_answers(TRUTH[part], first[part]) for part in (slice(6), slice(6, None))]
    grade = grader(tmp_path, name, labels, columns).grade(csv(columns))
    assert grade == Grade("", *(round(value, 5) for value in expected))


def test_what_is_no_class_or_no_number_is_not_right(tmp_path: Path) -> None:
    labels = [CLASSES[c] for c in TRUTH.argmax(1)]
    columns = {"label": ["x"] * ROWS}
    assert grader(tmp_path, "f1_macro", labels, columns).grade(csv(columns)) == Grade("", 0.0, 0.0)
    columns = {name: ["nan"] * ROWS for name in CLASSES}
    host = grader(tmp_path, "log_loss", labels, dict.fromkeys(CLASSES, 0.5))
    assert host.grade(csv(columns)).error == "Submission contains values that are not finite"


def test_a_solution_on_which_the_metric_is_undefined(tmp_path: Path) -> None:
    columns = dict(zip(CLASSES, PROBS.T, strict=True))
    host = grader(tmp_path, "roc_auc_macro", ["x"] * ROWS, columns)
    with pytest.raises(HostError, match="roc_auc_macro is undefined on the solution's 6 Public rows"):
        host.grade(csv(columns))
