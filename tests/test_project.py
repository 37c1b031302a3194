"""The script API: what the verbs do, in a few lines of Python."""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support import tiny

import kagglekit
import kagglekit.errors
from kagglekit.cli import main, make_parser
from kagglekit.data.store import open_store
from kagglekit.errors import ConfigError, KagglekitError, MissingError, SubmissionError
from kagglekit.features.logmel import log_mel
from kagglekit.files.atomic import read_json
from kagglekit.project import Project


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetched, nothing more."""
    path = tiny.make(tmp_path_factory.mktemp("tiny"))
    kagglekit.open(path).fetch()
    return path


@pytest.fixture(scope="module")
def trained(yaml: Path) -> Project:
    project = kagglekit.open(yaml, "train.epochs=10")
    project.train("gru")
    project.train("tcresnet")
    return project


def test_clips_and_folds_are_tables(yaml: Path) -> None:
    project = kagglekit.open(yaml)
    assert dict(project.clips.group_by("split").len().rows()) == {"train": 40, "silence": 12, "test": 24}
    learned, judged = project.fold(0)
    assert not set(learned["clip_id"]) & set(judged["clip_id"])
    assert set(judged["fold"]) == {0} and 0 not in learned["fold"]
    assert repr(project) == f"<kagglekit project tiny in {yaml.parent / '.kagglekit'}>"
    with pytest.raises(KagglekitError, match="there is no fold 2"):
        project.fold(2)


def test_audio_comes_in_the_order_asked_for(yaml: Path) -> None:
    project = kagglekit.open(yaml)
    some = project.clips.sample(9, seed=1)
    waveforms = project.audio(some)
    assert waveforms.shape == (9, 4000) and waveforms.dtype == torch.float32
    for row, waveform in zip(some.iter_rows(named=True), waveforms, strict=True):
        store = open_store(project.prepared.folders[row["split"]] / "store")
        np.testing.assert_array_equal((waveform * 32768).numpy(), store[row["row"] : row["row"] + 1][0])
    with pytest.raises(KagglekitError, match="there is no clip 'nobody'"):
        project.audio(pl.DataFrame({"clip_id": ["nobody"]}))
    assert project.audio(some.head(0)).shape == (0, 4000)


def test_features_are_those_of_the_audio(yaml: Path) -> None:
    project = kagglekit.open(yaml)
    some = project.clips.sample(5, seed=2)
    pcm = (project.audio(some) * 32768).to(torch.int16)
    expected = log_mel(pcm, project.config.features, 8000)
    torch.testing.assert_close(project.log_mels(some), expected, atol=1e-3, rtol=0)


def test_runs_and_their_predictions(trained: Project) -> None:
    assert {run.model for run in trained.runs} == {"gru", "tcresnet"}
    assert trained.runs[0].score.cv >= trained.runs[1].score.cv
    run = trained.best("gru")
    oof = trained.oof(run)
    assert (oof["predicted"] == oof["label"]).mean() == pytest.approx(run.score.plain)
    assert trained.classes[int(np.argmax(oof["logits"][0]))] == oof["predicted"][0]
    assert oof["prob"].min() >= 1 / 4 and oof["prob"].max() <= 1
    assert trained.audio(oof.head(3)).shape == (3, 4000)
    assert len(trained.test(run)) == 24
    (again,) = kagglekit.open(trained.workspace.root.parent / "competition.yaml", "train.epochs=10").train(
        "gru"
    )
    assert again.metrics["finished"] == run.metrics["finished"]  # found, not trained again


def test_a_wav_is_predicted(trained: Project, tmp_path: Path) -> None:
    path = tmp_path / "low.wav"
    path.write_bytes(tiny.wav_bytes(tiny.tone(300.0, np.random.default_rng(0))))
    (probs,) = trained.predict(path, model="tcresnet").values()
    assert set(probs) == set(trained.classes) and sum(probs.values()) == pytest.approx(1)


def test_a_search_and_what_it_found(yaml: Path) -> None:
    project = kagglekit.open(yaml, "search.epochs=1", "train.epochs=1", "models.lstm.model.hidden=8")
    (tuned,) = project.tune("lstm", trials=2, train=False)
    assert (tuned.study.trials, tuned.study.failed, tuned.run) == (2, 0, None)
    (run,) = project.train("lstm", tuned=True)
    assert f"trial {tuned.study.best}" in run.metrics["source"]


def test_submissions(trained: Project) -> None:
    written = trained.submit("gru").entry
    assert written is not None and written.status == "written" and written.models == ["gru"]
    sent = trained.submit("gru", upload=True).entry
    assert sent is not None and sent.status == "COMPLETE" and sent.public is not None
    with pytest.raises(SubmissionError, match="were sent before"):
        trained.submit("gru", upload=True)
    log = trained.leaderboard().table
    assert log["csv"].to_list() == [sent.csv] and log["public"].to_list() == [sent.public]
    weights = trained.ensemble("gru,tcresnet").weights
    assert sum(weights) == pytest.approx(1)


def test_the_report(trained: Project, tmp_path: Path) -> None:
    assert trained.report(tmp_path / "r.html").path.read_text().startswith("<!doctype html>")


def test_it_is_the_same_workspace_as_the_verbs(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = str(trained.workspace.root.parent / "competition.yaml")
    assert main(["-C", yaml, "--quiet", "--set", "train.epochs=10", "train", "--model", "gru"]) == 0
    assert f"gru/{trained.best('gru').id}" in capsys.readouterr().out


def test_the_readme_s_example_runs(trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shutil.copytree(trained.workspace.root.parent, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path / "tiny")
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["x"].shape == (len(names["wrong"]), 4000)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none\\.yaml") as caught:
        kagglekit.open(tmp_path / "none.yaml")
    assert f"hint: {caught.value.hint}" in "".join(traceback.format_exception(caught.value))
    with pytest.raises(MissingError, match="has not been fetched"):
        kagglekit.open(tiny.make(tmp_path)).clips  # noqa: B018


def test_a_workspace_of_the_first_edition(
    yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(yaml.parent, tmp_path / "old")
    project = kagglekit.open(tmp_path / "old" / "competition.yaml")
    root = project.workspace.root
    assert read_json(root / "workspace.json") == {"edition": 2, "competition": "tiny"}
    (root / "workspace.json").unlink()
    (root / "runs").mkdir(exist_ok=True)
    project.fetch()  # what is kept can be used
    assert project.leaderboard().entries == kagglekit.open(yaml).leaderboard().entries
    assert not (root / "workspace.json").exists()
    for verb in ("prepare", "train --model gru", "run", "reproduce"):
        assert main(["--quiet", "-C", str(tmp_path / "old" / "competition.yaml"), *verb.split()]) == 1
        assert capsys.readouterr().err == (
            f"error: {root} was written by the first edition of kagglekit, whose runs cannot be read\n"
            f"hint:  {root}/raw and {project.workspace.ledger_path} are kept; "
            f"remove everything else in {root}, then train again\n"
        )
    for path in (*root.glob("*"),):
        if path.name in ("runs", "clips.parquet"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(project.prepare().clips) == 76 and (root / "workspace.json").is_file()


def test_importing_the_package_is_light() -> None:
    code = "import sys, kagglekit; print([n for n in ('torch', 'polars', 'pydantic', 'transformers', 'datasets', 'kaggle') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_shows_what_it_offers() -> None:
    errors = {
        name
        for name, kind in vars(kagglekit.errors).items()
        if isinstance(kind, type) and issubclass(kind, KagglekitError)
    }
    assert set(dir(kagglekit)) == {"open", "Project", "__version__", *errors}
    assert kagglekit.Project is Project and all(getattr(kagglekit, name) for name in dir(kagglekit))
    with pytest.raises(AttributeError, match="has no attribute 'Competition'"):
        kagglekit.Competition  # noqa: B018


def options(verb: str) -> set[str]:
    """Names of a verb's own options, as its parser keeps them."""
    common = set(vars(make_parser().parse_args(["completion", "bash"]))) - {"shell"}
    (verbs,) = [a.choices for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return {action.dest for action in verbs[verb]._actions} - common - {"help", "set_after"}


@pytest.mark.parametrize(
    ("verb", "own"),
    [
        ("fetch", {"list", "checkpoints"}),
        ("features", set()),
        ("train", {"list"}),
        ("tune", {"best", "plots", "dashboard", "out"}),  # best_settings, study_plots, study_dashboard
        ("reproduce", set()),
        ("ensemble", set()),
        ("pseudo", set()),
        ("distill", {"rounds", "power", "share", "test", "from_round", "keep_going"}),  # distill_rounds
        ("submit", {"yes", "notebook"}),  # submit_notebook
        ("leaderboard", set()),
        ("report", {"charts", "serve", "port"}),  # report_charts, report_server
    ],
)
def test_a_method_takes_the_options_of_its_verb(verb: str, own: set[str]) -> None:
    taken = set(inspect.signature(getattr(Project, verb)).parameters)
    assert options(verb) - own <= taken
