"""Recipes, label schemes and subsets, from the command line to the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support import tiny
from support.checkpoints import save_tiny_wav2vec2

from kagglekit import recipes
from kagglekit.cli import main
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import ConfigError, KagglekitError, MissingError
from kagglekit.files.workspace import Workspace
from kagglekit.runs import train as run_module
from kagglekit.runs.choose import best_run
from kagglekit.runs.folds import train_within_memory
from kagglekit.runs.score import assemble
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.store import Run, fold_probs, load_fold
from kagglekit.runs.train import train_run, warn_of_rare
from kagglekit.scoring.cv import clip_weights
from kagglekit.terminal import console
from kagglekit.training.files import DECISION
from kagglekit.training.loop import Fold
from kagglekit.training.plan import resolve

ROOT = Path(__file__).parents[2]
REPORT = 13
CLASSES = ["low", "mid", "silence", "unknown"]


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny competition, fetched and prepared, for short trainings."""
    path = tiny.make(tmp_path_factory.mktemp("tiny"))
    path.write_text(path.read_text().replace("epochs: 12", "epochs: 3"))
    assert main(["--quiet", "-C", str(path), "prepare"]) in (0, 1)
    assert main(["--quiet", "-C", str(path), "fetch"]) == 0
    return path


def call(capsys: pytest.CaptureFixture[str], yaml: Path, *argv: str) -> dict[str, Any]:
    """The JSON of a command that goes well."""
    capsys.readouterr()
    assert main(["--quiet", "--json", "-C", str(yaml), *argv]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def opened(yaml: Path, *overrides: str) -> tuple[Config, Workspace, Prepared]:
    config = load_config(yaml, overrides)
    return config, Workspace(config), prepare(Workspace(config))


def trained(yaml: Path, model: str, *overrides: str) -> tuple[Config, Prepared, Run]:
    config, _workspace, prepared = opened(yaml, *overrides)
    return config, prepared, train_run(prepared, resolve(config, model))


# -- the shipped recipes --


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_fits_the_competition(name: str) -> None:
    recipe = recipes.load(name)
    config = recipes.configure(ROOT / "competition.yaml", recipe)
    plan = resolve(config, recipe.model)
    asked = recipe.settings.get("train", {})
    found = plan.train.model_dump()
    for key in asked.keys() - {"augment"}:
        assert found[key] == (tuple(asked[key]) if isinstance(asked[key], list) else asked[key]), key
    assert {k: found["augment"][k] for k in asked.get("augment", {})} == asked.get("augment", {})
    # clips and folds stay, so that all recipes can be compared and blended
    assert recipe.settings.keys() <= {"train", "features", "model", "checkpoint", "labels"}
    assert recipe.settings.get("labels", {}).keys() <= {"keep_fillers"}


def test_the_reports_thirteen() -> None:
    found = [recipes.load(name) for name in recipes.names()]
    assert [bool(recipe.report) for recipe in found] == [True] * REPORT + [False] * (len(found) - REPORT)
    convs2s = {}
    for number in range(1, 8):
        recipe = recipes.load(f"convs2s_{number}")
        plan = resolve(recipes.configure(ROOT / "competition.yaml", recipe), recipe.model)
        keep = recipe.settings["labels"]["keep_fillers"]
        convs2s[number] = (plan.train.loss, plan.train.optimizer, keep, plan.train.batch_size)
        assert plan.train.labels == "targets"
    assert convs2s == {
        1: ("mse", "adam", "all", 128),
        2: ("mse", "adamax", "all", 128),
        3: ("mse", "sgd", "all", 128),
        4: ("crossentropy", "adam", "all", 128),
        5: ("mse", "rmsprop", "all", 128),
        6: ("mse", "rmsprop", 2000, 128),
        7: ("mse", "rmsprop", 2000, 256),
    }


def test_recipes_override_the_models_section_and_set_overrides_both(tmp_path: Path) -> None:
    yaml = tmp_path / "competition.yaml"
    least = "competition: {slug: tiny}\nlabels: {targets: [a, b]}\n"
    yaml.write_text(least + "models: {convs2s: {train: {lr: 0.5, loss: crossentropy, epochs: 9}}}\n")
    recipe = recipes.load("convs2s_1")
    train = resolve(recipes.configure(yaml, recipe), "convs2s").train
    assert (train.lr, train.loss, train.epochs) == (0.001, "mse", 9)
    train = resolve(recipes.configure(yaml, recipe, ["train.lr=0.25"]), "convs2s").train
    assert (train.lr, train.loss) == (0.25, "mse")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: {loss: hinge, lr: 3e-4}",
            "recipe mine: models.gru.train.loss: input should be 'crossentropy', 'mse' or 'bce', not 'hinge'",
        ),
        ("trian: {lr: 1}", "recipe mine: trian: unknown key; did you mean 'train'?"),
        ("train: {only: [yes, no]}", "train.only names 'yes', which is no class"),
    ],
)
def test_a_recipe_of_ones_own_with_a_problem(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"about: mine\nmodel: gru\nsettings:\n  {text}\n")
    yaml = tmp_path / "competition.yaml"
    yaml.write_text("competition: {slug: tiny}\nlabels: {targets: [a, b]}\n")
    recipe = recipes.load(str(tmp_path / "mine.yaml"))
    with pytest.raises(ConfigError) as caught:
        resolve(recipes.configure(yaml, recipe), recipe.model)
    assert str(caught.value) == message


