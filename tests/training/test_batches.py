"""What a model sees, and what its outputs mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from support.augments import OFF

from kagglekit.config import Audio, Augment, Features, Train
from kagglekit.data.store import Store, StoreWriter, open_store
from kagglekit.errors import ConfigError
from kagglekit.features.logmel import log_mel
from kagglekit.training.batches import Batches, rarest_chance
from kagglekit.training.dataset import Dataset
from kagglekit.training.head import DOUBLE, Head, make_head
from kagglekit.training.soft_targets import TrainingSet

AUDIO = Audio(sample_rate=8000, seconds=0.25)
SPEC = Features(n_mels=20, window_ms=32, hop_ms=16, fmin=50, fmax=3900)
CLASSES = ("low", "mid", "silence", "unknown")
WORDS = [("low", "low"), ("mid", "mid"), ("high", "unknown"), ("other", "unknown")]


def clips_of(train: int, quiet: int) -> pl.DataFrame:
    rows = [("train", row, *WORDS[row % 4], "seen") for row in range(train)]
    rows += [("silence", row, "_silence_", "silence", "silence") for row in range(quiet)]
    return pl.DataFrame(rows, schema=["split", "row", "word", "label", "part"], orient="row")


@pytest.fixture
def waveforms(tmp_path: Path) -> Dataset:
    """Clip i of a split holds i (or -i) throughout, so that it can be told."""
    inputs = {}
    for split, count, sign in (("train", 40, 1), ("silence", 10, -1)):
        with StoreWriter(tmp_path / split, AUDIO.samples) as writer:
            for row in range(count):
                writer.add(f"{row}", np.full(AUDIO.samples, sign * (row + 1) * 100, np.int16))
        inputs[split] = open_store(tmp_path / split)
    rng = np.random.default_rng(0)
    noise = {f"n{i}": rng.integers(-99, 99, 5000).astype(np.int16) for i in range(3)}
    return Dataset(clips_of(40, 10), inputs, noise, {"n0": 0, "n1": 1, "n2": 1}, AUDIO, None)


@pytest.fixture
def log_mels(waveforms: Dataset) -> Dataset:
    """Feature i of a split holds i (or -i)."""
    inputs = {"train": np.arange(1, 41.0), "silence": -np.arange(1, 11.0)}
    wide = {
        k: np.broadcast_to(v[:, None, None], (len(v), 20, 16)).astype(np.float16) for k, v in inputs.items()
    }
    return Dataset(waveforms.clips, wide, waveforms.noise, waveforms.noise_fold, AUDIO, SPEC)


def head(words: bool = False, filler: str | None = "unknown") -> Head:
    return make_head(clips_of(40, 10), CLASSES, "words" if words else "targets", filler)


def batches(dataset: Dataset, head: Head, augment: Augment = OFF, size: int = 16, fold: int = 0) -> Batches:
    model = "wav2vec2" if dataset.features is None else "gru"
    return Batches(
        model, Train(batch_size=size, augment=augment), dataset, head, TrainingSet(dataset.clips, None), fold
    )


# -- dataset --


def test_reading_keeps_the_order_of_mixed_splits(log_mels: Dataset, waveforms: Dataset) -> None:
    splits = np.array(["silence", "train", "train", "silence", "train"])
    rows = np.array([3, 0, 39, 0, 7])
    (found,) = log_mels.read(splits, rows, 5)
    assert found.shape == (5, 20, 16) and found.dtype == torch.float32
    assert found[:, 0, 0].tolist() == [-4, 1, 40, -1, 8]
    (wave,) = waveforms.read(splits, rows, 8)
    assert wave.shape == (5, AUDIO.samples)
    torch.testing.assert_close(wave[:, 0] * 32768, torch.tensor([-400.0, 100, 4000, -100, 800]))
    parts = [part[:, 0, 0].tolist() for part in log_mels.read(splits, rows, 3)]
    assert parts == [[-4, 1, 40], [-1, 8]]
    assert [part[:, 0, 0].tolist() for part in log_mels.read(splits[1:3], rows[1:3], 1)] == [[1], [40]]


def test_batches_of_all_clips_in_order(log_mels: Dataset) -> None:
    parts = list(log_mels.batches(log_mels.clips, 16))
    assert [len(p) for p in parts] == [16, 16, 16, 2]
    assert torch.cat(parts)[:, 0, 0].tolist() == [*range(1, 41), *range(-1, -11, -1)]


def test_rate(log_mels: Dataset, waveforms: Dataset) -> None:
    assert (log_mels.rate, waveforms.rate) == (62.5, 8000)


def test_a_fold_does_not_hear_its_noise(log_mels: Dataset, waveforms: Dataset) -> None:
    assert [len(log_mels.noise_for(fold)) for fold in (0, 1, 2)] == [2, 1, 3]
    (only,) = waveforms.noise_for(1)
    torch.testing.assert_close(only * 32768, torch.tensor(waveforms.noise["n0"]).float())
    (features,) = log_mels.noise_for(1)
    torch.testing.assert_close(features, log_mel(torch.tensor(log_mels.noise["n0"])[None], SPEC, 8000)[0])


# -- head --


def test_head_of_classes() -> None:
    made = head()
    assert (made.outputs, made.double, made.words) == (CLASSES, 3, False)
    logits = torch.randn(5, 4)
    assert torch.equal(made.collapse(logits), logits)
    assert made.targets(clips_of(4, 1)).tolist() == [0, 1, 3, 3, 2]


def test_head_of_words() -> None:
    made = head(words=True)
    assert made.outputs == ("_silence_", "high", "low", "mid", "other", DOUBLE)
    assert made.class_of == (2, 3, 0, 1, 3, 3)
    assert made.double == 5
    assert made.targets(clips_of(4, 1)).tolist() == [2, 3, 1, 4, 0]


def test_words_collapse_into_classes() -> None:
    made = head(words=True)
    logits = torch.randn(7, 6)
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    by_hand = torch.stack([p[:, 2], p[:, 3], p[:, 0], p[:, 1] + p[:, 4] + p[:, 5]], 1)
    torch.testing.assert_close(made.collapse(logits).exp(), by_hand)
    torch.testing.assert_close(made.collapse(logits).exp().sum(1), torch.ones(7))


def test_without_a_filler_class() -> None:
    clips = clips_of(40, 10).filter(pl.col("label") != "unknown")
    words, targets = (make_head(clips, CLASSES[:3], kind, None) for kind in ("words", "targets"))
    assert words.outputs == ("_silence_", "low", "mid") and words.double is None and targets.double is None


# -- training batches --


def test_every_clip_once_an_epoch_and_its_label(log_mels: Dataset) -> None:
    made = batches(log_mels, head(words=True), size=10)
    assert (len(made), made.clips) == (5, 50)
    x, y = (torch.cat(z) for z in zip(*((x, y) for x, y, _ in made.epoch(0)), strict=True))
    assert sorted(x[:, 0, 0].tolist()) == sorted([*range(1, 41), *range(-10, 0)])
    names = [head(words=True).outputs[i] for i in y.argmax(1)]
    for number, name in zip(x[:, 0, 0].long().tolist(), names, strict=True):
        assert name == ("_silence_" if number < 0 else WORDS[(number - 1) % 4][0])
    assert torch.equal(y.sum(1), torch.ones(50))


@pytest.mark.parametrize(("size", "count", "clips"), [(16, 3, 48), (50, 1, 50), (64, 1, 50)])
def test_a_last_smaller_batch_is_left_out(size: int, count: int, clips: int, log_mels: Dataset) -> None:
    made = batches(log_mels, head(), size=size)
    assert (len(made), made.clips) == (count, clips)
    assert sum(len(x) for x, _, _ in made.epoch(0)) == clips


def test_epochs_and_folds_differ_and_repeat(log_mels: Dataset) -> None:
    def epoch(number: int, fold: int = 0) -> torch.Tensor:
        return torch.cat([x for x, _, _ in batches(log_mels, head(), Augment(), fold=fold).epoch(number)])

    assert torch.equal(epoch(3), epoch(3))
    assert not torch.equal(epoch(3), epoch(4)) and not torch.equal(epoch(3), epoch(3, fold=1))


def test_double_words_are_fillers_of_two_different_words(
    log_mels: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[int, int]] = []

    def spy(x: torch.Tensor, y: torch.Tensor, domain: object) -> torch.Tensor:
        joined.extend(zip(x[:, 0, 0].long().tolist(), y[:, 0, 0].long().tolist(), strict=True))
        return torch.full_like(x, 99)

    monkeypatch.setattr("kagglekit.training.batches.join", spy)
    made = head(words=True)
    settings = OFF.model_copy(update={"double_words": 0.25})
    pairs = list(batches(log_mels, made, settings, 25).epoch(0))
    x, y = torch.cat([x for x, _, _ in pairs]), torch.cat([y for _, y, _ in pairs])
    double = y.argmax(1) == made.double
    assert torch.equal(double, x[:, 0, 0] == 99)
    assert 4 <= int(double.sum()) == len(joined) <= 12  # a quarter of 50, less pairs of one word
    assert all(one > 0 and two > 0 for one, two in joined)  # never silence
    assert all((one - 1) % 4 != (two - 1) % 4 for one, two in joined)  # two words


def test_no_double_words_without_a_filler_class(log_mels: Dataset) -> None:
    made = head()
    without = Head(made.outputs, made.class_of, made.classes, words=False, double=None)
    pairs = list(batches(log_mels, without, OFF.model_copy(update={"double_words": 1.0}), 50).epoch(0))
    assert sorted(pairs[0][0][:, 0, 0].tolist()) == sorted([*range(1, 41), *range(-10, 0)])


def test_mixup_mixes_inputs_and_targets_alike(log_mels: Dataset) -> None:
    """With a class's own number as input, mixed inputs and targets must agree."""
    clips = log_mels.clips
    targets = head().targets(clips).to(torch.float64)
    value = {"train": targets[:40].numpy(), "silence": targets[40:].numpy()}
    inputs = {k: np.broadcast_to(v[:, None, None], (len(v), 20, 16)) for k, v in value.items()}
    dataset = Dataset(clips, inputs, {}, {}, AUDIO, SPEC)
    x, y, _ = next(iter(batches(dataset, head(), OFF.model_copy(update={"mixup": 0.5}), 50).epoch(0)))
    torch.testing.assert_close(x[:, 0, 0], y @ torch.arange(4.0), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.sum(1), torch.ones(50))
    assert (y.max(1).values < 0.95).sum() > 10


