"""Models, checkpoints and runs that do not exist or do not fit."""

from __future__ import annotations

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("Models")


@case("a model that there is not", "trained")
def _no_model(box: Box) -> None:
    for command in ("train --model", "tune --model", "features --model", "predict --model"):
        box.bad(f"{command} tcresnett", "there is no model 'tcresnett'", "did you mean 'tcresnet'?")
    for command in ("submit --ensemble", "ensemble --model", "run --model"):
        box.bad(f"{command} gru,tcresnett", "there is no model 'tcresnett'", "did you mean 'tcresnet'?")


@case("a model parameter that there is not", "prepared")
def _no_parameter(box: Box) -> None:
    box.edit("depth: 8", "dept: 8")
    for verb in ("train", "tune"):
        box.bad(
            f"{verb} --model tcresnet",
            "models.tcresnet.model.dept: no such parameter, did you mean 'depth'?",
            "parameters of tcresnet: ",
        )


@case("a model parameter of another type", "prepared")
def _wrong_parameter(box: Box) -> None:
    box.edit("hidden: 16", "hidden: wide")
    box.bad(
        "train --model lstm",
        "models.lstm.model.hidden: input should be a valid integer",
        "parameters of lstm",
    )


@case("a checkpoint that is nowhere", "prepared")
def _no_checkpoint(box: Box) -> None:
    option = "--set models.ast.checkpoint=nobody/nothing --set audio.sample_rate=16000"
    box.bad(
        f"train --model ast {option}",
        "checkpoint 'nobody/nothing' is neither a folder",
        "fetch --checkpoints",
    )
    box.bad(
        f"fetch --checkpoints {option}", "checkpoint 'nobody/nothing' is neither a folder", "local folder"
    )


@case("a checkpoint's folder without a checkpoint", "prepared")
def _empty_checkpoint(box: Box) -> None:
    (box.folder / "mine").mkdir()
    box.bad(
        "train --model wav2vec2 --set models.wav2vec2.checkpoint=mine --set audio.sample_rate=16000",
        "checkpoint 'mine' cannot be read",
        "it needs config.json",
    )


@case("a pretrained model on 8 kHz", "prepared")
def _wrong_rate(box: Box) -> None:
    box.bad(
        "train --model wav2vec2",
        "wav2vec2 takes 16000 Hz, audio.sample_rate is 8000",
        "audio.sample_rate: 16000",
    )


@case("a learning rate that explodes", "prepared")
def _explodes(box: Box) -> None:
    box.bad(
        "train --model gru --set train.lr=1e30 --set train.optimizer=sgd --set train.clip_norm=0", "", "lr"
    )


@case("an ensemble with a model that is not trained", "trained")
def _untrained(box: Box) -> None:
    box.bad("submit --ensemble gru,lstm", "no trained run of lstm", "kagglekit train --model lstm")


@case("nothing trained at all", "prepared")
def _nothing_trained(box: Box) -> None:
    box.bad("submit", "no model is trained yet", "kagglekit train --model")
    box.bad("train --tuned --model gru", "no finished trial of gru", "kagglekit tune --model gru")


@case("an ensemble of runs on other folds", "trained")
def _other_folds(box: Box) -> None:
    box.edit("folds: 2", "folds: 3")
    box.bad("ensemble --model gru,tcresnet", "trained on other clips or folds", "kagglekit train --model gru")
    box.good("train --model gru")
    box.bad(
        "submit --ensemble gru,tcresnet", "the run of tcresnet was trained on other", "train --model tcresnet"
    )
    box.edit("folds: 3", "folds: 2")
    box.good("ensemble")


@case("an ensemble of runs on other clips", "trained")
def _other_clips(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        del members["test/audio/clip_0003.wav"]

    box.repack(change, "test.zip")
    box.good("fetch --force")
    box.bad("ensemble", "1 of 24 ids without a clip ('clip_0003.wav')", " fetch --force")


@case("--time-limit too short", "trained")
def _no_time(box: Box) -> None:
    box.bad("run --model gru --time-limit 0.01s", "the time limit is too short", "--time-limit 30m")
    box.bad("tune --model gru --trials 0", "--trials 0: must be at least 1", "--trials 20")
