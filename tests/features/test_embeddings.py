"""Embeddings are computed once, are what the network says, and a head trains on them without it."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
import torch
from support import tiny
from support.checkpoints import save_tiny_wav2vec2, save_tiny_whisper
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

from kagglekit import models
from kagglekit.cli import main
from kagglekit.config import Train
from kagglekit.config.load import load_config
from kagglekit.data.store import Store, StoreWriter, open_store
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.features import embeddings
from kagglekit.features.embeddings import FULL_SCALE, embedding_cache
from kagglekit.models import pretrained
from kagglekit.training.dataset import Dataset
from kagglekit.training.head import make_head
from kagglekit.training.inputs import frozen_network
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import resolve

LABELS = ["low", "mid", "silence"]
CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = np.random.default_rng(0).integers(-9000, 9000, (70, 16_000)).astype(np.int16)
    with StoreWriter(tmp_path / "store", 16_000) as writer:
        for i, row in enumerate(rows):
            writer.add(f"{i}", row)
    return open_store(tmp_path / "store")


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    folder = save_tiny_wav2vec2(tmp_path / "checkpoint", LABELS)
    return {"checkpoint": str(folder), "tune": "frozen", "embeddings": "float32"}


def cached(store: Store, folder: Path, params: dict[str, Any]) -> np.ndarray[Any, Any]:
    return embedding_cache(
        folder / "features", store, "k", frozen_network("pretrained", params), CPU, "train"
    )


@pytest.mark.parametrize("every", [True, False])
def test_equal_to_direct(every: bool, store: Store, params: dict[str, Any], tmp_path: Path) -> None:
    params["layer_weights"] = every
    found = cached(store, tmp_path, params)
    assert not found[:1].flags.owndata and not found[:1].flags.writeable
    assert found.shape == (70, 3 if every else 1, 32)
    network = pretrained.build_whole(pretrained.Config(**params), 3).eval()
    waveform = torch.tensor(store[:]).float() / FULL_SCALE
    layers = network.network.wav2vec2(network.preprocess(waveform), output_hidden_states=True).hidden_states
    expected = torch.stack([layer.mean(1) for layer in layers], 1).detach()
    np.testing.assert_allclose(found, expected if every else expected[:, -1:], atol=1e-5)
    np.testing.assert_allclose(
        embeddings.embed(waveform[:5], frozen_network("pretrained", params), CPU), found[:5], atol=1e-5
    )


def test_computed_once(
    store: Store, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = np.array(cached(store, tmp_path, params))
    monkeypatch.setattr(embeddings.FrozenNetwork, "embedder", lambda *args: pytest.fail("computed again"))
    again = cached(store, tmp_path, params | {"layers": 1})  # says nothing about embeddings
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("change", [{"layer_weights": True}, {"embeddings": "float16"}])
def test_other_embeddings_have_another_key(
    change: dict[str, Any], store: Store, params: dict[str, Any], tmp_path: Path
) -> None:
    cached(store, tmp_path, params)
    found = cached(store, tmp_path, params | change)
    assert len([p for p in (tmp_path / "features").iterdir() if p.is_dir()]) == 2
    assert found.dtype == change.get("embeddings", "float32")


def test_other_weights_have_another_key(params: dict[str, Any], tmp_path: Path) -> None:
    config = pretrained.Config(**params)
    key = pretrained.embedding_key(config)
    moved = (tmp_path / "checkpoint").rename(tmp_path / "elsewhere")
    assert pretrained.embedding_key(config.model_copy(update={"checkpoint": str(moved)})) == key
    weights = moved / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert pretrained.embedding_key(config.model_copy(update={"checkpoint": str(moved)})) != key
    with pytest.raises(KagglekitError, match="is neither a folder"):
        pretrained.embedding_key(config.model_copy(update={"checkpoint": "./no/such"}))


def test_too_large_for_float16(
    store: Store, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained.Pretrained, "embed", lambda self, x: torch.full((len(x), 1, 32), 1e5))
    with pytest.raises(ConfigError, match="is not finite in float16") as caught:
        cached(store, tmp_path, params | {"embeddings": "float16"})
    assert caught.value.hint == "set embeddings: float32 for this model"
    assert not list((tmp_path / "features").rglob("*.npy"))


def make_competition(folder: Path) -> Path:
    """Tones at 16 kHz, and a wav2vec 2.0 and a Whisper that stay as they are."""
    text = tiny.make(folder).read_text()
    text = text.replace("sample_rate: 8000, seconds: 0.5", "sample_rate: 16000, seconds: 1.0")
    text = text.replace("lr: 0.01", "lr: 0.03").replace("filler: unknown", "filler: null")
    sections = [
        f"  {name}: {{checkpoint: {folder}/{name}, model: {{tune: frozen, layer_weights: true}}}}\n"
        for name in ("wav2vec2", "whisper")
    ]
    text = text.replace(", unknown: 0.4", "")
    text = text[: text.index("models:")] + "models:\n" + "".join(sections) + text[text.index("search:") :]
    (folder / "competition.yaml").write_text(text)
    save_tiny_wav2vec2(folder / "wav2vec2", LABELS)
    save_tiny_whisper(folder / "whisper", LABELS)
    return folder / "competition.yaml"


def test_the_whole_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = make_competition(tmp_path)
    at = ["--quiet", "-C", str(yaml)]
    assert main([*at, "fetch"]) == 0
    assert main([*at, "train", "--model", "wav2vec2,whisper"]) == 0
    (metrics,) = (tmp_path / ".kagglekit/runs/wav2vec2").glob("*/metrics.json")
    facts = json.loads(metrics.read_text())
    assert facts["parameters"] == 3 + 33 * 16 + 17 * 3  # weights of 3 layers, projector, classifier
    with zipfile.ZipFile(tmp_path / "host/test.zip") as archive:
        wav = archive.extract("test/audio/clip_0000.wav", tmp_path)
    capsys.readouterr()
    assert main([*at, "--json", "predict", "--model", "wav2vec2", wav]) == 0
    ((heard,),) = [json.loads(capsys.readouterr().out)["probs"].values()]
    stored = pl.read_parquet(metrics.with_name("test.parquet")).filter(clip_id="clip_0000.wav")
    expected = dict(zip(LABELS, np.exp(stored["logits"].to_numpy()[0]), strict=True))
    assert heard == pytest.approx(expected, abs=5e-3)  # the cache is float16


def test_embeddings_are_not_augmented(tmp_path: Path) -> None:
    config = load_config(make_competition(tmp_path), ["train.augment.mixup=0.2", "train.tta_ms=[20]"])
    train = resolve(config, "wav2vec2").train
    of_others = ("noise_snr_db", "domain", "noise_from", "mixup_ratio", "mix_share", "mix_labels")
    of_others += ("lowpass_hz", "highpass_hz", "eq_db")
    on = {name for name, value in train.augment.model_dump().items() if value and name not in of_others}
    assert on == {"mixup"} and train.tta_ms == ()
    frozen, full = (models.defaults("ast", {"tune": tune}) for tune in ("frozen", "full"))
    assert Train(**frozen).lr > 10 * Train(**full).lr


def random_fold(folder: Path, every: bool, count: int = 5000) -> Fold:
    """A fold over random embeddings of a base-sized network: (count, 13 or 1, 768)."""
    config = load_config(tiny.make(folder), ["audio.sample_rate=16000", "train.batch_size=256"])
    network = Wav2Vec2Config(use_weighted_layer_sum=every).to_dict()
    found = {"hf_config": json.loads(json.dumps(network, default=str)), "tune": "frozen"}
    found["preprocessor"] = Wav2Vec2FeatureExtractor().to_dict()
    plan = resolve(config, "wav2vec2", {f"model.{name}": value for name, value in found.items()})
    rng = np.random.default_rng(0)
    np.save(folder / "random.npy", rng.normal(size=(count, 13 if every else 1, 768)).astype(np.float16))
    words = rng.choice([*tiny.WORDS], count)
    labels = [word if word in config.labels.targets else "unknown" for word in words]
    constants = {"split": "train", "part": "seen", "speaker": "s", "official": "train"}
    clips = pl.DataFrame({"row": np.arange(count), "word": words, "label": labels}).with_columns(
        pl.lit(-1, pl.Int32).alias("heldout_fold"),
        clip_id=pl.col("row").cast(pl.String),
        fold=pl.lit(1, pl.Int32) - (pl.col("row") < count // 10).cast(pl.Int32),
        **{name: pl.lit(value) for name, value in constants.items()},
    )
    inputs = {"train": np.load(folder / "random.npy", mmap_mode="r")}
    dataset = Dataset(clips, inputs, {}, {}, config.audio, None)
    return Fold(
        config,
        plan,
        dataset,
        make_head(clips, config.labels.all_classes, "words", "unknown"),
        0,
        folder / "fold_0",
    )


@pytest.mark.slow
@pytest.mark.parametrize("every", [False, True])
def test_a_head_trains_at_20000_clips_a_second(every: bool, tmp_path: Path) -> None:
    job = random_fold(tmp_path, every)
    with mock.patch("kagglekit.training.loop.time.perf_counter", time.process_time):  # others may use the CPU
        train_fold(job)
    history = json.loads((job.folder / "meta.json").read_text())["history"]
    assert max(epoch["clips_per_s"] for epoch in history) >= 20_000