# -- kinds of clips --


def test_reversed_words_are_fillers(log_mels: Dataset) -> None:
    ramp = np.arange(16.0)[None, None, :] + np.zeros((40, 20, 1))
    rising = Dataset(
        log_mels.clips,
        {"train": ramp, "silence": ramp[:10]},
        log_mels.noise,
        log_mels.noise_fold,
        AUDIO,
        SPEC,
    )
    made = batches(rising, head(words=True), OFF.model_copy(update={"reversed_words": 0.25}))
    x, y, _ = next(made.epoch(0))
    backwards = x[:, 0, 0] > x[:, 0, -1]
    assert int(backwards.sum()) == 4
    assert torch.equal(y.argmax(1) == made.head.double, backwards)


def test_clutter_falls_on_silence_alone(log_mels: Dataset) -> None:
    made = batches(log_mels, head(), OFF.model_copy(update={"clutter": 1.0}))
    for x, y, _ in made.epoch(0):
        changed = (x != x[:, :1, :1]).flatten(1).any(1)
        assert torch.equal(changed, y.argmax(1) == CLASSES.index("silence"))


def test_balance_draws_classes_evenly(log_mels: Dataset) -> None:
    clips = log_mels.clips  # low 10, mid 10, unknown 20, silence 10
    train = Train(batch_size=50, augment=OFF, balance=1.0)
    made = Batches("gru", train, log_mels, head(), TrainingSet(clips, None), 0)
    counts = sum(y.sum(0) for number in range(60) for _, y, _ in made.epoch(number))
    assert isinstance(counts, torch.Tensor)
    assert (counts / counts.sum()).tolist() == pytest.approx([0.25] * 4, abs=0.03)


