"""What a score is made of: by hand, against simulations, and as `kagglekit cv` shows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.oof import one_run

from kagglekit.cli import main
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.scoring.calibration import calibrate
from kagglekit.scoring.forecast import cv_vs_lb
from kagglekit.scoring.numerics import log_softmax, softmax
from kagglekit.scoring.parts import decision_bias, estimate_prior, explain
from kagglekit.submission.ledger import Entry, Ledger

CLASSES = ("low", "mid", "silence", "unknown")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """silence is 0.2 of the test and unknown 0.4, so low and mid are 0.2 each."""
    return load_config(tiny.make(tmp_path))


def simulated(
    prior: list[float], count: int, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Classes drawn by a prior, and log-probabilities that are exact where the prior is uniform."""
    label = rng.choice(len(prior), count, p=prior)
    seen = rng.normal(size=(count, len(prior))) + 1.5 * np.eye(len(prior))[label]
    return label, log_softmax(1.5 * seen)  # Gaussians 1.5 apart with variance 1


# --- taken apart ---

ROWS = [  # label, part, word, fold, predicted
    ("low", "keyword", "low", 0, "low"),
    ("mid", "keyword", "mid", 1, "low"),
    ("silence", "silence", "_silence_", 0, "silence"),
    ("unknown", "seen", "high", 1, "unknown"),
    ("unknown", "unseen", "extra", 0, "unknown"),
    ("unknown", "unseen", "other", 1, "mid"),
]


@pytest.fixture
def six(config: Config) -> Any:
    schema = ["label", "part", "word", "fold", "predicted"]
    clips = pl.DataFrame(ROWS, schema=schema, orient="row").with_columns(
        official=pl.lit(None, dtype=pl.String), speaker=pl.lit(None, dtype=pl.String), clip_id=pl.col("word")
    )
    logits = np.array([[4.0 * (c == p) for c in CLASSES] for p in clips["predicted"]], dtype=np.float32)
    return explain(logits, clips, config)


def test_parts_by_hand(six: Any) -> None:
    assert list(six.parts) == ["keyword", "silence", "seen", "unseen"]
    assert {name: part.clips for name, part in six.parts.items()} == {
        "keyword": 2, "silence": 1, "seen": 1, "unseen": 2
    }  # fmt: skip
    assert [part.weight for part in six.parts.values()] == pytest.approx([0.4, 0.2, 0.2, 0.2])
    assert [part.accuracy for part in six.parts.values()] == pytest.approx([0.5, 1, 1, 0.5])
    assert six.classes["unknown"] == pytest.approx((3, 0.4, 0.75))
    assert sum(part.weight * part.accuracy for part in six.classes.values()) == pytest.approx(six.score.cv)


def test_words_come_least_understood_first(six: Any) -> None:
    assert list(six.words) == ["other", "extra"]
    assert list(six.words.values()) == [pytest.approx((1, 0.1, 0.0)), pytest.approx((1, 0.1, 1.0))]
    # half of it each, half away from the mean: error = sqrt(2 * 0.25^2), which reaches past both ends
    assert six.unseen_interval == (0, 1)


def test_folds_are_scored_alone(six: Any) -> None:
    # fold 0: low .2, silence .2, unknown .4, all right; fold 1: mid .4 (all that is left of the prior) wrong, unknown half right
    assert six.folds == pytest.approx((1.0, 0.5 * 0.4 / 0.8))
    assert six.estimated == {}  # nothing is predicted for the test


# --- calibration, bias and prior ---


def test_calibration_undoes_what_was_done() -> None:
    label, log = simulated([0.25] * 4, 20_000, np.random.default_rng(0))
    made = log_softmax(0.5 * log - [0.6, 0, 0, 0])
    found = calibrate(one_run(made, label))
    assert found.inverse_temperature == pytest.approx(2, rel=0.05)
    assert found.bias - found.bias[1:].mean() == pytest.approx([0.6, 0, 0, 0], abs=0.05)
    np.testing.assert_allclose(found(softmax(made)), np.exp(log), atol=0.03)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_a_bias_gains_only_where_one_is_missing(shift: float) -> None:
    label, log = simulated([0.25] * 4, 4000, np.random.default_rng(1))
    clip = np.arange(4000)
    oof = one_run(log - [shift, 0, 0, 0], label, fold=clip % 4, group=clip % 400)
    found = decision_bias(oof, CLASSES)
    before = (oof.probs[0].argmax(1) == label).mean()
    assert found.beyond_noise == (shift > 0)
    assert before + found.gain == pytest.approx((log.argmax(1) == label).mean(), abs=0.005)
    assert found.by_class["low"] - found.by_class["mid"] == pytest.approx(shift, abs=0.2)


