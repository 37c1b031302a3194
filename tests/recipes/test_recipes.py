"""Recipes, label schemes and subsets, from the command line to the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.trainings import call, fetched

from kagglekit import recipes
from kagglekit.cli import main
from kagglekit.errors import ConfigError
from kagglekit.training.plan import resolve

ROOT = Path(__file__).parents[2]
REPORT = 13
CLASSES = ["low", "mid", "silence", "unknown"]


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny competition, fetched, for short trainings."""
    return fetched(tmp_path_factory.mktemp("tiny"))


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
            "recipe mine: models.gru.train.loss: input should be 'crossentropy', 'mse', 'bce', 'focal' or 'softmax', not 'hinge'",
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
    with pytest.raises(ConfigError, match="is not a recipe: setting: Extra inputs are not permitted"):
        recipes.load(str(tmp_path / "a.yaml"))


# -- train --


def test_list(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = call(capsys, yaml, "train", "--list")["recipes"]
    assert [recipe["name"] for recipe in listed] == recipes.names()


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
    assert len(late) == REPORT and {row["error"] for row in late} == {"skipped: the time limit has passed"}


def test_the_table(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "-C", str(yaml), "reproduce", "--recipe", "wav2vec2_12"]) == 0
    out = capsys.readouterr().out
    assert "wav2vec2 takes 16000 Hz" in out and "about 60 %, everything" in out
