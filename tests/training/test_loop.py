"""One fold's training: kills, early stopping, and what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support.tiny import make

from kagglekit.config import Config, Train
from kagglekit.config.load import load_config
from kagglekit.data.clips import validation_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.store import load_fold
from kagglekit.scoring.cv import Score, score
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import softmax
from kagglekit.scoring.thresholds import rule_for
from kagglekit.training import checkpoint, loop
from kagglekit.training.augment import shift
from kagglekit.training.dataset import Dataset
from kagglekit.training.files import META, OOF, STATE, WEIGHTS
from kagglekit.training.head import Head, make_head
from kagglekit.training.loop import Fold, is_best, stops_early, train_fold
from kagglekit.training.plan import resolve
from kagglekit.training.predict import classify, predict

ACCURACY = make_metric("accuracy")


Job = Callable[..., Fold]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Workspace, Prepared]:
    """The tiny competition, fetched and prepared."""
    config = load_config(make(tmp_path_factory.mktemp("tiny"), test_clips=6))
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return config, workspace, prepare(workspace)


@pytest.fixture
def job(base: tuple[Config, Workspace, Prepared], tmp_path: Path) -> Job:
    config, _workspace, prepared = base

    def make_job(name: str, model: str = "tcresnet", number: int = 0, **train: Any) -> Fold:
        plan = resolve(config, model, {f"train.{k}": v for k, v in {"epochs": 3, **train}.items()})
        dataset = make_dataset(prepared, plan)
        return Fold(config, plan, dataset, head_for(prepared, plan), number, tmp_path / name)

    return make_job


IN_BATCH: dict[str, Any] = {
    "domain": "waveform",
    "mixup": 0.5,
    "mixup_ratio": "loudness",
    "cutmix": 1.0,
    "mix_share": 0.7,
    "noise": 0.5,
    "polarity": 0.5,
    "eq": 0.5,
    "lowpass": 0.3,
    "lowpass_hz": (1000.0, 3000.0),
}


class Killed(Exception):
    pass


def kill_after(epoch: int) -> Callable[[int, Score], None]:
    def report(number: int, result: Score) -> None:
        if number == epoch:
            raise Killed

    return report


def same_files(one: Path, other: Path) -> None:
    ours, theirs = (checkpoint.load(folder / WEIGHTS)[0] for folder in (one, other))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert pl.read_parquet(one / OOF).equals(pl.read_parquet(other / OOF))


@pytest.mark.parametrize(
    ("model", "train"),
    [
        ("tcresnet", {"augment.mixup": 0.3, "augment.double_words": 0.2}),
        (
            "tcresnet",
            {f"augment.{name}": value for name, value in IN_BATCH.items()} | {"class_weight": 0.5},
        ),
        ("gru", {"patience": 2}),
        ("tcresnet", {"optimizer": "sgd"}),
        ("gru", {"optimizer": "rmsprop", "ema": 0.0}),
    ],
)
def test_a_killed_training_ends_as_if_it_had_not_been(model: str, train: dict[str, Any], job: Job) -> None:
    whole = job("whole", model, epochs=4, **train)
    train_fold(whole)
    cut = job("cut", model, epochs=4, **train)
    for epoch in (0, 2):  # two kills
        with pytest.raises(Killed):
            train_fold(cut, kill_after(epoch))
        assert (cut.folder / STATE).is_file() and not (cut.folder / META).exists()
    torch.manual_seed(99)  # whatever another process has drawn
    oof = train_fold(cut)
    same_files(whole.folder, cut.folder)
    assert oof.equals(pl.read_parquet(whole.folder / OOF))
    keep = {"epoch", "loss", "lr", "cv", "plain"}
    ours, theirs = (json.loads((j.folder / META).read_text())["history"] for j in (whole, cut))
    assert [{k: e[k] for k in keep} for e in ours] == [{k: e[k] for k in keep} for e in theirs]


def test_a_state_of_batches_of_another_size_is_not_gone_on_with(job: Job) -> None:
    """As when batches were halved for want of memory, and a second process tries the plan's again."""
    whole, cut = job("whole"), job("cut")
    train_fold(whole)
    with pytest.raises(Killed):
        train_fold(job("cut", batch_size=4), kill_after(1))
    train_fold(cut)
    same_files(whole.folder, cut.folder)


