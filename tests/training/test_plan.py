"""Settings of one architecture: who overrides whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tiny import make

from kagglekit import models
from kagglekit.config import Config, Train, overlay
from kagglekit.config.first_edition import upgrade
from kagglekit.config.load import load_config
from kagglekit.config.names import InputKind
from kagglekit.errors import ConfigError
from kagglekit.models import gru
from kagglekit.training.plan import resolve

LEAST = "competition: {slug: tiny}\nlabels: {targets: [a, b]}\n"


QUIET = LEAST.replace("{targets", "{silence: null, filler: null, targets")


def load(folder: Path, text: str) -> Config:
    path = folder / "competition.yaml"
    path.write_text(LEAST + text)
    return load_config(path)


def test_precedence(tmp_path: Path) -> None:
    default = load(tmp_path, "")
    assert resolve(default, "gru").train.lr == gru.DEFAULTS["lr"]  # over config.Train's
    yaml = "train: {lr: 5.0e-4, batch_size: 7}\n"
    assert resolve(load(tmp_path, yaml), "gru").train.lr == 5e-4  # over the architecture's
    section = yaml + "models: {gru: {train: {lr: 6.0e-4}}}\n"
    config = load(tmp_path, section)
    assert resolve(config, "gru").train.lr == 6e-4  # over the top-level section's
    assert resolve(config, "lstm").train.lr == 5e-4  # for that architecture alone
    plan = resolve(config, "gru", {"train.lr": 7e-4, "train.augment.mixup": 0.3})
    assert (plan.train.lr, plan.train.batch_size, plan.train.epochs) == (
        7e-4,
        7,
        gru.DEFAULTS["epochs"],
    )
    assert (plan.train.augment.mixup, plan.train.augment.gain_db) == (0.3, 6.0)


def test_set_is_stronger_than_a_models_section(tmp_path: Path) -> None:
    load(tmp_path, "models: {gru: {train: {lr: 6.0e-4, batch_size: 7}}, lstm: {model: {hidden: 16}}}\n")
    path = tmp_path / "competition.yaml"
    train = resolve(load_config(path, ["train.lr=1.0e-4"]), "gru").train
    assert (train.lr, train.batch_size) == (1e-4, 7)
    both = ["train.lr=1.0e-4", "models.gru.train.lr=3.0e-4"]  # the later of the two
    assert resolve(load_config(path, both), "gru").train.lr == 3e-4


def test_a_value_equal_to_the_default_still_overrides(tmp_path: Path) -> None:
    assert resolve(load(tmp_path, "train: {lr: 2.0e-3}\n"), "gru").train.lr == 2e-3


def test_features_and_the_models_mel_bands(tmp_path: Path) -> None:
    config = load(tmp_path, "features: {n_mels: 30}\nmodels: {lstm: {features: {n_mels: 50, hop_ms: 20}}}\n")
    assert resolve(config, "gru").params["n_mels"] == 30
    plan = resolve(config, "lstm", {"features.hop_ms": 12.5, "model.layers": 3})
    assert (plan.params["layers"], plan.params["n_mels"], plan.features.n_mels) == (3, 50, 50)
    assert (plan.features.hop_ms, plan.features.fmin) == (12.5, 20)
    assert "n_mels" not in resolve(config, "ast").params  # it hears waveforms


def test_model_parameters(tmp_path: Path) -> None:
    config = load(
        tmp_path, "models: {gru: {model: {hidden: 16, stack: 2}}, ast: {checkpoint: some/folder}}\n"
    )
    params = resolve(config, "gru", {"model.hidden": 24}).params
    assert (params["hidden"], params["stack"], params["n_mels"]) == (24, 2, 40)
    assert params["layers"] == 2  # defaults are part of it
    assert str(resolve(config, "ast").params["checkpoint"]).endswith("some/folder")


@pytest.mark.parametrize("model", models.MODELS)
def test_every_plan_is_json(model: str, tmp_path: Path) -> None:
    config = load_config(make(tmp_path), ["audio.sample_rate=16000"])
    plan = resolve(config, model)
    data = json.loads(json.dumps(plan.as_dict()))
    assert data["model"] == model and data["train"]["lr"] == 0.01
    # features that a model does not hear are not part of its plan
    own = models.needed_features(model).get("n_mels", 20)
    assert data["features"]["n_mels"] == (own if models.info(model).input is InputKind.LOG_MEL else 40)
    assert resolve(config, model, {"train.seed": 1}).as_dict() != plan.as_dict()


def test_pretrained_models_hear_16_khz(tmp_path: Path) -> None:
    config = load_config(make(tmp_path))
    with pytest.raises(ConfigError, match=r"ast takes 16000 Hz, audio\.sample_rate is 8000") as caught:
        resolve(config, "ast")
    assert "audio.sample_rate: 16000" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("model", "found", "message"),
    [
        ("tcresnt", {}, "there is no model 'tcresnt'"),
        ("gru", {"trian.lr": 1}, "parameter 'trian.lr' belongs to no section"),
        ("gru", {"lr": 1}, "parameter 'lr' belongs to no section"),
        ("gru", {"train.lrr": 1}, "lrr"),
        ("gru", {"train.epochs": 0}, "epochs"),
    ],
)
def test_errors(model: str, found: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(load(tmp_path, ""), model, found)
    assert caught.value.hint


def test_fields_added_later_change_no_id_of_before(tmp_path: Path) -> None:
    plain = resolve(load(tmp_path, ""), "gru").as_dict()["train"]
    assert "only" not in plain and "thresholds" not in plain
    asked = resolve(load(tmp_path, "train: {only: [a, b], thresholds: fit}\n"), "gru").as_dict()["train"]
    assert (asked["only"], asked["thresholds"]) == (("a", "b"), "fit")


def test_augmentation_added_later_changes_no_id_of_before(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    plain = resolve(config, "gru").as_dict()["train"]
    assert not {"focal_gamma", "class_weight"} & plain.keys()
    assert [*plain["augment"]] == [
        *("shift_ms", "speed", "pitch", "gain_db", "filter_db", "noise", "noise_snr_db", "clutter"),
        *("time_mask", "freq_mask", "mixup", "double_words", "reversed_words"),
    ]
    changed = {"domain": "waveform", "cutmix": 1.0, "lowpass": 0.5, "lowpass_hz": (500.0, 900.0)}
    plan = resolve(config, "gru", {f"train.augment.{name}": value for name, value in changed.items()})
    assert plan.as_dict()["train"]["augment"] == {**plain["augment"], **changed}


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("{polarity: 0.5}", "train.augment.polarity changes waveforms, and gru trains on cached log-mels"),
        ("{domain: waveform, eq: 0.1, bandpass: 0.5, lowpass_hz: [100, 9000]}", "lowpass_hz goes up to 9000"),
        ("{noise_from: clips}", "noise_class '' is no class"),
        ("{noise_from: clips, noise_class: c}", "noise_class 'c' is no class"),
    ],
)
def test_augmentation_that_has_nothing_to_work_on(augment: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(load(tmp_path, f"train: {{augment: {augment}}}\n"), "gru")
    assert caught.value.hint


def test_noise_files_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "competition.yaml"
    path.write_text(QUIET + "data: {noise_clips: null}\ntrain: {augment: {noise_from: files}}\n")
    with pytest.raises(ConfigError, match=r"noise_from is files, and data\.noise names none"):
        resolve(load_config(path), "gru")


def test_a_falling_range_of_frequencies(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the first number, 900, must not be above the second, 500"):
        load(tmp_path, "train: {augment: {lowpass_hz: [900, 500]}}\n")


@pytest.mark.parametrize("loss", ["bce", "focal", "softmax"])
def test_losses_of_several_labels(loss: str, tmp_path: Path) -> None:
    text = f"train: {{loss: {loss}, balance: 0.5}}\n"
    with pytest.raises(ConfigError, match=f"train.loss {loss} needs a competition with several labels"):
        resolve(load(tmp_path, text), "gru")
    path = tmp_path / "competition.yaml"
    path.write_text(QUIET.replace("{silence", "{kind: multi, silence") + text)
    assert resolve(load_config(path, ["competition.metric=lwlrap"]), "gru").train.loss == loss


def test_the_order_of_only_does_not_matter(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    plans = [resolve(config, "gru", {"train.only": only}) for only in (["a", "b"], ["b", "a", "b"])]
    assert plans[0] == plans[1]


def test_a_cascade_takes_the_settings_of_its_network(tmp_path: Path) -> None:
    config = load(tmp_path, "models: {gru: {model: {hidden: 16}, train: {lr: 0.5}}}\n")
    by_name = resolve(config, "cascade-gru", {"model.layers": 1})
    assert (by_name.model, by_name.params["hidden"], by_name.params["layers"]) == ("cascade-gru", 16, 1)
    assert (by_name.train.labels, by_name.train.lr) == ("cascade", 0.5)
    assert resolve(config, "gru", {"train.labels": "cascade", "model.layers": 1}) == by_name


@pytest.mark.parametrize(
    ("text", "model", "message"),
    [
        ("train: {only: [a, c]}", "gru", "train.only names 'c', which is no class"),
        ("train: {only: [a]}", "gru", "train.only: a is impossible with train.labels: words"),
        ("train: {labels: zero_shot}", "gru", "train.labels zero_shot needs a pretrained model"),
        ("train: {labels: words_threshold, only: [a, b]}", "gru", "train.only: a, b is impossible with"),
    ],
)
def test_impossible_label_schemes(text: str, model: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(load(tmp_path, text + "\n"), model)


@pytest.mark.parametrize("labels", ["words_threshold", "cascade"])
def test_schemes_that_need_silence_and_filler(labels: str) -> None:
    config = Config.model_validate(
        upgrade({"competition": {"slug": "any"}, "labels": {"targets": ["a", "b"], "filler": None}})
    )
    with pytest.raises(ConfigError, match=f"train.labels {labels} needs a silence and a filler class"):
        resolve(config, "gru", {"train.labels": labels})


def test_soft_targets_by_their_first_name() -> None:
    """Version 0.1 called them `teaching`, and wrote that into every run."""
    key = "0123456789ab"
    assert Train(**{"teaching": key}).soft_targets == key  # type: ignore[arg-type]
    assert overlay(Train(), {"teaching": key}).soft_targets == key


def test_classes_from_the_sample_are_not_asked_for_before_they_are_read(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    config = config.model_copy(update={"labels": config.labels.model_copy(update={"classes": "from_sample"})})
    for params in ({}, {"train.augment.noise_from": "clips", "train.augment.noise_class": "a"}):
        assert resolve(config, "gru", params).model == "gru"


def test_embeddings_are_not_added_to_one_another(tmp_path: Path) -> None:
    params = {"model.tune": "frozen", "train.optimizer": "adamw", "train.soft_mix": 0.5}
    assert resolve(load(tmp_path, ""), "wav2vec2", params).train.soft_mix == 0
    assert resolve(load(tmp_path, ""), "gru", {"train.soft_mix": 0.5}).train.soft_mix == 0.5


def test_a_setting_below_one_that_has_a_value(tmp_path: Path) -> None:
    config = load_config(make(tmp_path))
    with pytest.raises(ConfigError, match=r"'train\.lr\.x' is below 'lr', which has a value"):
        resolve(config, "gru", {"train.lr": 0.1, "train.lr.x": 2})
