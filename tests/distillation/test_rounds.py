"""Students in rounds: what a round is worth, what must not leak, and a kill between two rounds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.replicas import small, unseen_sites

from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.distillation import rounds, soft_labels
from kagglekit.distillation.round_settings import parse_settings
from kagglekit.distillation.rounds import RoundsRule, Student, compare, may_begin, plans, run_rounds
from kagglekit.ensemble.build import build
from kagglekit.errors import ConfigError
from kagglekit.files.atomic import read_json
from kagglekit.files.workspace import Workspace
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task
from kagglekit.training.plan import resolve

RULE = RoundsRule(rounds=2, power=1.5, share=0.5, with_test=False, keep_going=True)
TINY = unseen_sites.Size(species=3, recordings=4, authors=4, unlabelled=1, tested=1, sites=2, seconds=(2, 3))


@pytest.fixture(autouse=True)
def _of_any_skill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of two epochs may well say one class of everything."""
    monkeypatch.setattr(soft_labels, "ONE_CLASS", 1.1)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny competition of bird calls in windows of soundscapes, with a teacher; its YAML's path."""
    folder = tmp_path_factory.mktemp("birds")
    unseen_sites.make(folder, TINY)
    yaml = small("birdclef-2025", folder)
    assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
    prepared = prepare(Workspace(load_config(yaml)))
    train_run(prepared, resolve(prepared.config, "tcresnet"))
    return yaml


def learn(prepared: Prepared, done: list[Student]) -> Run | None:
    teacher = train_run(prepared, resolve(prepared.config, "tcresnet"))
    settings = {2: {"train.augment.mixup": 0.4}}
    chosen = plans(prepared.config, ["tcresnet"], RULE, settings)
    return run_rounds(prepared, [teacher], chosen, RULE, done.append).best


def copied(fetched: Path, folder: Path) -> Prepared:
    shutil.copytree(fetched.parent, folder)
    return prepare(Workspace(load_config(folder / fetched.name)))


def tables(prepared: Prepared, student: Student, fold: int) -> bytes:
    key = student.run.metrics["source"].rpartition(" ")[2]
    return Path(prepared.workspace.root, "soft_targets", key, f"fold_{fold}.parquet").read_bytes()


def test_a_label_that_judges_a_fold_changes_nothing_that_its_students_learn_from(fetched, tmp_path):
    """Round 2 is the one to watch: its teacher learnt from the pseudo-labels of others."""
    first = copied(fetched, tmp_path / "first")
    judged = first.clips.filter(pl.col("fold") == 0)["clip_id"][0]
    told = first.clips.filter(pl.col("clip_id") == judged)["label"][0]
    other = next(name for name in first.task.classes if name != told)
    second = copied(fetched, tmp_path / "second")
    here = pl.when(pl.col("clip_id") == judged).then(pl.lit(other))
    changed = second.clips.with_columns(label=here.otherwise("label"), word=here.otherwise("word"))
    second = replace(second, clips=changed, key="0123456789ab")
    done: dict[int, list[Student]] = {1: [], 2: []}
    learn(first, done[1]), learn(second, done[2])
    for one, two in zip(done[1], done[2], strict=True):
        assert tables(first, one, 0) == tables(second, two, 0)
        assert tables(first, one, 1) != tables(second, two, 1)  # whose models did learn from the label


def test_killed_between_two_rounds_it_goes_on_with_the_same_result(fetched, tmp_path, monkeypatch):
    whole, broken = (copied(fetched, tmp_path / name) for name in ("whole", "broken"))
    expected: list[Student] = []
    best = learn(whole, expected)
    assert [one.number for one in expected] == [1, 2] and best == expected[1].run
    assert expected[1].teachers == (f"tcresnet/{expected[0].run.id}",)
    assert [run for run in map(may_begin, (one.run for one in expected)) if run] == []
    trained: list[str] = []

    def train(prepared: Prepared, plan, *, source="recipe"):
        trained.append(source)
        if source.startswith("round 2") and len(trained) == 2:
            raise KeyboardInterrupt
        return train_run(prepared, plan, source=source)

    monkeypatch.setattr(rounds, "train_run", train)
    with pytest.raises(KeyboardInterrupt):
        learn(broken, [])
    began = {path: path.stat().st_mtime_ns for path in broken.workspace.runs.glob("*/*/fold_*/*.safetensors")}
    done: list[Student] = []
    learn(broken, done)
    assert len(began) == 4  # two folds of the teacher, and of the first student
    assert all(path.stat().st_mtime_ns == time for path, time in began.items())
    for one, two in zip(expected, done, strict=True):
        assert (one.run.id, one.gain, one.error, one.audit) == (two.run.id, two.gain, two.error, two.audit)
        assert (one.run.folder / "oof.parquet").read_bytes() == (two.run.folder / "oof.parquet").read_bytes()
    key = expected[1].run.metrics["source"].rpartition(" ")[2]
    facts = read_json(whole.workspace.root / "soft_targets" / key / "facts.json")
    assert facts["runs"] == [expected[0].run.id] and facts["audit"] == expected[1].audit._asdict()
    table = pl.read_parquet(whole.workspace.root / "soft_targets" / key / "fold_0.parquet")
    assert set(table["split"]) == {"unlabelled"} and len(table) == 12


