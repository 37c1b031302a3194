"""What a search tries: inside the architecture's space, with the recipe as a point of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from kagglekit import models
from kagglekit.config import Competition, Config, Data, Features, Labels, ModelSection, Train
from kagglekit.config.names import InputKind
from kagglekit.config.search import Range, Search
from kagglekit.errors import ConfigError
from kagglekit.search.space import Space, configure, settings
from kagglekit.training.plan import Plan, resolve

FROM_SCRATCH = [
    name
    for name, info in models.MODELS.items()
    if info.input is InputKind.LOG_MEL and name != "speech_embedding"
]


class Draw:
    """A trial that draws at random and notes the bounds."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.bounds: dict[str, tuple[Any, ...]] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.bounds[name] = (low, high)
        return self.random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.bounds[name] = (low, high)
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.bounds[name] = tuple(choices)
        return self.random.choice(choices)


def config(**sections: Any) -> Config:
    return Config(
        competition=Competition(slug="any"),
        labels=Labels(classes=("yes", "no"), filler="unknown", silence="silence"),
        data=Data(sample="s.csv", train={"files": "a/*"}, test={"files": "b/*"}, noise="n/*"),
        **sections,
    )


def space(name: str, **sections: Any) -> Space:
    mine = config(**sections)
    return Space(mine, resolve(mine, name))


def bounds(name: str, **sections: Any) -> dict[str, tuple[Any, ...]]:
    """What can be drawn, over many draws: conditional parameters as well."""
    found: dict[str, tuple[Any, ...]] = {}
    for seed in range(8):
        draw = Draw(seed)
        space(name, **sections).suggest(draw)
        found |= draw.bounds
    return found


@pytest.mark.parametrize("name", FROM_SCRATCH)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_drawn_can_be_built(name: str, seed: int) -> None:
    found = space(name).suggest(Draw(seed))
    drawn, plan = configure(config(), name, found)
    models.build(name, plan.params, 4)(torch.zeros(2, plan.features.n_mels, 101))
    own = settings(found)
    assert plan.train.lr == own["train.lr"]
    assert plan.train.augment.mixup == own["train.augment.mixup"]
    assert plan.features.n_mels == plan.params["n_mels"] == own["features.n_mels"]
    assert drawn.labels.keep_fillers == own["labels.keep_fillers"]
    fields = {key.removeprefix("model."): value for key, value in own.items() if key.startswith("model.")}
    assert fields and fields.items() <= dict(plan.params).items()


@pytest.mark.parametrize("name", [*models.MODELS, "cascade-gru"])
def test_the_recipe_is_the_plan_itself(name: str) -> None:
    plan = resolve(config(), name)
    found = space(name).recipe()
    again = resolve_again(config(), name, found)
    hears = models.input_kind(name, plan.params)
    assert ("features.n_mels" in found) == (hears is InputKind.LOG_MEL and name != "speech_embedding")
    assert (again.train, again.features) == (plan.train, plan.features)
    assert models.configure(name, again.params) == models.configure(name, plan.params)


def resolve_again(mine: Config, name: str, params: dict[str, Any]) -> Plan:
    drawn, plan = configure(mine, name, params)
    assert drawn == mine
    return plan


def test_the_space_reaches_as_far_as_the_recipe() -> None:
    """Else a search could end below it."""
    mine = {
        "train": Train(weight_decay=0.5, label_smoothing=0.9, optimizer="rmsprop"),
        "models": {"gru": ModelSection(model={"hidden": 17, "stack": 8})},
    }
    found = space("gru", **mine).recipe()
    assert (found["train.weight_decay"], found["train.label_smoothing"]) == (0.5, 0.9)
    assert (found["model.hidden"], found["model.stack"], found["train.optimizer"]) == (17, 8, "rmsprop")
    assert bounds("gru", **mine)["model.hidden"] == (17, 96, 128, 192)
    assert bounds("gru", **mine)["model.stack"] == (2, 8)


def test_what_no_logarithm_reaches_stays_as_it_is() -> None:
    mine = {"train": Train(weight_decay=0.0)}
    assert "train.weight_decay" not in bounds("gru", **mine)
    assert "train.weight_decay" not in space("gru", **mine).recipe()


def test_the_learning_rate_is_searched_around_the_plans_and_by_optimizer() -> None:
    found = bounds("gru", train=Train(lr=0.008))
    assert found["train.lr"] == (0.002, 0.032)
    assert found["train.lr@sgd"] == pytest.approx((0.05, 0.8))
    drawn = space("gru").suggest(Draw(0))
    assert ("train.lr" in drawn) != ("train.lr@sgd" in drawn)  # one or the other


def test_waveforms_have_no_masks_and_no_bands() -> None:
    heard, seen = bounds("wav2vec2"), bounds("gru")
    of_log_mels = {"train.augment.time_mask", "train.augment.freq_mask", "features.n_mels"}
    assert of_log_mels <= seen.keys() and not of_log_mels & heard.keys()


def test_bands_that_the_window_does_not_resolve_are_not_searched() -> None:
    assert bounds("gru")["features.n_mels"] == (40, 60, 80)
    assert bounds("gru", features=Features(window_ms=10))["features.n_mels"] == (40, 60)


# --- overrides ---


def test_the_yaml_overrides_ranges() -> None:
    mine = {
        "search": Search(space={"train.lr": Range(low=1e-3, high=1e-2), "train.schedule": None}),
        "models": {"gru": ModelSection(space={"model.hidden": Range(choices=(8, 16))})},
    }
    found = bounds("gru", **mine)
    assert found["train.lr"] == (1e-3, 1e-2) and "train.lr@sgd" not in found
    assert found["model.hidden"] == (128, 8, 16)  # with the recipe's own
    assert "train.schedule" not in found and "train.schedule" not in space("gru", **mine).recipe()
    assert bounds("lstm", **mine)["model.hidden"] == (96, 128, 192)


def test_any_setting_can_be_searched() -> None:
    mine = {
        "search": Search(
            space={"train.batch_size": Range(choices=(64, 128)), "train.ema": Range(low=0.9, high=0.999)}
        )
    }
    assert bounds("gru", **mine)["train.batch_size"] == (64, 128)
    assert space("gru", **mine).recipe()["train.ema"] == 0.99


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"model.kernel": Range(choices=(3, 4))}, "model.kernel = 4: .*odd"),
        ({"model.layers": None}, "convs2s has no such setting; model: .*model.blocks"),
        ({"train.augment.mixup": Range(low=0.0, high=20.0)}, "train.augment.mixup = 20.0"),
        ({"labels.keep_fillers": Range(choices=("some",))}, "labels.keep_fillers = 'some'"),
        ({"train.epochs": Range(low=5, high=50)}, "pruning chooses the epochs"),
        ({"train.lr@sgd": None}, "without @"),
    ],
)
def test_a_space_that_contradicts_the_architecture_is_refused(override: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space("convs2s", search=Search(space=override))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"low": 1.0}, "requires choices, or low and high"),
        ({"low": 2.0, "high": 1.0}, "low 2 must be below high 1"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low 0 must be above 0 with log"),
        ({"low": 1, "choices": (1, 2)}, "not both"),
    ],
)
def test_a_range_that_is_none_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Range(**fields)


def test_another_spaces_parameters_are_moved_into_this_one() -> None:
    here = space("gru")
    moved = here.nearest({"train.lr": 5.0, "model.hidden": 17, "model.depth": 14, "train.optimizer": "adamw"})
    assert moved.keys() == here.recipe().keys()
    assert moved["train.lr"] == here.plan.train.lr * 4
    assert moved["model.hidden"] == 96