def test_soft_targets_stay_with_their_clip_unless_it_becomes_another_word(log_mels: Dataset) -> None:
    clips = log_mels.clips
    soft = torch.rand(len(clips), 4, generator=torch.Generator().manual_seed(0)).softmax(1)
    made = Batches("gru", Train(batch_size=10, augment=OFF), log_mels, head(), TrainingSet(clips, soft), 0)
    seen = torch.cat([y for _, y, _ in made.epoch(0)])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, soft.tolist()))
    doubles = OFF.model_copy(update={"double_words": 0.5})
    made = Batches(
        "gru", Train(batch_size=50, augment=doubles), log_mels, head(), TrainingSet(clips, soft), 0
    )
    ((_, y, _),) = made.epoch(0)
    assert 0 < (y[:, CLASSES.index("unknown")] == 1).sum() < 50


# -- log-mels of augmented waveforms --


def in_batch(waveforms: Dataset) -> Dataset:
    """The dataset of a log-mel network that trains on waveforms; its cached log-mels are not read."""
    stores = {name: store for name, store in waveforms.inputs.items() if isinstance(store, Store)}
    return replace(waveforms, inputs={}, features=SPEC, waveforms=stores)


def test_log_mels_in_the_batch_are_those_of_the_clips(waveforms: Dataset) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3000, (50, AUDIO.samples)).astype(np.int16)
    waveforms.inputs["train"].take = lambda rows: noise[rows]  # type: ignore[union-attr, method-assign]
    waveforms.inputs["silence"].take = lambda rows: noise[40 + rows]  # type: ignore[union-attr, method-assign]
    ((x, y, _),) = batches(in_batch(waveforms), head(), OFF, 50).epoch(0)
    wanted = log_mel(torch.from_numpy(noise), SPEC, 8000)
    place = (x[:, None] - wanted).abs().amax((2, 3)).min(1)
    assert float(place.values.max()) < 2e-3 and sorted(place.indices.tolist()) == list(range(50))
    assert torch.equal(y.argmax(1), head().targets(waveforms.clips)[place.indices])