def test_a_kill_within_an_epoch_repeats_that_epoch(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = job("whole"), job("cut")
    train_fold(whole)
    real, calls = loop.loss_of, [0]

    def dies(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:  # the second batch of the second epoch
            raise Killed
        return real(*args)

    monkeypatch.setattr(loop, "loss_of", dies)
    with pytest.raises(Killed):
        train_fold(cut)
    train_fold(cut)
    same_files(whole.folder, cut.folder)


def test_the_marker_is_written_last(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = job("one", epochs=1)
    seen: list[set[str]] = []
    write = loop.write_json

    def spy(path: Path, data: Any, **options: Any) -> None:
        seen.append({p.name for p in path.parent.iterdir()})
        write(path, data, **options)

    monkeypatch.setattr(loop, "write_json", spy)
    train_fold(fold)
    assert seen == [{WEIGHTS, OOF, STATE}]
    assert {p.name for p in fold.folder.iterdir()} == {WEIGHTS, OOF, META}


def test_a_finished_fold_is_not_trained_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = job("one", epochs=1)
    first = train_fold(fold)
    before = {p.name: p.stat().st_mtime_ns for p in fold.folder.iterdir()}
    monkeypatch.setattr(loop, "start", lambda *args: pytest.fail("trained again"))
    assert train_fold(fold).equals(first)
    assert {p.name: p.stat().st_mtime_ns for p in fold.folder.iterdir()} == before


@pytest.mark.parametrize("number", [0, 1])
def test_oof_covers_exactly_the_folds_clips(number: int, job: Job) -> None:
    fold = job("one", number=number, epochs=1)
    oof = train_fold(fold)
    judged = validation_rows(fold.dataset.clips, number)
    assert oof.columns == ["clip_id", "fold", "label", "part", "logits"]
    assert oof["clip_id"].to_list() == judged["clip_id"].to_list()
    assert set(oof["fold"]) == {number}
    logits = oof["logits"].to_numpy()
    assert logits.shape == (len(judged), 4) and np.isfinite(logits).all()
    cv = json.loads((fold.folder / META).read_text())["history"][-1]["cv"]
    assert score(logits, judged, fold.config).cv == pytest.approx(cv)


def test_the_folder_alone_rebuilds_the_model(job: Job) -> None:
    fold = job("one", "gru", epochs=2)
    oof = train_fold(fold)
    model, head, meta = load_fold(fold.folder)
    assert (meta["model"], meta["fold"], len(meta["history"])) == ("gru", 0, 2)
    assert head.classes == fold.config.labels.all_classes and head.outputs == fold.head.outputs
    judged = validation_rows(fold.dataset.clips, 0)
    logits = predict(model, fold.dataset, judged, head, fold.plan.train)
    np.testing.assert_allclose(logits, oof["logits"].to_numpy(), atol=1e-5)


def test_it_learns(job: Job) -> None:
    heard: list[tuple[int, float]] = []
    fold = job("one", epochs=12)
    oof = train_fold(fold, lambda epoch, result: heard.append((epoch, result.cv)))
    assert [epoch for epoch, _ in heard] == list(range(12))
    keywords = oof.filter(part="keyword")
    right = (
        np.array(fold.config.labels.all_classes)[keywords["logits"].to_numpy().argmax(1)]
        == keywords["label"].to_numpy()
    )
    assert right.mean() > 0.7  # by chance: a quarter


def test_early_stopping_keeps_the_best_epoch(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    cvs = iter([0.3, 0.8, 0.5, 0.6, 0.9])
    real, kept = loop.score, []

    def scripted(logits: Any, clips: pl.DataFrame, config: Config, **options: bool) -> Score:
        kept.append(logits.copy())
        return real(logits, clips, config)._replace(cv=next(cvs))

    monkeypatch.setattr(loop, "score", scripted)
    fold = job("one", epochs=9, patience=2)
    oof = train_fold(fold)
    assert len(kept) == 4  # two epochs without a better score, then the end
    np.testing.assert_array_equal(oof["logits"].to_numpy(), kept[1])
    model, head, meta = load_fold(fold.folder)
    assert [e["cv"] for e in meta["history"]] == [0.3, 0.8, 0.5, 0.6]
    judged = validation_rows(fold.dataset.clips, 0)
    again = predict(model, fold.dataset, judged, head, fold.plan.train)
    np.testing.assert_allclose(again, kept[1], atol=1e-5)


def test_a_kill_after_the_epoch_that_ends_it_early(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.score
    monkeypatch.setattr(loop, "score", lambda *args, **options: real(*args, **options)._replace(cv=0.5))
    whole, cut = (job(name, epochs=4, patience=1) for name in ("whole", "cut"))
    train_fold(whole)
    with pytest.raises(Killed):
        train_fold(cut, kill_after(1))
    train_fold(cut)
    same_files(whole.folder, cut.folder)


@pytest.mark.parametrize(
    ("cvs", "patience", "best", "end"),
    [
        ([0.5, 0.4], 0, True, False),  # without early stopping the last one counts
        ([0.5, 0.4], 2, False, False),
        ([0.5, 0.4, 0.4], 2, False, True),
        ([0.5, 0.4, 0.6], 2, True, False),
        ([0.5, 0.5], 1, True, True),  # as good is not better
    ],
)
def test_is_best_and_stops_early(cvs: list[float], patience: int, best: bool, end: bool) -> None:
    history, train = [{"cv": cv} for cv in cvs], Train(patience=patience)
    assert (is_best(history, train, ACCURACY), stops_early(history, train, ACCURACY)) == (best, end)
    losses = [{"cv": 2 - cv} for cv in cvs]  # a metric of which less is better has the same best epoch
    loss = make_metric("log_loss")
    assert (is_best(losses, train, loss), stops_early(losses, train, loss)) == (best, end)


def test_a_loss_that_is_not_finite(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = job("one", epochs=2)
    real, calls = loop.loss_of, [0]

    def breaks(*args: Any) -> Any:
        calls[0] += 1
        return real(*args) * (float("nan") if calls[0] == 2 else 1.0)

    monkeypatch.setattr(loop, "loss_of", breaks)
    with pytest.raises(
        KagglekitError, match=r"the loss is nan .* in epoch 1, step \d+, learning rate 0\."
    ) as caught:
        train_fold(fold)
    assert str(caught.value.hint).startswith("try a lower one: --set train.lr=0.0")
    assert not (fold.folder / META).exists() and not (fold.folder / WEIGHTS).exists()


@pytest.mark.parametrize(
    "train",
    [
        {"loss": "mse"},
        *({"optimizer": name} for name in ("adam", "adamax", "sgd", "rmsprop")),
        {"bf16": True},
    ],
)
def test_every_loss_and_optimizer_trains(train: dict[str, Any], job: Job) -> None:
    fold = job("one", epochs=1, **train)
    fresh = train_fold(job("none", epochs=1, lr=1e-12, **train))
    oof = train_fold(fold)
    assert np.isfinite(oof["logits"].to_numpy()).all()
    assert not np.allclose(oof["logits"].to_numpy(), fresh["logits"].to_numpy(), atol=1e-4)
    (epoch,) = json.loads((fold.folder / META).read_text())["history"]
    assert np.isfinite(epoch["loss"]) and epoch["clips_per_s"] > 0


@pytest.mark.parametrize("labels", ["words", "targets"])
def test_heads_collapse_into_classes(labels: str, job: Job) -> None:
    fold = job("one", epochs=1, labels=labels, bf16=False)
    oof = train_fold(fold)
    model, head, _ = load_fold(fold.folder)
    judged = validation_rows(fold.dataset.clips, 0)
    (x,) = fold.dataset.batches(judged, 1000)
    with torch.inference_mode():
        raw = model.eval()(x).numpy()
    if labels == "targets":
        assert head.outputs == ("low", "mid", "silence", "unknown")
        by_hand = raw
    else:
        assert head.outputs == ("_silence_", "extra", "high", "low", "mid", "other", "_double_")
        p = softmax(raw)
        by_hand = np.log(np.stack([p[:, 3], p[:, 4], p[:, 0], p[:, 1] + p[:, 2] + p[:, 5] + p[:, 6]], 1))
    np.testing.assert_allclose(oof["logits"].to_numpy(), by_hand, atol=1e-4)


def test_test_time_augmentation_is_the_mean_over_shifts(job: Job) -> None:
    fold = job("one", epochs=1, bf16=False)
    train_fold(fold)
    model, head, _ = load_fold(fold.folder)
    (x,) = fold.dataset.batches(validation_rows(fold.dataset.clips, 0), 1000)
    plain = fold.plan.train
    shifted = plain.model_copy(update={"tta_ms": (-40.0, 40.0)})
    frames = round(0.04 * fold.dataset.rate)
    got = classify(model, x, head, shifted, fold.dataset.rate)
    offsets = [torch.full((len(x),), offset) for offset in (0, -frames, frames)]
    views = [softmax(classify(model, shift(x, o), head, plain, fold.dataset.rate)) for o in offsets]
    np.testing.assert_allclose(softmax(got), np.mean(views, axis=0), atol=1e-6)
    assert not np.allclose(got, classify(model, x, head, plain, fold.dataset.rate), atol=1e-3)


def test_seeds_and_folds_change_the_weights(job: Job) -> None:
    folds = [job("a", epochs=1), job("b", epochs=1), job("c", epochs=1, seed=1)]
    logits = [train_fold(fold)["logits"].to_numpy() for fold in folds]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])


def test_labels_of_the_judged_clips_do_not_reach_training(job: Job) -> None:
    """Another label for every clip of the fold: the same weights."""
    fold = job("one", epochs=1, labels="targets")
    train_fold(fold)
    clips = fold.dataset.clips.with_columns(
        label=pl.when(fold=0).then(pl.lit("low")).otherwise("label"),
    )
    dataset: Dataset = replace(fold.dataset, clips=clips)
    head = make_head(clips, fold.config.labels.all_classes, "targets", "unknown")
    spied = replace(fold, dataset=dataset, head=head, folder=fold.folder.with_name("spied"))
    train_fold(spied)
    ours, theirs = (checkpoint.load(f.folder / WEIGHTS)[0] for f in (fold, spied))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_shifted_views_of_raw_forms_keep_their_scale() -> None:
    """Where a checkpoint says silence itself, they do not add up to 1, and thresholds are of probabilities."""
    rule = rule_for("zero_shot", 3, (0, 1, 2, 2))
    head = Head(("a", "hush", "b", "c"), (0, 1, 2, 2), ("a", "hush", "other"), False, None, rule)
    model = torch.nn.Linear(4, 4)
    x = torch.randn(5, 4)
    once, thrice = (classify(model, x, head, Train(tta_ms=ms, bf16=False), 1.0) for ms in ((), (0.0, 0.0)))
    np.testing.assert_allclose(thrice, once, atol=1e-5)
    assert (np.exp(once).sum(1) < 0.999).all()


def test_trained_only_clips_are_trained_on_in_every_other_fold_and_never_validated(job: Job) -> None:
    fold = job("trained_only", epochs=1)
    clips = fold.dataset.clips
    some = clips.filter(pl.col("fold") == 0)["clip_id"].head(5)
    only = pl.col("clip_id").is_in(some.implode())
    marked = clips.with_columns(
        fold=pl.when(only).then(-2).otherwise("fold").cast(pl.Int32),
        heldout_fold=pl.when(pl.col("clip_id") == some[0]).then(0).otherwise("heldout_fold").cast(pl.Int32),
        weight=pl.when(only).then(0.3).otherwise(1.0),
    )
    fold = replace(fold, dataset=replace(fold.dataset, clips=marked))
    batches = loop.start(fold, loop.SINGLE).batches
    learned = [batches.rows[batches.splits == "train"]]
    rows = marked.filter(only & (pl.col("heldout_fold") != 0) & (pl.col("split") == "train"))["row"]
    assert set(rows) <= set(learned[0].tolist())
    assert batches.weights is not None and len(batches.weights.clip.unique()) == 2
    oof = train_fold(fold)
    assert oof["clip_id"].sort().to_list() == sorted(validation_rows(marked, 0)["clip_id"])
    assert not set(oof["clip_id"]) & set(some)