def test_a_class_that_no_teacher_can_know_has_no_loss(fetched, tmp_path, monkeypatch):
    """It has no training clip outside of fold 0, so that fold 0's teachers have never heard it."""
    prepared = prepare(Workspace(load_config(fetched)))
    rows = prepared.clips.filter(pl.col("split").is_in(["test", "unlabelled"]))
    there = (pl.col("label") == "spec02") & (pl.col("fold") == 1)
    clips = prepared.clips.with_columns(fold=pl.when(there).then(pl.lit(-1, pl.Int32)).otherwise("fold"))
    logits = np.random.default_rng(0).normal(size=(1, len(rows), 3))
    monkeypatch.setattr(soft_labels, "teachers_logits", lambda *_: logits)
    joins = soft_labels.candidates(clips, with_test=False)
    silent, known = (
        soft_labels._label(replace(prepared, clips=clips), [], 1.0, joins, fold) for fold in (0, 1)
    )
    assert set(silent["masked"]) == {"spec02"} and set(known["masked"]) == {""}
    assert len(silent) == len(known) == 12


def test_a_round_that_gains_nothing_is_the_last(fetched, tmp_path):
    prepared = copied(fetched, tmp_path / "birds")
    teacher = train_run(prepared, resolve(prepared.config, "tcresnet"))
    rule, done = RULE._replace(keep_going=False), list[Student]()
    chosen = plans(prepared.config, ["tcresnet"], rule, {1: {"train.lr": 1e-9}})
    students = run_rounds(prepared, [teacher], chosen, rule, done.append)
    assert len(done) == 1 and students.best is None and not done[0].beyond_noise


def test_a_loss_is_called_one(fetched, tmp_path):
    metric = copied(fetched, tmp_path / "birds").task.metric

    def said(gain: float) -> str:
        return Student(1, ("gru/1",), None, None, 0.8, gain, 0.02).summary(metric)  # type: ignore[arg-type]

    assert said(-0.5).endswith("over its teachers, a loss of more than 2 standard errors")
    assert said(-0.03).endswith("not beyond 2 standard errors") and said(0.03).endswith(
        ", not beyond 2 standard errors"
    )
    assert said(0.05).endswith(", more than 2 standard errors")


def test_a_named_smoothing_joins_the_tests_windows_though_no_training_row_is_one(fetched, tmp_path):
    prepared = copied(fetched, tmp_path / "birds")
    runs = [train_run(prepared, resolve(prepared.config, "tcresnet"))]
    config = prepared.config
    named = config.model_copy(
        update={"ensemble": config.ensemble.model_copy(update={"smoothing": "neighbours"})}
    )
    plain, joined = build(prepared, runs), build(replace(prepared, workspace=Workspace(named)), runs)
    assert plain.smoothing == "none" and joined.smoothing == "neighbours"
    assert joined.joined == {"weights": [0.25, 0.5, 0.25], "power": 0.0} and joined.score == plain.score
    assert "cannot tell" in next(one.why for one in joined.comparisons if one.what == "smoothing")
    assert not joined.test.equals(plain.test)
    assert build(replace(prepared, workspace=Workspace(named)), runs).joined == joined.joined  # as stored


def test_the_gain_is_that_of_the_metric_with_its_own_error():
    from kagglekit.scoring.metrics import make_metric

    rng = np.random.default_rng(0)
    truth = rng.uniform(size=(400, 3)) < 0.3
    task = Task(("a", "b", "c"), ("a", "b", "c"), None, make_metric("roc_auc_macro", "multi"), "|")

    def predicted(noise: float) -> Oof:
        probs = 1 / (1 + np.exp(-(truth + noise * rng.normal(size=truth.shape))))
        rest = np.ones(400), np.arange(400) % 2, np.arange(400), np.empty((400, 0))
        return Oof(probs[None], truth, *rest)

    good, bad = predicted(0.5), predicted(1.0)
    base, gain, error = compare(bad, good, task)
    metric = task.metric
    assert base == metric(truth, bad.probs[0]) and gain == metric(truth, good.probs[0]) - base
    assert 0 < error < gain / 4
    assert compare(good, good, task)[1:] == (0.0, 0.0)


def test_settings_from_a_round_on(tmp_path):
    settings = parse_settings(["2:train.augment.mixup=0.4", "1:model.dropout=0.2", "3:train.lr=1e-4"], 4)
    assert settings == {1: {"model.dropout": 0.2}, 2: {"train.augment.mixup": 0.4}, 3: {"train.lr": 1e-4}}
    for text, told in (
        ("train.lr=1", "not of the form ROUND:SETTING=VALUE"),
        ("5:train.lr=1", "there are rounds 1 to 4"),
        ("0:train.lr=1", "there are rounds 1 to 4"),
        ("1:train.soft_share=0.3", "the rounds set train.soft_share themselves"),
        ("1:train.lr=[", "the value is not YAML"),
    ):
        with pytest.raises(ConfigError, match=told):
            parse_settings([text], 4)
