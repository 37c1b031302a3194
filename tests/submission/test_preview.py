from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from kagglekit.config import Config
from kagglekit.hosts.base import Details, LeaderboardRow
from kagglekit.scoring import forecast
from kagglekit.scoring.cv import Score
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.shapes import Shape
from kagglekit.submission import preview
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.table import answered

ACCURACY = make_metric("accuracy")


HOST = "local:tiny"


class Host:
    """A leaderboard of 200 teams, 0.700 to 0.899."""

    def __init__(self, teams: int = 200) -> None:
        self.teams = teams

    def details(self) -> Details:
        return Details("tiny", "Tiny", "accuracy", datetime.now(UTC), 5, teams=self.teams)

    def leaderboard(self) -> list[LeaderboardRow]:
        return [LeaderboardRow(i + 1, f"team {i}", 0.899 - i / 1000) for i in range(self.teams)]


def frame(*labels: str) -> pl.DataFrame:
    return pl.DataFrame({"fname": [f"{i}.wav" for i in range(len(labels))], "label": labels})


def test_expected_is_the_cv_with_both_errors() -> None:
    found = forecast.expected(Score(0.9, 0.88, 0.92, 0.9, None, {}, ()), rows=3000, metric=ACCURACY)
    error = ((0.02 / 1.96) ** 2 + 0.9 * 0.1 / 900) ** 0.5
    assert found.score == 0.9
    assert (found.low, found.high) == pytest.approx((0.9 - 1.96 * error, 0.9 + 1.96 * error))


def test_standing_is_among_the_other_teams() -> None:
    found = preview.standing(Host(), forecast.Expected(0.8805, 0.8505, 0.9005), ACCURACY)  # type: ignore[arg-type]
    assert found == preview.Standing(rank=20, best=1, worst=50, teams=200, zone="silver")
    assert preview.standing(Host(0), forecast.Expected(0.9, 0.8, 1.0), ACCURACY) is None  # type: ignore[arg-type]


def log(tmp_path: Path, name: str, table: pl.DataFrame, sent: str | None, host: str = HOST) -> Ledger:
    table.write_csv(tmp_path / name)
    ledger, digest = (
        Ledger(tmp_path / "leaderboard.jsonl"),
        sha256((tmp_path / name).read_bytes()).hexdigest(),
    )
    ledger.append(
        Entry(
            time="2026-01-01T00:00:00Z", csv=name, sha256=digest, models=[], runs=[], weights=[], config_key="",
            host=host, status="COMPLETE" if sent else "written", sent=sent,
        )
    )  # fmt: skip
    return ledger


def test_change_is_against_the_last_one_sent(tmp_path: Path) -> None:
    log(tmp_path, "old.csv", frame("no", "no", "no", "no"), "2026-01-02T00:00:00Z")
    log(tmp_path, "last.csv", frame("yes", "no", "up", "no"), "2026-01-03T00:00:00Z")
    log(tmp_path, "elsewhere.csv", frame("up", "up", "up", "up"), "2026-01-09T00:00:00Z", "kaggle:tiny")
    ledger = log(tmp_path, "written.csv", frame("up", "up", "up", "up"), None)
    found = preview.change(frame("yes", "yes", "no", "yes"), ledger, HOST, tmp_path)
    assert found == preview.Change("last.csv", 3, [("no", "yes", 2), ("up", "no", 1)])


def test_no_change_without_an_earlier_one(tmp_path: Path) -> None:
    assert preview.change(frame("yes"), Ledger(tmp_path / "none.jsonl"), HOST, tmp_path) is None


def test_a_csv_that_somebody_changed_is_compared_with_nothing(tmp_path: Path) -> None:
    ledger = log(tmp_path, "last.csv", frame("yes"), "2026-01-03T00:00:00Z")
    (tmp_path / "last.csv").write_text("a,b\n1,2\n")
    assert preview.change(frame("yes"), ledger, HOST, tmp_path) is None


def shape_of(**settings: object) -> Shape:
    return Shape.of(
        Config.model_validate(
            {
                "competition": {"slug": "tiny", "metric": "f1_macro"},
                "labels": {"classes": ["low", "mid"], "kind": "multi"},
                "data": {"sample": "s.csv", "train": {"files": "x/*"}, "test": {"files": "y/*"}},
                "submission": {"id": "fname", **settings},
            }
        )
    )


def test_rows_of_a_class_differ_where_it_was_likely_and_is_not(tmp_path: Path) -> None:
    """Not wherever a probability has another last digit."""
    shape = shape_of(shape="long", class_column="species", label="p")
    pairs = {"fname": ["a", "a", "b", "b"], "species": ["low", "mid"] * 2}
    ledger = log(
        tmp_path, "last.csv", pl.DataFrame({**pairs, "p": [0.9, 0.2, 0.4, 0.1]}), "2026-01-03T00:00:00Z"
    )
    now = pl.DataFrame({**pairs, "p": [0.8, 0.7, 0.3, 0.2]})
    found = preview.change(now, ledger, HOST, tmp_path, shape)
    assert found == preview.Change("last.csv", 1, [("absent", "present", 1)])


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ({"shape": "label_list", "none": "nocall"}, {"x": ["low mid", "nocall", "low", "low"]}),
        ({"shape": "probabilities"}, {"low": [1.0, 0.5, 1.0, 0.5], "mid": [0.1, 0.2, 0.3, 0.4]}),
        ({"shape": "top_k", "k": 2}, {"x": ["low mid", "low", "low", "mid"]}),
    ],
)
def test_rows_of_each_class_are_counted_in_any_shape(
    settings: dict[str, object], columns: dict[str, list[object]]
) -> None:
    frame = pl.DataFrame({"fname": list("abcd"), **columns})
    expected = {"label_list": [3, 1], "probabilities": [3, 1], "top_k": [3, 2]}[str(settings["shape"])]
    balance = answered(frame, shape_of(**settings))
    assert [(name, count) for name, count, _ in balance] == list(zip(["low", "mid"], expected, strict=True))
    assert balance[0][2] == pytest.approx(0.75)
