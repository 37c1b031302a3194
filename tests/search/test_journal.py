"""A journal's short form: the same studies and trials, from fewer lines."""

from __future__ import annotations

import json
import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from kagglekit.search import journal


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal, "LONG", 0)
    return tmp_path / "gru.journal"


def study_in(path: Path, name: str = "one", directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    storage = journal.open_journal(path)
    return optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        directions=list(directions),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


def fill(study: optuna.Study) -> None:
    """A trial in every state."""
    study.set_user_attr("about", {"data": "x"})
    study.enqueue_trial({"lr": 0.01}, user_attrs={"again": 3})
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, None):
        trial = study.ask()
        trial.suggest_float("lr", 1e-3, 1e-1, log=True)
        trial.suggest_categorical("labels", ["words", 0.5, "all"])
        trial.report(0.25, 3)
        trial.report(math.inf, 4)
        trial.set_user_attr("noise", 0.01)
        if state is not None:
            study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state)
    study.enqueue_trial({"lr": 0.02})


def everything(path: Path) -> list[list[FrozenTrial]]:
    storage = journal.open_journal(path)
    return [storage.get_all_trials(study._study_id) for study in storage.get_all_studies()]


def test_the_short_form_says_the_same(path: Path) -> None:
    fill(study_in(path))
    several = study_in(path, "two", ("maximize", "minimize"))
    several.tell(several.ask(), [0.5, 3.0])
    fill(study_in(path))
    short = path.with_suffix(".short.jsonl")
    short.unlink(missing_ok=True)
    from_journal = everything(path)  # which writes it
    assert short.is_file()
    path_lines = len(path.read_bytes().splitlines())
    assert len(short.read_bytes().splitlines()) < path_lines / 2
    assert everything(path) == from_journal
    assert {trial.state for trial in from_journal[0]} == set(TrialState)
    assert study_in(path).user_attrs == {"about": {"data": "x"}}
    assert study_in(path, "two", ("maximize", "minimize")).directions == several.directions


def test_what_came_later_is_replayed_after_it(path: Path) -> None:
    first = study_in(path)
    fill(first)
    everything(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "LONG", 10**9)  # no new short form from here on
        second = study_in(path)
        trial = second.ask()
        trial.suggest_float("lr", 1e-3, 1e-1, log=True)
        second.tell(trial, 0.9)
        first.tell(first.ask(), 0.8)  # a process that has read it all the long way
        assert [t.value for t in second.get_trials(states=(TrialState.COMPLETE,))] == [0.5, 0.9, 0.8]
        found = everything(path)
        path.with_suffix(".short.jsonl").unlink()
        assert everything(path) == found


@pytest.mark.parametrize(
    "damage", ["cut", "garbage", "other optuna", "other journal", "longer than the journal"]
)
def test_a_short_form_that_does_not_fit_is_not_used(path: Path, damage: str) -> None:
    fill(study_in(path))
    whole = everything(path)
    short = path.with_suffix(".short.jsonl")
    head, *lines = short.read_text().splitlines()
    about = json.loads(head)
    if damage == "cut":
        lines = lines[:-1]
    elif damage == "garbage":
        lines[0] = "}"
    elif damage == "other optuna":
        about["optuna"] = "4.0.0"
    elif damage == "longer than the journal":
        about["bytes"] += 10**6
    else:
        path.unlink()
        fill(study_in(path, "another"))
        short.write_text("\n".join([head, *lines]) + "\n")
        assert [study.study_name for study in journal.open_journal(path).get_all_studies()] == ["another"]
        return
    short.write_text("\n".join([json.dumps(about), *lines]) + "\n")
    assert everything(path) == whole
