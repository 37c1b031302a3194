"""Grading by every metric: labels, and probabilities of one or several classes a row."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kagglekit.config import Config
from kagglekit.config.names import METRICS
from kagglekit.errors import HostError
from kagglekit.hosts.local_grading import Grade, Grader
from kagglekit.hosts.solution import no_classes
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.task import Task

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
            "submission": {"id": "fname", "shape": "label" if "label" in columns else "probabilities"},
        }
    )
    return Grader(config)


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
    assert host.grade(csv(columns)).error == "Submission cannot be graded: column 'a' has 'nan', no number"


def test_a_solution_on_which_the_metric_is_undefined(tmp_path: Path) -> None:
    columns = dict(zip(CLASSES, PROBS.T, strict=True))
    host = grader(tmp_path, "roc_auc_macro", ["a"] * ROWS, columns)
    with pytest.raises(HostError, match="roc_auc_macro is undefined on the solution's 6 Public rows"):
        host.grade(csv(columns))


SHAPES: list[tuple[str, dict[str, Any], str, str, float]] = [
    # shape, settings of the submission, solution, a submission, its score
    ("map_at_k", {"shape": "top_k", "k": 2}, "a;b;c;a", "a b;c b;a b;b c", (1 + 0.5 + 0 + 0) / 4),
    (
        "f1_rows",
        {"shape": "label_list", "none": "nocall"},
        "a b;nocall;c;a",
        "a b;nocall;a;a c",
        (2 + 2 + 0 + 4 / 3) / 8,
    ),
    ("roc_auc", {"shape": "probability", "positive": "b"}, "1;0;1;0", "0.9;0.1;0.4;0.6", 0.75),
]


@pytest.mark.parametrize(("metric", "settings", "solution", "answers", "score"), SHAPES)
def test_shapes_of_one_column(
    metric: str, settings: dict[str, Any], solution: str, answers: str, score: float, tmp_path: Path
) -> None:
    kind = "multi" if metric == "f1_rows" else "single"
    classes = ("a", "b") if metric == "roc_auc" else CLASSES
    host = shaped(tmp_path, metric, kind, classes, settings, ("id", "x"), rows(solution), rows(answers))
    assert host.grade(text(("id", "x"), rows(answers))) == Grade("", pytest.approx(score, abs=1e-5), None)


def test_long_submissions(tmp_path: Path) -> None:
    """Ids that are computed, ids of two columns, and True and False."""
    truth = {("7", "a"): 1, ("7", "b"): 0, ("12", "a"): 0, ("12", "b"): 1}
    guess = {("7", "a"): 0.9, ("7", "b"): 0.2, ("12", "a"): 0.4, ("12", "b"): 0.3}
    settings = {"shape": "long", "ids": "{id*100+number}"}
    numbers = [int(row) * 100 + "ab".index(name) for row, name in truth]
    table = [list(zip(map(str, numbers), map(str, one.values()), strict=True)) for one in (truth, guess)]
    host = shaped(tmp_path, "roc_auc_micro", "multi", ("a", "b"), settings, ("id", "p"), *table)
    assert host.grade(text(("id", "p"), table[1])) == Grade("", 0.75, None)
    settings = {"shape": "long", "class_column": "species"}
    pairs = [[(*pair, str(value)) for pair, value in one.items()] for one in (truth, guess)]
    host = shaped(tmp_path, "roc_auc_micro", "multi", ("a", "b"), settings, ("id", "species", "p"), *pairs)
    assert host.grade(text(("id", "species", "p"), pairs[1])) == Grade("", 0.75, None)
    settings = {"shape": "long", "ids": "{id}_{class}", "answers": True}
    said = [[(f"{a}_{b}", str(v > 0.35)) for (a, b), v in one.items()] for one in (truth, guess)]
    host = shaped(tmp_path, "f1_micro", "multi", ("a", "b"), settings, ("id", "p"), *said)
    assert host.grade(text(("id", "p"), said[1])) == Grade("", 0.5, None)


@pytest.mark.parametrize("cell", ["b,c", "b c", "['b', 'c']", "[b, c]"])
@pytest.mark.parametrize("name", ["label", "names"])
def test_a_solution_with_several_labels_in_a_cell(name: str, cell: str, tmp_path: Path) -> None:
    """Of 3 positives and 3 negatives, one pair of nine is in the wrong order."""
    sample = [("0", "0.4", "0.5", "0.2"), ("1", "0.1", "0.8", "0.7")]
    host = shaped(
        tmp_path, "roc_auc_micro", "multi", CLASSES, {"shape": "probabilities"}, ("id", *CLASSES), [], sample
    )
    solution(tmp_path, name, ["a", cell])
    assert host.grade(text(("id", *CLASSES), sample)) == Grade("", round(8 / 9, 5), None)


def test_a_solution_with_the_classes_of_a_probability(tmp_path: Path) -> None:
    settings = {"shape": "probability", "positive": "no"}
    sample = [("0", "0.2"), ("1", "0.7"), ("2", "0.3")]
    host = shaped(tmp_path, "roc_auc", "single", ("no", "yes"), settings, ("id", "p"), [], sample)
    solution(tmp_path, "label", ["yes", "no", "yes"])
    assert host.grade(text(("id", "p"), sample)) == Grade("", 1.0, None)


def test_a_row_of_silence_is_silence_and_other_words_are_the_filler(tmp_path: Path) -> None:
    """Three of five labels are right."""
    sample = rows("yes;silence;unknown;no;silence")
    host = shaped(tmp_path, "accuracy", "single", ("yes", "no"), {}, ("id", "label"), [], sample, speech=True)
    solution(tmp_path, "label", ["yes", "silence", "dog", "yes", "unknown"])
    assert host.grade(text(("id", "label"), sample)) == Grade("", 0.6, None)


@pytest.mark.parametrize(
    ("filler", "said"),
    [
        (None, "; 3 rows with a label that is no class ('YES', 'Yes', 'dog'): no answer is right there"),
        ("unknown", "; 2 rows with a label that is no class ('YES', 'Yes'): they count as the filler class"),
    ],
)
def test_labels_of_a_solution_that_are_no_class_are_counted(filler: str | None, said: str) -> None:
    classes = ("yes", "no") if filler is None else ("yes", "no", filler)
    task = Task(classes, ("yes", "no"), filler, make_metric("accuracy"))
    assert no_classes(pl.Series(["yes", "no", "Yes", "YES", "dog"]), task) == said
    assert no_classes(pl.Series(["yes", "no"]), task) == ""


@pytest.mark.parametrize(
    ("metric", "kind", "settings", "cells", "message"),
    [
        ("f1_rows", "multi", {"shape": "label_list"}, ["a", "bb"], "the label 'bb' is no class"),
        ("f1_rows", "multi", {"shape": "label_list"}, ["a", "a,bb"], "the label 'bb' is no class"),
        ("f1_rows", "multi", {"shape": "label_list"}, ["a", "[a b"], "the label '[a' is no class"),
        ("f1_rows", "multi", {"shape": "label_list"}, ["a", "[['a']]"], "is not a list of labels"),
        ("log_loss", "single", {"shape": "probabilities"}, ["a", "bb"], "the label 'bb' is no class"),
        ("roc_auc_micro", "multi", {"shape": "long"}, ["0.3", "1"], "0.3 is neither 0 nor 1"),
    ],
)
def test_a_solution_that_is_wrong(
    metric: str, kind: str, settings: dict[str, Any], cells: list[str], message: str, tmp_path: Path
) -> None:
    ids, columns = ("0", "1"), {"probabilities": CLASSES}.get(settings["shape"], ("label",))
    classes = CLASSES if settings["shape"] != "long" else ("a",)
    if settings["shape"] == "long":
        ids = ("0_a", "1_a")
    cell = {"label_list": "a"}.get(settings["shape"], "0.5")
    sample = [(one, *[cell] * len(columns)) for one in ids]
    host = shaped(tmp_path, metric, kind, classes, settings, ("id", *columns), [], sample)
    solution(tmp_path, "label", cells, ids)
    with pytest.raises(HostError, match=re.escape(message)):
        host.grade(text(("id", *columns), sample))


def solution(
    folder: Path, column: str, cells: list[str], ids: Sequence[str] = ("0", "1", "2", "3", "4")
) -> None:
    """Write a solution of another shape than the submissions."""
    pl.DataFrame({"id": ids[: len(cells)], column: cells}).write_csv(folder / "solution.csv")


Rows = list[tuple[str, ...]]
SPEECH = {"filler": "unknown", "silence": "silence"}


def rows(cells: str) -> Rows:
    return [(str(row), cell) for row, cell in enumerate(cells.split(";"))]


def text(header: tuple[str, ...], table: Rows) -> bytes:
    return "\n".join(",".join(row) for row in (header, *table)).encode()


def shaped(
    folder: Path,
    metric: str,
    kind: str,
    classes: tuple[str, ...],
    settings: dict[str, Any],
    header: tuple[str, ...],
    solution: Rows,
    sample: Rows,
    speech: bool = False,
) -> Grader:
    """Return the grader of a competition with these files."""
    (folder / "sample.csv").write_bytes(text(header, sample))
    (folder / "solution.csv").write_bytes(text(header, solution))
    local = {"files": folder, "solution": folder / "solution.csv"}
    parameters = {"name": metric, "k": 2} if metric == "map_at_k" else metric
    return Grader(
        Config.model_validate(
            {
                "competition": {"slug": "tiny", "host": "local", "local": local, "metric": parameters},
                "labels": {"classes": classes, "kind": kind, **(SPEECH if speech else {})},
                "data": {
                    "sample": "sample.csv",
                    "train": {"files": "x/*"},
                    "test": {"files": "y/*"},
                    "noise": "n/*",
                },
                "submission": {"id": "id", **settings},
            }
        )
    )