def test_mixtures_are_of_waveforms_and_masks_of_log_mels(waveforms: Dataset) -> None:
    settings = OFF.model_copy(update={"mixup": 1.0, "freq_mask": 5})
    ((x, y, _),) = batches(in_batch(waveforms), head(), settings, 50).epoch(0)
    assert x.shape == (50, 20, 1 + AUDIO.samples // 128) and x.isfinite().all()
    assert int((y.amax(1) < 0.9).sum()) > 5
    again = next(iter(batches(in_batch(waveforms), head(), settings, 50).epoch(0)))
    assert torch.equal(again.x, x)


def test_background_noise_from_clips_of_a_class(waveforms: Dataset) -> None:
    """Clips hold a constant, so that what was added tells which clip it was."""
    settings = OFF.model_copy(
        update={"noise": 1.0, "noise_snr_db": (0.0, 0.0), "noise_from": "clips", "noise_class": "silence"}
    )
    ((x, y, _),) = batches(waveforms, head(), settings, 50).epoch(0)
    words = y.argmax(1) != CLASSES.index("silence")
    assert x[words].abs().max() < 1e-6  # a positive clip and a silence clip of the same level, negative
    with pytest.raises(ConfigError, match="fold 0 trains on no clip of the class nocall"):
        batches(waveforms, head(), settings.model_copy(update={"noise_class": "nocall"}), 50)


def test_clips_of_several_classes_are_drawn_as_their_rarest() -> None:
    targets = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 1], [0, 0]])
    assert rarest_chance(targets, 1.0).tolist() == pytest.approx([1 / 4] * 3 + [1, 1])
    assert rarest_chance(targets, 0.5).tolist() == pytest.approx([1 / 2] * 3 + [1, 1])


def test_a_share_of_an_epoch_is_drawn_from_clips_without_labels(log_mels: Dataset) -> None:
    clips = clips_of(40, 0)
    rest = clips_of(10, 0).with_columns(split=pl.lit("unlabelled"))
    inputs = {**log_mels.inputs, "unlabelled": log_mels.inputs["silence"]}
    dataset = Dataset(clips, inputs, {}, {}, AUDIO, SPEC)
    soft = torch.eye(4)[torch.arange(50) % 4]
    training = TrainingSet(pl.concat([clips, rest]), soft)
    train = Train(batch_size=10, augment=OFF, soft_share=0.2)
    batches = Batches("tcresnet", train, dataset, head(), training, 0)
    assert (len(batches), batches.clips) == (5, 50)
    epochs = [torch.cat([batch.x[:, 0, 0] for batch in batches.epoch(number)]) for number in (0, 0, 1)]
    assert (epochs[0] == epochs[1]).all()
    for seen in epochs:
        assert sorted(seen[seen > 0].tolist()) == list(range(1, 41)) and (seen < 0).sum() == 10
    many = Batches("tcresnet", train.model_copy(update={"soft_share": 0.5}), dataset, head(), training, 0)
    seen = torch.cat([batch.x[:, 0, 0] for batch in many.epoch(0)])
    assert torch.bincount(-seen[seen < 0].long(), minlength=11)[1:].tolist() == [4] * 10


def test_clips_without_labels_are_added_to_labelled_ones(log_mels: Dataset) -> None:
    clips = clips_of(20, 0)
    rest = clips_of(5, 0).with_columns(split=pl.lit("unlabelled"))
    inputs = {**log_mels.inputs, "unlabelled": log_mels.inputs["silence"]}
    dataset = Dataset(clips, inputs, {}, {}, AUDIO, SPEC)
    soft = torch.cat([torch.eye(4)[torch.arange(20) % 4], torch.full((5, 4), 0.25)])
    augment = OFF.model_copy(update={"noise_snr_db": (0.0, 0.0)})
    train = Train(batch_size=25, augment=augment, soft_mix=1.0)
    training = TrainingSet(pl.concat([clips, rest]), soft)
    (batch,) = Batches("tcresnet", train, dataset, head(), training, 0).epoch(0)
    x, sums = batch.x[:, 0, 0], batch.y.sum(1)
    assert sorted(x[x < 0].tolist()) == [-5, -4, -3, -2, -1]
    expected = torch.arange(1, 21) + np.log(2)  # at 0 dB the power doubles
    assert torch.allclose(x[x > 0].sort().values, expected.float(), atol=0.02)
    assert torch.allclose(sums, torch.ones(25)) and torch.allclose(
        batch.y[x > 0].max(1).values, torch.tensor(1 / 1.75)
    )