def test_the_error_counts_speakers_not_clips() -> None:
    label, log = simulated([0.25] * 4, 2000, np.random.default_rng(1))
    oof = one_run(log - [1.0, 0, 0, 0], label, fold=np.arange(2000) % 2)
    alone = decision_bias(oof, CLASSES)
    changed = oof.probs[0].argmax(1) != log.argmax(1)  # those whose answer a bias changes have one voice
    together = decision_bias(oof._replace(group=np.where(changed, 0, oof.group)), CLASSES)
    assert together.gain == alone.gain and together.error > 1.5 * alone.error


def test_a_bias_cannot_be_fitted_on_one_fold_or_run_away() -> None:
    label, log = simulated([0.25] * 4, 50, np.random.default_rng(1))
    oof = one_run(log, np.minimum(label, 2), group=np.zeros(50, int))  # no clip of the last class
    found = decision_bias(oof, CLASSES)
    assert (found.gain, found.error, found.beyond_noise) == (0, 0, False)
    assert all(abs(bias) < 20 for bias in found.by_class.values())


@pytest.mark.parametrize("timid", [1.0, 0.6])
def test_the_prior_of_the_test_is_found(timid: float) -> None:
    rng = np.random.default_rng(2)
    truth = [0.1, 0.1, 0.2, 0.6]
    label, log = simulated([0.25] * 4, 10_000, rng)
    test = [softmax(timid * simulated(truth, 10_000, rng)[1]) for _ in range(2)]
    weight = rng.uniform(0.5, 1.5, 10_000)
    assert estimate_prior(one_run(timid * log, label, weight), test) == pytest.approx(truth, abs=0.02)


def test_a_class_without_clips_has_no_share() -> None:
    label, log = simulated([0.5, 0.5, 0, 0], 1000, np.random.default_rng(3))
    found = estimate_prior(one_run(log, label), [np.exp(log)])
    assert found[2:].tolist() == [0, 0] and found.sum() == pytest.approx(1)


# --- against public ---


def test_agreement_by_hand() -> None:
    found = cv_vs_lb([(0.80, 0.82), (0.85, 0.84), (0.90, 0.91), (0.88, 0.83)])
    # ranks 1 2 4 3 against 1 3 4 2: 1 - 6 * (0 + 1 + 0 + 1) / (4 * 15)
    assert found[:4] == pytest.approx((4, 0.0225, 0.0075, 0.8))
    assert cv_vs_lb([(1, 1), (2, 2), (2, 3)]).rank == pytest.approx(np.sqrt(0.75))  # ties share a rank


@pytest.mark.parametrize("scores", [[(0.8, 0.9)], [(0.8, 0.9), (0.7, 0.8)], [(0.8, 0.9)] * 3])
def test_too_little_to_rank(scores: list[tuple[float, float]]) -> None:
    assert cv_vs_lb(scores).rank is None


def test_intervals_of_earlier_scores() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for count, close in ((3, 0.04), (5, 0.005), (20, 0.001)):
        cv, public = rng.normal(size=(2, count))
        found = cv_vs_lb(list(zip(cv.tolist(), public.tolist(), strict=True)))
        error = np.std(cv - public, ddof=1) / np.sqrt(count)
        margin = stats.t.ppf(0.975, count - 1) * error
        assert found.mean_interval == pytest.approx(
            (found.mean - margin, found.mean + margin), abs=close * margin
        )
        assert (found.rank_interval is None) == (count == 3)
    equal = cv_vs_lb([(n, n) for n in range(5)])
    assert equal.rank == 1 and equal.rank_interval is not None and 0 < equal.rank_interval[0] < 0.3
    # Bonett and Wright: tanh(atanh(r) +- 1.96 sqrt((1 + r^2 / 2) / (n - 3)))
    four = cv_vs_lb([(1, 2), (2, 1), (3, 4), (4, 3), (5, 5), (6, 6)])
    assert four.rank == pytest.approx(1 - 6 * 4 / 210)
    assert four.rank_interval == pytest.approx((0.0664, 0.9916), abs=1e-4)


# --- the verb ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    yaml = str(tiny.make(folder))
    for argv in (["fetch"], ["train", "--model", "tcresnet,gru", "--set", "train.epochs=3"]):
        assert main(["--quiet", "-C", yaml, *argv]) == 0
    return folder