def test_unknown_recipes_and_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no recipe 'convs2s_8'") as caught:
        recipes.load("convs2s_8")
    assert (caught.value.hint or "").startswith("did you mean 'convs2s_")
    with pytest.raises(ConfigError, match="there is no recipe 'gone"):
        recipes.load("gone.yaml")
    (tmp_path / "a.yaml").write_text("about: a\nmodel: gru\nsetting: {}\n")
    with pytest.raises(ConfigError, match="is no recipe: setting: Extra inputs are not permitted"):
        recipes.load(str(tmp_path / "a.yaml"))


# -- train --


def test_list(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = call(capsys, yaml, "train", "--list")["recipes"]
    assert [recipe["name"] for recipe in listed] == recipes.names()
    assert call(capsys, yaml, "train", "--recipe", "list")["recipes"] == listed


def test_a_run_remembers_its_recipe(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "--recipe", "convs2s_3", "--recipe", "gru_report", "--set", "train.epochs=1"]
    convs2s, gru = call(capsys, yaml, *argv)["runs"]
    assert (convs2s["source"], convs2s["model"]) == ("recipe convs2s_3", "convs2s")
    assert (gru["source"], gru["model"]) == ("recipe gru_report", "gru")
    meta = json.loads(Path(gru["folder"], "fold_0", "meta.json").read_text())
    assert (meta["train"]["epochs"], meta["params"]["pooling"]) == (1, "last")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--recipe", "gru", "--tuned"], "--tuned and --recipe both choose the settings"),
        (["--model", "gru", "--only", "low"], "train.only: low is impossible with train.labels: words"),
        (["--model", "gru", "--set", "train.labels=zero_shot"], "train.labels zero_shot needs a pretrained"),
    ],
)
def test_what_cannot_be(
    argv: list[str], message: str, yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quiet", "-C", str(yaml), "train", *argv]) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


# -- label schemes --


def test_words_threshold(yaml: Path) -> None:
    config, prepared, run = trained(yaml, "tcresnet", "train.labels=words_threshold", "train.thresholds=fit")
    _, head, _ = load_fold(run.folder / "fold_0")
    assert "_silence_" not in head.outputs and len(head.outputs) == 6 and head.thresholds is not None
    oof = pl.concat([pl.read_parquet(run.folder / f"fold_{n}" / "oof.parquet") for n in range(2)])
    assert oof.filter(label="silence").height == 12  # judged, though never trained on
    raw = oof["logits"].to_numpy()
    np.testing.assert_allclose(np.exp(raw).sum(1), 1, atol=1e-5)
    decision = json.loads((run.folder / DECISION).read_text())
    pairs = {int(n): pair for n, pair in decision["of_folds"].items()}
    assembled = pl.read_parquet(run.folder / "oof.parquet")
    assert assembled["clip_id"].equals(oof["clip_id"])
    for fold in (0, 1):
        here = (oof["fold"] == fold).to_numpy()
        best = np.exp(np.delete(raw[here], 2, axis=1)).max(1)
        quiet = assembled["logits"].to_numpy()[here].argmax(1) == 2
        np.testing.assert_array_equal(quiet, best < pairs[fold]["silence"])
    clips = oof.join(prepared.clips, on="clip_id", how="left", maintain_order="left")
    right = assembled["logits"].to_numpy().argmax(1) == [CLASSES.index(label) for label in oof["label"]]
    assert run.score.oof == pytest.approx(float(clip_weights(clips, config) @ right))


def test_another_prior_fits_thresholds_again(yaml: Path) -> None:
    overrides = ["train.labels=words_threshold", "train.thresholds=fit"]
    _, _, first = trained(yaml, "tcresnet", *overrides)
    before = json.loads((first.folder / DECISION).read_text())["thresholds"]
    _, _, again = trained(yaml, "tcresnet", *overrides, "validation.prior={silence: 0.97, unknown: 0.01}")
    assert again.folder == first.folder
    assert json.loads((again.folder / DECISION).read_text())["thresholds"]["silence"] > before["silence"]
    mean = np.mean([fold_probs(again.folder, n) for n in (0, 1)], axis=0)
    stored = pl.read_parquet(again.folder / "test.parquet")["logits"].to_numpy()
    np.testing.assert_allclose(np.exp(stored), mean, atol=1e-6)


def test_cascade_is_a_scheme_and_a_name(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = call(capsys, yaml, "train", "--model", "tcresnet", "--set", "train.labels=cascade")["runs"]
    (same,) = call(capsys, yaml, "train", "--model", "cascade-tcresnet")["runs"]
    assert same["folder"] == run["folder"] and run["model"] == "cascade-tcresnet"
    model, head, _ = load_fold(Path(run["folder"]) / "fold_1")
    assert list(head.outputs) == CLASSES
    assert model.gate.config == model.words.config and model.gate.config.depth == 8
    _config, _workspace, prepared = opened(yaml)
    assert best_run(prepared, "cascade-tcresnet").folder == Path(run["folder"])


def test_only(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = call(capsys, yaml, "train", "--model", "lstm", "--only", "low,silence")["runs"]
    oof = pl.read_parquet(Path(run["folder"]) / "oof.parquet")
    assert set(oof["label"]) == {"low", "silence"} and oof["logits"].to_numpy().shape[1] == 4
    assert set(oof["logits"].to_numpy().argmax(1)) <= {0, 2}
    assert (
        run["only"] == ["low", "silence"] and run["gain"] == 0 and set(run["parts"]) == {"keyword", "silence"}
    )
    _config, _workspace, prepared = opened(yaml)
    with pytest.raises(MissingError, match="was trained on other clips"):
        best_run(prepared, "lstm")


# -- a checkpoint as it is --


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones at 16 kHz, and a checkpoint that knows three of the words."""
    folder = tmp_path_factory.mktemp("heard")
    yaml = tiny.make(folder)
    text = yaml.read_text().replace("sample_rate: 8000, seconds: 0.5", "sample_rate: 16000, seconds: 1.0")
    save_tiny_wav2vec2(folder / "named", ["Mid", "extra", "_low_", "tree"])
    save_tiny_wav2vec2(folder / "unnamed", ["tree", "house", "bird"])
    yaml.write_text(text[: text.index("models:")] + text[text.index("search:") :])
    assert main(["--quiet", "-C", str(yaml), "fetch"]) == 0
    return yaml


def test_zero_shot(heard: Path) -> None:
    labels = ["train.labels=zero_shot", "models.wav2vec2.checkpoint=named"]
    _, prepared, run = trained(heard, "wav2vec2", *labels)
    model, head, _ = load_fold(run.folder / "fold_1")
    assert head.outputs == ("Mid", "extra", "_low_", "tree") and head.class_of == (1, 3, 0, 3)
    weights = [run.folder / f"fold_{n}" / "model.safetensors" for n in (0, 1)]
    assert weights[0].samefile(weights[1])
    stored = pl.read_parquet(run.folder / "fold_1" / "oof.parquet")
    clips = stored.join(prepared.clips, on="clip_id", how="left", maintain_order="left")
    spoken = clips["split"] == "train"
    x = prepared.store("train").take(clips.filter(spoken)["row"].to_numpy()) / np.float32(32768)
    with torch.inference_mode():
        probs = model.eval()(torch.from_numpy(x)).softmax(1).numpy()
    raw = np.exp(stored.filter(spoken)["logits"].to_numpy())
    np.testing.assert_allclose(raw[:, [0, 1]], probs[:, [2, 0]], rtol=1e-3)
    np.testing.assert_allclose(raw[:, 3], probs[:, [1, 3]].max(1), rtol=1e-3)
    assert run.metrics["train_seconds"] == 0


def test_zero_shot_with_labels_that_are_no_words(heard: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        trained(heard, "wav2vec2", "train.labels=zero_shot", "models.wav2vec2.checkpoint=unnamed")
    assert "says tree, house, bird: none is a target of ours" in str(caught.value)


def test_zero_shot_has_nothing_to_search(heard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--set", "train.labels=zero_shot", "--set", "models.wav2vec2.checkpoint=named"]
    assert main(["--quiet", "-C", str(heard), *argv, "tune", "--model", "wav2vec2"]) == 1
    assert "does not train wav2vec2: there is nothing to search" in capsys.readouterr().err


# -- reproduce --


def test_reproduce(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["reproduce", "--recipe", "tcresnet,ast_12,convs2s_4", "--epochs", "1"]
    wild = ["models.convs2s.train.lr=1e30", "models.convs2s.train.batch_size=8", "train.clip_norm=0"]
    rows = call(capsys, yaml, *argv, *(word for text in wild for word in ("--set", text)))["recipes"]
    assert [row["recipe"] for row in rows] == ["tcresnet", "ast_12", "convs2s_4"]
    assert 0 < rows[0]["cv"] < 1 and rows[0]["error"] is None and rows[0]["minutes"] >= 0
    assert rows[1]["error"] == "ast takes 16000 Hz, audio.sample_rate is 8000" and rows[1]["cv"] is None
    assert rows[2]["error"].startswith("the loss is") and "learning rate" in rows[2]["error"]
    late = call(capsys, yaml, "reproduce", "--time-limit", "0.000001s")["recipes"]
    assert len(late) == REPORT and {row["error"] for row in late} == {"not begun: out of time"}


def test_the_table(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "-C", str(yaml), "reproduce", "--recipe", "wav2vec2_12"]) == 0
    out = capsys.readouterr().out
    assert "wav2vec2 takes 16000 Hz" in out and "about 60 %, everything" in out


# -- failures --


def job(yaml: Path, folder: Path) -> Fold:
    config, _workspace, prepared = opened(yaml)
    plan = resolve(config, "tcresnet", {"train.batch_size": 32, "train.epochs": 1})
    dataset = make_dataset(prepared, plan)
    return Fold(config, plan, dataset, head_for(prepared, plan), 0, folder)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory(
    error: Exception,
    yaml: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_fold, sizes = run_module.train_fold, []

    def short_of_memory(job: Fold) -> pl.DataFrame:
        sizes.append(job.plan.train.batch_size)
        if job.plan.train.batch_size > 8:
            raise error
        return train_fold(job)

    monkeypatch.setattr(run_module, "train_fold", short_of_memory)
    console.configure()
    done = train_within_memory(job(yaml, tmp_path / "fold_0"))
    assert sizes == [32, 16, 8] and done.plan.train.batch_size == 8
    assert "going on with batches of 8 clips instead of 16" in capsys.readouterr().err
    assert json.loads((tmp_path / "fold_0/meta.json").read_text())["train"]["batch_size"] == 8


def test_out_of_all_memory(yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Fold) -> pl.DataFrame:
        raise RuntimeError("CUDA error: out of memory" if job.folder.name == "a" else "shapes differ")

    monkeypatch.setattr(run_module, "train_fold", fail)
    with pytest.raises(KagglekitError, match="out of memory with batches of 8 clips"):
        train_within_memory(job(yaml, tmp_path / "a"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train_within_memory(job(yaml, tmp_path / "b"))


def test_rare_classes_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    clips = pl.DataFrame({"label": ["a", "a", "b", "b", "c"], "fold": [0, 1, 1, 1, -1]})
    warn_of_rare(clips, ("a", "b", "c"))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("the training clips of 'b', 2 in all, are of one fold")
    assert second == "there is no training clip of 'c': it is never predicted"


def test_predictions_that_are_not_numbers(yaml: Path) -> None:
    _config, prepared, run = trained(yaml, "tcresnet", "train.epochs=1", "train.seed=7")
    path = run.folder / "fold_0" / "oof.parquet"
    oof = pl.read_parquet(path)
    logits = oof["logits"].to_numpy().copy()
    logits[0] = np.nan
    oof.with_columns(logits=pl.Series(logits, dtype=oof["logits"].dtype)).write_parquet(path)
    with pytest.raises(KagglekitError, match="hold NaN or infinity"):
        assemble(prepared, run.folder)
