"""Every verb on the tiny competition, as a person types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from support import tiny

from kagglekit.cli import main
from kagglekit.config.yaml_file import parse

CLASSES = ["low", "mid", "silence", "unknown"]


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The last JSON line of --json; only a search writes others before it."""
        answer: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return answer


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: str) -> Done:
        capsys.readouterr()
        code = main(argv)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with runs of two models; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    yaml = str(tiny.make(folder))
    for argv in (["fetch"], ["train", "--model", "tcresnet,gru"]):
        assert main(["--quiet", "-C", yaml, *argv]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained workspace, which is the current folder."""
    shutil.copytree(trained, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A competition of which nothing is fetched; the current folder."""
    tiny.make(tmp_path / "bare")
    monkeypatch.chdir(tmp_path / "bare")
    return tmp_path / "bare"


def entries(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log."""
    return [json.loads(line) for line in (folder / "submissions/leaderboard.jsonl").read_text().splitlines()]


def hand_graded(csv: Path, usage: str) -> float:
    """Accuracy by the solution."""
    guess = dict(pl.read_csv(csv, infer_schema=False).rows())
    rows = pl.read_csv(csv.parents[1] / "host/solution.csv", infer_schema=False).rows()
    right = [guess[name] == label for name, label, use in rows if use == usage]
    return round(sum(right) / len(right), 5)


def answer(monkeypatch: pytest.MonkeyPatch, line: str, terminal: bool = True) -> None:
    """Someone at the keyboard."""

    class Keyboard:
        def isatty(self) -> bool:
            return terminal

        def readline(self) -> str:
            return line

    monkeypatch.setattr(sys, "stdin", Keyboard())


# --- fetch ---


def test_fetch(bare: Path, run: Run) -> None:
    done = run("fetch")
    assert done.code == 0
    assert done.out.startswith("fetched train.zip (")
    assert done.out.endswith("next: kagglekit tune --model convs2s\n")
    for name in ("train.zip", "test.zip", "sample_submission.csv"):
        assert (bare / ".kagglekit/raw" / name).read_bytes() == (bare / "host" / name).read_bytes()
    assert not (bare / ".kagglekit/raw/solution.csv").exists()


def test_fetch_again_leaves_the_files_alone(bare: Path, run: Run) -> None:
    run("fetch")
    path = bare / ".kagglekit/raw/train.zip"
    os.utime(path, (1, 1))
    assert run("fetch").out.startswith("there already: train.zip, test.zip, sample_submission.csv\n")
    assert path.stat().st_mtime == 1
    assert run("fetch", "--force", "train.zip").out.startswith("fetched train.zip (")
    assert path.stat().st_mtime != 1


def test_fetch_one_file(bare: Path, run: Run) -> None:
    assert run("fetch", "sample_submission.csv").out.startswith("fetched sample_submission.csv (540 B)\n")
    assert not (bare / ".kagglekit/raw/train.zip").exists()


def test_fetch_list(bare: Path, run: Run) -> None:
    lines = run("fetch", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["sample_submission.csv", "test.zip", "train.zip"]
    assert not (bare / ".kagglekit/raw").exists()


def test_the_next_command_keeps_the_config(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bare.parent)
    done = run("-C", "bare/competition.yaml", "fetch")
    assert done.out.endswith("next: kagglekit -C bare/competition.yaml tune --model convs2s\n")


def test_the_next_command_keeps_the_settings(bare: Path, run: Run) -> None:
    done = run("--set", "labels.targets=[low, mid]", "fetch", "--set", "train.epochs=3")
    settings = "--set 'labels.targets=[low, mid]' --set train.epochs=3"
    assert done.out.endswith(f"next: kagglekit {settings} tune --model convs2s\n")


def test_fetch_takes_a_checkpoint_folder_as_it_is(bare: Path, run: Run) -> None:
    (bare / "ast").mkdir()
    data = run("--json", "fetch", "--checkpoints", "--set", "models.ast.checkpoint=ast").data
    assert {model: Path(path).resolve() for model, path in data["checkpoints"].items()} == {
        "ast": bare / "ast"
    }


# --- prepare, features ---


def test_prepare_lists_problems(bare: Path, run: Run) -> None:
    spoken = (bare / "host/train.zip", "train/audio/low/00000003_nohash_0.wav")
    with zipfile.ZipFile(spoken[0]) as archive:
        content = archive.read(spoken[1])
    with zipfile.ZipFile(spoken[0], "a") as archive:
        archive.writestr("train/audio/low/0000000a_nohash_0.wav", b"")
        archive.writestr("train/audio/mid/0000000b_nohash_0.wav", content)
    run("fetch")
    lines = run("prepare", "--list").out.splitlines()
    assert lines[0] == "42 train, 13 silence, 24 test clips; 2 folds by speaker"
    assert lines[1] in ("train: 1 empty, 1 duplicate", "train: 1 duplicate, 1 empty")
    assert lines[2] == "2 train clips are left out of training (data.leave_out)"
    assert lines[3:5] == ["low/0000000a_nohash_0.wav  empty", "mid/0000000b_nohash_0.wav  duplicate"]


def test_prepare_before_fetch(bare: Path, run: Run) -> None:
    done = run("--quiet", "prepare")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("train.zip does not exist\nhint:  fetch it: kagglekit fetch\n")


def test_features(here: Path, run: Run) -> None:
    done = run("features", "--set", "features.n_mels=12")
    assert done.code == 0
    assert done.out.startswith("log-mels of 76 clips: 12 x 32 numbers each\n")
    assert run("features", "--model", "gru").out.endswith("next: kagglekit train --model gru\n")


# --- train, tune, predict ---


def test_models_need_no_competition(run: Run) -> None:
    done = run("models")
    assert done.code == 0 and done.out.endswith("next: kagglekit train --model tcresnet\n")
    assert "facebook/wav2vec2-base" in done.out and "missing" in done.out


def test_models_are_counted_for_the_competition(bare: Path, run: Run) -> None:
    default, narrow = (
        {row["model"]: row["parameters"] for row in run("--json", "models", *more).data["models"]}
        for more in ([], ["--set", "models.gru.model.hidden=8"])
    )
    assert default["gru"] > narrow["gru"] and default["tcresnet"] == narrow["tcresnet"]


def test_train_again_does_nothing(here: Path, run: Run) -> None:
    weights = sorted(here.glob(".kagglekit/runs/*/*/fold_*/model.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    done = run("train", "--model", "tcresnet,gru")
    assert done.code == 0 and len(weights) == 4
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert done.out.endswith("next: kagglekit submit --ensemble tcresnet,gru\n")


def test_train_shows_the_score(here: Path, run: Run) -> None:
    done = run("train", "--model", "gru")
    (path,) = here.glob(".kagglekit/runs/gru/*/metrics.json")
    metrics = json.loads(path.read_text())
    assert f"gru/{path.parent.name}: 2 folds, " in done.out
    assert f"CV {metrics['cv']:.4f} (95 % {metrics['low']:.4f} to {metrics['high']:.4f})" in done.out
    oof = pl.read_parquet(path.parent / "oof.parquet")
    right = np.array(CLASSES)[oof["logits"].to_numpy().argmax(1)] == oof["label"].to_numpy()
    assert metrics["plain"] == pytest.approx(right.mean())


def test_train_with_several_seeds_tells_their_spread(here: Path, run: Run) -> None:
    quick = ["--set", "models.gru.train.epochs=2", "--set", "jobs=1"]
    done = run("--json", "train", "--model", "gru", "--seeds", "2", *quick)
    runs = done.data["runs"]
    assert len({made["run"] for made in runs}) == 2 and runs[0]["cv"] != runs[1]["cv"]
    said = run("train", "--model", "gru", "--seeds", "2", *quick).out.splitlines()
    mean, half = (runs[0]["cv"] + runs[1]["cv"]) / 2, abs(runs[0]["cv"] - runs[1]["cv"]) / 2**0.5
    assert f"gru over 2 seeds: CV {mean:.4f} ± {half:.4f} (standard deviation)" in said
    done = run("train", "--model", "gru", "--seeds", "0")
    assert (done.code, "error: --seeds 0: must be at least 1\n" in done.err) == (1, True)


def test_train_checks_names_before_work_begins(bare: Path, run: Run) -> None:
    done = run("train", "--model", "tcresnet,grru")
    assert done.code == 1
    assert done.err == "error: there is no model 'grru'\nhint:  did you mean 'gru'?\n"


def test_tune_then_train_the_best(here: Path, run: Run) -> None:
    settings = ("--set", "search.epochs=1", "--set", "train.seed=1")  # whatever is best, no run has it
    done = run("tune", "--model", "gru", "--trials", "2", "--no-train", *settings)
    assert done.code == 0
    assert done.out.startswith("gru: 2 trials, 0 pruned, best CV 0.")
    assert done.out.endswith(f"next: kagglekit {' '.join(settings)} train --tuned --model gru\n")
    assert len(list(here.glob(".kagglekit/runs/gru/*/metrics.json"))) == 1
    (tuned,) = run("--json", "train", "--tuned", "--model", "gru", *settings).data["runs"]
    assert tuned["source"].startswith("study gru-")
    assert len(list(here.glob(".kagglekit/runs/gru/*/metrics.json"))) == 2


def test_tune_trains_the_best(here: Path, run: Run) -> None:
    command = ("tune", "--model", "gru", "--trials", "1", "--set", "search.epochs=1", "--set", "train.seed=1")
    done = run("--json", *command)
    (study,) = done.data["studies"]
    assert study["run"]["source"] == f"study {study['study']} trial 0"
    assert study["params"]["train.lr"] == 0.01  # the recipe is the first trial
    (trial,) = [json.loads(line) for line in done.out.splitlines()[:-1]]
    assert (trial["trial"], trial["state"], trial["values"]) == (0, "finished", [study["cv"]])
    assert trial["params"] == study["params"]


def test_tune_prints_the_yaml_to_keep(here: Path, run: Run) -> None:
    settings = ("--model", "gru", "--set", "search.epochs=1")
    none = run("tune", "--best", *settings)
    assert (none.code, none.err.splitlines()[-2]) == (1, "error: no finished trial of gru")
    run("tune", "--no-train", "--trials", "1", *settings)
    done = run("tune", "--best", *settings)
    kept = parse(done.out)[1]
    assert done.out.startswith("# study gru-") and "trial 0 of 1: CV 0." in done.out
    assert kept["models"]["gru"]["train"]["lr"] == 0.01
    assert kept["models"]["gru"]["model"]["hidden"] == 16
    assert kept["labels"] == {"keep_fillers": "all"}
    (found,) = run("--json", "tune", "--best", *settings).data["best"]
    assert found["settings"] == kept


def test_tune_without_a_finished_trial_says_so(here: Path, run: Run) -> None:
    settings = ("train.lr=1e30", "train.optimizer=sgd", "train.clip_norm=0", "search.epochs=3")
    options = [word for setting in settings for word in ("--set", setting)]
    done = run("tune", "--model", "gru", "--trials", "2", *options)
    assert (done.code, done.out) == (1, "")
    assert "error: no trial of gru has finished: 2 trials, 2 failed\n" in done.err


def test_tune_wants_a_trial(here: Path, run: Run) -> None:
    done = run("tune", "--model", "gru", "--trials", "0")
    assert done == (1, "", "error: --trials 0: must be at least 1\nhint:  for example --trials 20\n")


def test_predict_names_the_test_logits(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    done = run("--json", "predict", "--model", "gru")
    assert done.data == {"run": path.parent.name, "test": str(path)}


def test_predict_makes_the_test_logits_again(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    before = pl.read_parquet(path)
    for made in (path, *path.parent.glob("fold_*/test.parquet")):
        made.unlink()
    of_other_folds = ("predict", "--model", "gru", "--run", path.parent.name, "--set", "validation.folds=3")
    assert "trained on other clips or folds" in run(*of_other_folds).err and not path.exists()
    assert run("--json", "predict", "--model", "gru").data["test"] == str(path)
    assert pl.read_parquet(path).equals(before)


def test_predict_wav_files(here: Path, run: Run) -> None:
    rng = np.random.default_rng(7)
    for word in ("low", "mid"):
        (here / f"{word}.wav").write_bytes(tiny.wav_bytes(tiny.tone(tiny.WORDS[word], rng)))
    probs = run("--json", "predict", "--model", "gru", "low.wav", "mid.wav").data["probs"]
    assert {name: next(iter(p)) for name, p in probs.items()} == {"low.wav": "low", "mid.wav": "mid"}
    assert sorted(probs["low.wav"]) == CLASSES
    assert sum(probs["low.wav"].values()) == pytest.approx(1)
    shown = run("predict", "--model", "gru", "low.wav").out
    assert shown.startswith(f"low.wav  low {probs['low.wav']['low']:.2f}  ")


def test_predict_hears_in_a_wav_what_it_hears_in_the_archive(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    clip_id, logits = pl.read_parquet(path).select("clip_id", "logits").row(3)
    with zipfile.ZipFile("host/test.zip") as archive:
        (here / clip_id).write_bytes(archive.read(f"test/audio/{clip_id}"))
    probs = run("--json", "predict", "--model", "gru", clip_id).data["probs"][clip_id]
    # bfloat16 rounds otherwise in a batch of another size
    assert [probs[c] for c in CLASSES] == pytest.approx(np.exp(logits), abs=1e-3)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "gru", "no.wav"], "error: there is no file no.wav\n"),
        (["--model", "gru", "competition.yaml"], "error: competition.yaml is unreadable\n"),
        (["--model", "gru", "--run", "0123"], "error: there is no finished run gru/0123\n"),
        (["--model", "gru", "--run", "../gru"], "error: there is no finished run gru/../gru\n"),
        (["--model", "lstm"], "error: no trained run of lstm\n"),
    ],
)
def test_predict_refuses(argv: list[str], message: str, here: Path, run: Run) -> None:
    done = run("--quiet", "predict", *argv)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(message) and done.err.count("\nhint:  ") == 1


# --- ensemble, submit, leaderboard ---


def test_ensemble(here: Path, run: Run) -> None:
    data = run("--json", "ensemble", "--model", "gru,tcresnet").data
    assert data["name"] == "gru+tcresnet"
    assert sum(data["weights"].values()) == pytest.approx(1)
    shown = run("ensemble").out  # all trained models by default
    assert f"CV {data['cv']:.4f}" in shown and f"{data['weights']['gru']:.4f}" in shown


def test_ensemble_shows_every_method_and_decision(here: Path, run: Run) -> None:
    from kagglekit.ensemble.decisions import DECISIONS
    from kagglekit.ensemble.methods import METHODS

    data = run("--json", "ensemble", "--model", "runs").data
    assert {row["name"] for row in data["methods"]} == set(METHODS)
    assert {row["name"] for row in data["decisions"]} == set(DECISIONS)
    shown = run("ensemble", "--model", "all").out
    assert "chosen: " in shown and f"--method {data['method']} --decision {data['decision']}\n" in shown
    named = run("--json", "ensemble", "--method", "rank", "--decision", "bias").data
    assert (named["method"], named["decision"]) == ("rank", "bias")
    assert [row["name"] for row in named["methods"] if row["name"] != "mean"] == ["rank"]


def test_ensemble_of_runs_by_name(here: Path, run: Run) -> None:
    (folder,) = here.glob(".kagglekit/runs/gru/*/")
    data = run("--json", "ensemble", "--model", f"gru/{folder.name},tcresnet").data
    assert set(data["weights"]) == {"gru", "tcresnet"}
    done = run("--quiet", "ensemble", "--model", "gru/0123")
    assert (done.code, done.err) == (
        1,
        f"error: there is no finished run gru/0123\nhint:  known: {folder.name}\n",
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("ensemble --method carauna", "there is no method 'carauna'\nhint:  did you mean 'caruana'?"),
        ("submit --decision gates", "there is no decision 'gates'\nhint:  did you mean 'gate'?"),
        ("submit --best --method mean", "--best chooses method and decision itself\nhint:  name them"),
        ("submit --file a.csv --method mean", "--method, --decision and --dry-run apply to blends"),
        ("submit --dry-run --upload", "--dry-run sends nothing\nhint:  leave --dry-run or --upload out"),
        (
            "submit --set ensemble.method=best",
            "ensemble.method: there is no ensemble method 'best'; known: auto, caruana",
        ),
    ],
)
def test_choices_that_cannot_be(argv: str, message: str, bare: Path, run: Run) -> None:
    done = run("--quiet", *argv.split())
    assert (done.code, done.out) == (1, "") and message in done.err, done.err


def test_submit_dry_run_writes_nothing(here: Path, run: Run) -> None:
    done = run("submit", "--best", "--dry-run")
    assert done.code == 0 and "nothing was written (--dry-run)\n" in done.out
    assert "expected public score 0." in done.out and "rank 1 of 1" not in done.out
    assert not list(here.glob("submissions/*.csv")) and not (here / "submissions/leaderboard.jsonl").exists()


def test_submit_best_tells_what_changed(here: Path, run: Run) -> None:
    best = run("--json", "submit", "--best").data
    assert {"method", "decision", "expected"} <= best.keys() and "change" not in best
    assert run("submit", "--ensemble", "gru", "--upload", "--yes").code == 0
    shown = run("submit", "--ensemble", "tcresnet").out
    assert re.search(r"  \d+ rows differ from \S+\.csv", shown)


def test_without_names_a_model_of_other_folds_is_left_out(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/tcresnet/*/metrics.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clips_key": "other"}))
    done = run("--json", "ensemble")
    assert (done.code, done.data["name"]) == (0, "gru")
    assert "skipping tcresnet: it was trained on other clips or folds than the present ones\n" in done.err
    named = run("--quiet", "submit", "--ensemble", "gru,tcresnet")
    assert (named.code, "the run of tcresnet was trained on other" in named.err) == (1, True)


def test_ensemble_before_training(bare: Path, run: Run) -> None:
    run("fetch")
    done = run("--quiet", "ensemble")
    assert done.err == (
        "error: no model is trained yet\nhint:  train one: kagglekit train --model tcresnet\n"
    )


def test_submit_writes_and_sends_nothing(here: Path, run: Run) -> None:
    data = run("--json", "submit", "--ensemble", "tcresnet,gru").data
    csv = Path(data["csv"])
    written = pl.read_csv(csv, infer_schema=False)
    sample = pl.read_csv("host/sample_submission.csv", infer_schema=False)
    blend = pl.read_parquet(".kagglekit/ensembles/gru+tcresnet/test.parquet")
    labels = np.array(CLASSES)[blend["logits"].to_numpy().argmax(1)]
    assert written["fname"].to_list() == sample["fname"].to_list()
    assert dict(written.rows()) == dict(zip(blend["clip_id"], labels, strict=True))
    assert [entry["status"] for entry in entries(here)] == ["written"]
    assert not (here / ".kagglekit/host").exists()
    assert csv.name.endswith(f"_gru+tcresnet_{data['cv']:.4f}.csv")


def test_submit_the_same_twice_writes_one_file(here: Path, run: Run) -> None:
    first, second = (run("--json", "submit", "--ensemble", "gru").data["csv"] for _ in range(2))
    assert first == second
    assert len(list(here.glob("submissions/*.csv"))) == 1
    assert len(entries(here)) == 1


def test_submit_upload(here: Path, run: Run) -> None:
    done = run("submit", "--ensemble", "tcresnet,gru", "--upload", "--yes", "--message", "a try")
    (csv,) = here.glob("submissions/*.csv")
    public, private = hand_graded(csv, "Public"), hand_graded(csv, "Private")
    assert done.code == 0
    assert f"sent as 1: public {public:.5f}, private {private:.5f}, CV 0." in done.out
    assert done.out.endswith("next: kagglekit leaderboard\n")
    assert [entry["status"] for entry in entries(here)] == ["written", "sending", "PENDING", "COMPLETE"]
    last = entries(here)[-1]
    assert (last["public"], last["private"], last["message"]) == (public, private, "a try")
    assert (here / ".kagglekit/host/tiny/1.csv").read_bytes() == csv.read_bytes()


def test_submit_refuses_the_same_bytes(here: Path, run: Run) -> None:
    command = ("submit", "--ensemble", "gru", "--upload", "--yes")
    run(*command)
    (csv,) = here.glob("submissions/*.csv")
    again = run(*command)
    assert again.code == 1
    assert again.err.endswith(
        f"error: these predictions were sent before: {csv.name} "
        f"(COMPLETE, public {hand_graded(csv, 'Public'):.5f})\n"
        "hint:  kagglekit leaderboard shows it; --force sends the same bytes again\n"
    )
    assert run(*command, "--force").code == 0
    assert sorted(path.name for path in here.glob(".kagglekit/host/tiny/*.csv")) == ["1.csv", "2.csv"]


@pytest.mark.parametrize(("line", "terminal"), [("n\n", True), ("", True), ("y\n", False)])
def test_submit_declined(
    line: str, terminal: bool, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, line, terminal)
    done = run("--quiet", "submit", "--ensemble", "gru", "--upload")
    (csv,) = here.glob("submissions/*.csv")
    question = "Upload it? [y/N] " if terminal else ""
    assert done.code == 1
    assert done.err == (
        f"{question}error: not uploaded\nhint:  {csv} is kept; --yes skips the confirmation prompt\n"
    )
    assert entries(here)[-1]["status"] == "written"
    assert not (here / ".kagglekit/host/tiny/1.csv").exists()


def test_submit_agreed(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "Y\n")
    done = run("--quiet", "submit", "--ensemble", "gru", "--upload")
    assert (done.code, done.err) == (0, "Upload it? [y/N] ")
    assert "Upload it?" not in done.out and entries(here)[-1]["status"] == "COMPLETE"


def test_submit_without_waiting_then_sync(here: Path, run: Run) -> None:
    done = run("submit", "--ensemble", "gru", "--upload", "--yes", "--no-wait")
    assert "sent as 1: not scored yet" in done.out
    assert entries(here)[-1]["status"] == "PENDING"
    (csv,) = here.glob("submissions/*.csv")
    assert "1 entry changed" in run("leaderboard", "--sync").out
    assert entries(here)[-1]["public"] == hand_graded(csv, "Public")
    assert "0 entries changed" in run("leaderboard", "--sync").out


def test_submit_goes_on_waiting(here: Path, run: Run) -> None:
    command = ("submit", "--ensemble", "gru", "--upload", "--yes")
    run(*command, "--no-wait")
    done = run(*command)
    assert done.code == 0 and "sent as 1: public " in done.out
    assert [path.name for path in here.glob(".kagglekit/host/tiny/*.csv")] == ["1.csv"]


def test_submit_at_the_daily_limit(here: Path, run: Run) -> None:
    command = ("submit", "--upload", "--yes", "--set", "competition.local.daily_limit=1")
    assert run(*command, "--ensemble", "gru").code == 0
    done = run("--quiet", *command, "--file", by_hand(here).name)  # two models may give the same answers
    (csv,) = here.glob("submissions/*by-hand*.csv")
    assert done.code == 1
    assert done.err == f"error: no submissions are left today\nhint:  {csv} is kept: send it tomorrow\n"


def by_hand(folder: Path) -> Path:
    """A submission that no kagglekit made: the solution with every fourth label wrong."""
    rows = pl.read_csv(folder / "host/solution.csv", infer_schema=False).rows()
    lines = [f"{name},{label if i % 4 else 'unknown'}\n" for i, (name, label, _) in enumerate(rows)]
    path = folder / "by hand.csv"
    path.write_text("fname,label\n" + "".join(lines))
    return path


def test_submit_a_file_made_elsewhere(bare: Path, run: Run) -> None:
    path = by_hand(bare)
    assert run("--quiet", "submit", "--file", str(path)).err.endswith("hint:  fetch it: kagglekit fetch\n")
    run("fetch")
    checked = run("submit", "--file", path.name)
    assert checked.out.endswith("next: kagglekit submit --file 'by hand.csv' --upload\n")
    done = run("submit", "--file", path.name, "--upload", "--yes", "--wait")
    (csv,) = bare.glob("submissions/*_by-hand.csv")
    assert f"sent as 1: public {hand_graded(csv, 'Public'):.5f}, private " in done.out
    assert (bare / ".kagglekit/host/tiny/1.csv").read_bytes() == path.read_bytes()
    assert "(file)" in run("leaderboard").out


def test_submit_takes_a_file_or_models(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", "--file", "a.csv", "--ensemble", "gru"])
    assert "not allowed with argument --file" in capsys.readouterr().err


def test_submit_checks_before_it_uploads(bare: Path, run: Run) -> None:
    run("fetch")
    path = by_hand(bare)
    late = ("--set", "competition.local.deadline=2018-01-17")
    done = run("--quiet", "submit", "--file", path.name, "--upload", "--yes", *late)
    assert done.err.startswith("error: the competition closed at 2018-01-17 00:00 UTC, and the host takes no")
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], "clip_0023.wav,lo"]))
    done = run("--quiet", "submit", "--file", path.name, "--upload", "--yes")
    assert done.err.startswith("error: unknown labels: 'lo'\n")
    assert not (bare / ".kagglekit/host").exists()


def test_two_submits_at_once_send_one(bare: Path, run: Run) -> None:
    run("fetch")
    command = [sys.executable, "-m", "kagglekit", "submit", "--file", by_hand(bare).name, "--upload", "--yes"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    said = [child.communicate(timeout=60)[0].decode() for child in both]
    assert sum("sent as 1: public " in out for out in said) in (
        1,
        2,
    )  # 1: it was scored when the other looked
    assert [path.name for path in bare.glob(".kagglekit/host/tiny/*.csv")] == ["1.csv"]


def test_leaderboard_shows_what_was_sent_elsewhere(bare: Path, run: Run) -> None:
    run("fetch")
    run("submit", "--file", by_hand(bare).name, "--upload", "--yes")
    (bare / "submissions/leaderboard.jsonl").unlink()
    assert "1 entry changed, 1 of them made elsewhere" in run("leaderboard", "--sync").out
    data = run("--json", "leaderboard", "--sync").data
    (entry,) = data["entries"]
    assert (entry["foreign"], entry["ref"], entry["rank"], entry["teams"]) == (True, "1", 1, 1)
    assert data["best_by_public"] == {"csv": entry["csv"], "ref": "1"} and data["best_by_cv"] is None
    shown = run("leaderboard").out
    assert "(elsewhere)" in shown and f"{entry['public']:.4f}*" in shown and " 1/1 " in shown


def test_leaderboard_tells_the_medal_zones(bare: Path, run: Run) -> None:
    run("fetch")
    run("submit", "--file", by_hand(bare).name, "--upload", "--yes")
    log = bare / "submissions/leaderboard.jsonl"
    log.write_text(json.dumps(entries(bare)[-1] | {"rank": 60, "teams": 1315}) + "\n")
    shown = run("leaderboard").out
    assert " 60/1315 silver " in shown
    assert "; medal zones: gold to 12, silver to 65, bronze to 131\n" in shown
    on_kaggle = run("leaderboard", "--set", "competition.host=kaggle").out
    assert "selected for the final score" not in on_kaggle  # nothing was sent there


def test_leaderboard(here: Path, run: Run) -> None:
    empty = run("leaderboard")
    assert empty.out == "no submission yet\nnext: kagglekit submit --ensemble tcresnet\n"
    run("submit", "--ensemble", "gru", "--upload", "--yes")
    (csv,) = here.glob("submissions/*.csv")
    (entry,) = run("--json", "leaderboard").data["entries"]
    assert (entry["csv"], entry["public"]) == (csv.name, hand_graded(csv, "Public"))
    shown = run("leaderboard").out
    gap = f"{100 * (entry['cv_score'] - entry['public']):+.1f}"
    assert all(word in shown for word in (csv.name, "COMPLETE", f"{entry['public']:.4f}", gap))


def test_leaderboard_csv(here: Path, run: Run) -> None:
    run("submit", "--ensemble", "gru")
    assert run("leaderboard", "--out", "log.csv").out.endswith("wrote log.csv\n")
    (row,) = pl.read_csv("log.csv", infer_schema=False).to_dicts()
    assert (row["models"], row["status"], row["public"]) == ("gru", "written", None)


# --- run ---


def test_run_does_all_of_it(bare: Path, run: Run) -> None:
    done = run("run", "--model", "tcresnet,gru", "--upload", "--yes")
    (csv,) = bare.glob("submissions/*.csv")
    assert done.code == 0
    assert f"sent as 1: public {hand_graded(csv, 'Public'):.5f}, " in done.out
    assert len(list(bare.glob(".kagglekit/runs/*/*/metrics.json"))) == 2


@pytest.mark.slow
def test_run_within_a_time_limit(bare: Path, run: Run) -> None:
    done = run("run", "--model", "tcresnet", "--time-limit", "8s", "--set", "train.epochs=100000")
    (csv,) = bare.glob("submissions/*.csv")
    (metrics,) = bare.glob(".kagglekit/runs/tcresnet/*/metrics.json")
    assert done.code == 0
    assert len(pl.read_csv(csv)) == 24
    epochs = [len(json.loads(p.read_text())["history"]) for p in metrics.parent.glob("fold_*/meta.json")]
    assert epochs[0] == epochs[1] and 3 <= epochs[0] < 100_000


def test_run_without_time(bare: Path, run: Run) -> None:
    done = run("--quiet", "run", "--time-limit", "0.01s")
    assert done == (
        1,
        "",
        "error: the time limit is too short to train a model\nhint:  raise it, for example --time-limit 30m\n",
    )


# --- doctor ---


def test_doctor(bare: Path, run: Run) -> None:
    done = run("doctor")
    assert done.code == 0 and done.err == ""
    assert "ok    config       tiny on the host 'local'\n" in done.out
    assert all(
        f"ok    {name} " in done.out for name in ("rules", "deadline", "metric", "submissions", "disk")
    )


def test_doctor_without_a_config(tmp_path: Path, run: Run) -> None:
    done = run("--json", "doctor")
    checks = {check["name"]: check for check in done.data["checks"]}
    assert (done.code, done.data["ok"]) == (1, False)
    assert (checks["config"]["verdict"], checks["credential"]["verdict"]) == ("bad", "bad")
    assert done.err == "error: not ready: config, credential\nhint:  each says after -> what to do\n"


# --- what is said where ---


def test_json_is_one_line_and_quiet_is_quiet(here: Path, run: Run) -> None:
    keys = {
        "fetch": "files",
        "prepare": "clips",
        "features": "shape",
        "train --model tcresnet": "runs",
        "tune --model gru --trials 1 --set search.epochs=1": "studies",
        "predict --model gru": "test",
        "ensemble": "weights",
        "submit": "csv",
        "submit --upload --yes": "public",
        "leaderboard --sync": "entries",
        "run --model gru,lstm --set models.lstm.train.epochs=1 --upload --yes": "private",
    }
    for command, key in keys.items():
        done = run("--quiet", "--json", *command.split())
        assert (done.code, done.err) == (0, ""), command
        assert key in done.data, command
        assert done.out.count("\n") == (2 if command.startswith("tune") else 1), command


def test_notes_and_bars_are_on_stderr(bare: Path, run: Run) -> None:
    run("fetch")
    done = run("prepare")
    assert "prepare train.zip: 42 clips in " in done.err
    assert "42 clips in" not in done.out