@pytest.fixture
def cv(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`kagglekit cv` in a copy of the trained workspace: (exit code, stdout, stderr)."""
    shutil.copytree(trained, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path / "tiny")

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main(["cv", *argv]), *capsys.readouterr())

    return call


def log_two(foreign: bool = False) -> None:
    for number, model in enumerate(["gru", "a<b"]):
        Ledger(Path("submissions/leaderboard.jsonl")).append(
            Entry(
                time=f"2026-01-0{number + 1}", csv=f"{model}.csv", sha256=model, models=[model], runs=[], weights=[],
                config_key="", host="local:tiny", status="COMPLETE", cv_score=None if foreign else 0.8,
                public=0.81 + 0.02 * number,
            )
        )  # fmt: skip


def test_every_run_is_shown_and_the_best_in_detail(cv: Any) -> None:
    code, out, _ = cv()
    assert code == 0
    runs = json.loads(cv("--json")[1])["runs"]
    assert [run["cv"] for run in runs] == sorted((run["cv"] for run in runs), reverse=True)
    assert all(out.count(f"{run['model']}/{run['run']}") >= 2 for run in runs)
    assert f"{runs[0]['model']}/{runs[0]['run']}, by class" in out
    assert f"{runs[1]['model']}/{runs[1]['run']}, by class" not in out
    assert "no submission has both a CV and a public score yet" in out


def test_json_says_it_all(cv: Any) -> None:
    code, out, _ = cv("--json", "--model", "gru")
    data = json.loads(out)
    (run,) = data["runs"]
    assert code == 0 and run["model"] == "gru" and data["prior"] == "stated"
    assert run["cv"] == pytest.approx(run["oof"] + run["shift"] + run["gain"]) and len(run["folds"]) == 2
    assert sum(part["weight"] for part in run["parts"].values()) == pytest.approx(1)
    assert sum(run["estimated_prior"].values()) == pytest.approx(1)
    assert set(run["bias"]) == {"by_class", "gain", "error", "beyond_noise"}
    assert (data["submissions"], data["cv_vs_lb"]) == ([], None)


def test_the_estimated_prior_is_used_on_request_alone(cv: Any) -> None:
    stated, estimated = (
        json.loads(cv("--json", *more)[1])["runs"] for more in ([], ["--prior", "estimated"])
    )
    one = {run["model"]: run for run in stated}["gru"]
    other = {run["model"]: run for run in estimated}["gru"]
    assert one["estimated_prior"] == other["estimated_prior"]
    assert one["classes"]["silence"]["weight"] == pytest.approx(0.2)
    assert other["classes"]["silence"]["weight"] == pytest.approx(
        other["estimated_prior"]["silence"], abs=1e-6
    )
    assert json.loads(cv("--json")[1])["runs"] == stated  # and leaves nothing behind


def test_submissions_are_compared_and_drawn(cv: Any) -> None:
    log_two()
    code, out, _ = cv("--out", "new/cv.svg")
    assert code == 0 and "wrote new/cv.svg" in out
    assert "2 submissions: mean |CV - public| 2.0 points, too few to rank" in out
    assert "a&lt;b: 0.8000, 0.8300" in Path("new/cv.svg").read_text()
    found = json.loads(cv("--json")[1])["cv_vs_lb"]
    assert found.pop("mean_interval") is found.pop("rank_interval") is found.pop("rank") is None
    assert found == pytest.approx({"pairs": 2, "mean_abs": 0.02, "mean": -0.02})


def test_cv_ends_with_the_verdict(cv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data, (_, out, _) = json.loads(cv("--json")[1])["verdict"], cv()
    assert f"verdict: {data['sentence']}\n" in out
    assert all(f"  {note}\n" in out for note in data["notes"])
    assert data["groups"]["groups"] == 8 and data["domain"]["test_clips"] == 24

    def fail(*_: Any) -> None:
        raise RuntimeError("a library broke")

    monkeypatch.setattr("kagglekit.verdict.make.verdict_on", fail)
    code, out, err = cv("--json")
    assert (code, json.loads(out)["verdict"]) == (0, None)
    assert "no verdict on the validation: a library broke" in err


def test_what_is_not_there(cv: Any) -> None:
    log_two(foreign=True)
    for argv, message in [
        (["--out", "cv.svg"], "error: no submission has both a CV and a public score"),
        (["--model", "tcresnett"], "did you mean 'tcresnet'?"),
        (["--model", "lstm"], "error: no run of lstm on the present clips\nhint:  train one"),
        (["--run", "123"], "error: no finished run 123 on the present clips and folds"),
    ]:
        code, out, err = cv(*argv)
        assert (code, out) == (1, "") and message in err
    assert not Path("cv.svg").exists()


def test_runs_of_other_clips_are_left_out(cv: Any) -> None:
    code, _, err = cv("--set", "validation.seed=5")
    assert code == 1
    assert (
        "skipping 2 runs trained on different clips, folds or classes" in err
        and "error: no model is trained on the present clips, folds and classes\n" in err
    )


def test_damaged_predictions_are_said(cv: Any) -> None:
    (path,) = Path(".kagglekit/runs/gru").glob("*/oof.parquet")
    table = pl.read_parquet(path)
    logits = table["logits"].to_numpy().copy()
    logits[0, 0] = np.nan
    table.with_columns(logits=pl.Series(logits, dtype=table["logits"].dtype)).write_parquet(path)
    code, _, err = cv("--model", "gru")
    assert code == 1 and "hold NaN or infinity" in err and "hint:  remove the folder" in err
