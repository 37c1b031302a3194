"""The real job with Hugging Face models: train, submit, and take a model away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.checkpoints import save_tiny_ast, save_tiny_wav2vec2
from transformers import pipeline

from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.files.workspace import Workspace
from kagglekit.models.pretrained import to_hf
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.store import load_fold
from kagglekit.runs.train import run_id
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import resolve

LABELS = ["one", "two", "three", "four"]  # of the checkpoint; the competition has three
MODELS = """\
models:
  ast: {checkpoint: checkpoints/ast, train: {batch_size: 16, labels: targets}}
  wav2vec2: {checkpoint: checkpoints/wav2vec2, train: {batch_size: 16, labels: targets}}
"""


def make_competition(folder: Path) -> Path:
    """Tones at 16 kHz, and two small checkpoints named in the YAML."""
    yaml = tiny.make(folder)
    text = yaml.read_text()
    text = text.replace("sample_rate: 8000, seconds: 0.5", "sample_rate: 16000, seconds: 1.0")
    # without the class that would be most of the training, small random models do not say one class throughout
    text = text.replace("filler: unknown", "filler: null").replace(", unknown: 0.4", "")
    text = text.replace("epochs: 12", "epochs: 8").replace("lr: 0.01", "lr: 0.003")
    models = MODELS.replace("checkpoints/", f"{folder}/checkpoints/")
    yaml.write_text(text[: text.index("models:")] + models + text[text.index("search:") :])
    save_tiny_ast(folder / "checkpoints/ast", LABELS)
    save_tiny_wav2vec2(folder / "checkpoints/wav2vec2", LABELS)
    return yaml


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, trained."""
    yaml = make_competition(tmp_path_factory.mktemp("hf"))
    for argv in (["fetch"], ["train", "--model", "ast,wav2vec2"]):
        assert main(["--quiet", "-C", str(yaml), *argv]) == 0
    return yaml


def prepared(yaml: Path) -> tuple[Workspace, Prepared]:
    config = load_config(yaml)
    return Workspace(config), prepare(Workspace(config))


def hf_logits(folder: Path, waveforms: np.ndarray[Any, Any], classes: list[str]) -> np.ndarray[Any, Any]:
    """(clips, classes) by the Hugging Face pipeline, which knows the classes by number."""
    classify = pipeline("audio-classification", model=str(folder))
    label2id = classify.model.config.label2id
    logits = np.empty((len(waveforms), len(classes)), np.float32)
    for row, waveform in zip(logits, waveforms, strict=True):
        for answer in classify(waveform, top_k=None, function_to_apply="none"):
            row[label2id[answer["label"]]] = answer["score"]
    return logits


@pytest.mark.parametrize("name", ["ast", "wav2vec2"])
def test_logits_equal_the_pipelines(name: str, yaml: Path, tmp_path: Path) -> None:
    workspace, clips = prepared(yaml)
    (fold,) = workspace.runs.glob(f"{name}/*/fold_0")
    model, head, meta = load_fold(fold)
    assert list(head.outputs) == list(head.classes) == ["low", "mid", "silence"]
    to_hf(model, tmp_path / "mine")
    stored = pl.read_parquet(fold / "test.parquet")
    rows = stored.join(clips.clips.filter(split="test"), on="clip_id", how="left", maintain_order="left")[
        "row"
    ]
    waveforms = clips.store("test").take(rows.to_numpy()) / np.float32(32768)
    assert waveforms.shape == (24, 16_000)
    expected = hf_logits(tmp_path / "mine", waveforms, meta["classes"])
    logits = stored["logits"].to_numpy()
    assert np.abs(logits - expected).max() < 1e-3
    assert logits.std(0).max() > 1e-3  # not one answer to all


def test_submit_an_ensemble_of_both(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace, _ = prepared(yaml)
    code = main(
        ["--quiet", "--json", "-C", str(yaml), "submit", "--ensemble", "ast,wav2vec2", "--upload", "--yes"]
    )
    out, err = capsys.readouterr()
    test = pl.read_parquet(workspace.ensembles / "ast+wav2vec2" / "test.parquet")
    labels = np.array(["low", "mid", "silence"])[test["logits"].to_numpy().argmax(1)]
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["status"] == "COMPLETE" and set(answer["weights"]) == {"ast", "wav2vec2"}
    assert dict(pl.read_csv(answer["csv"]).rows()) == dict(zip(test["clip_id"], labels, strict=True))


def test_the_run_needs_no_checkpoint_afterwards(yaml: Path, tmp_path: Path) -> None:
    workspace, _ = prepared(yaml)
    (fold,) = workspace.runs.glob("wav2vec2/*/fold_0")
    hidden = (yaml.parent / "checkpoints").rename(yaml.parent / "hidden")
    try:
        model, _, _ = load_fold(fold)
    finally:
        hidden.rename(yaml.parent / "checkpoints")
    assert model.config.checkpoint == f"{yaml.parent}/checkpoints/wav2vec2"


def test_fetch_checkpoints_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    yaml = tiny.make(tmp_path / "tiny")
    argv = [
        "--quiet",
        "-C",
        str(yaml),
        "--set",
        "models.ast.checkpoint=no/such-model",
        "fetch",
        "--checkpoints",
    ]
    assert main(argv) == 1
    assert capsys.readouterr().err == (
        "error: checkpoint 'no/such-model' is neither a folder nor in the cache, "
        "and the hub cannot be reached\n"
        f"hint:  run `kagglekit -C {yaml} --set models.ast.checkpoint=no/such-model fetch --checkpoints` with "
        "a network, or name a local folder\n"
    )


class Killed(Exception):
    pass


def test_a_killed_fine_tuning_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """With SpecAugment's masks, which transformers draws from NumPy."""
    yaml = make_competition(tmp_path)
    save_tiny_wav2vec2(tmp_path / "checkpoints/wav2vec2", LABELS, mask_time_prob=0.3, layerdrop=0.1)
    assert main(["--quiet", "-C", str(yaml), "fetch"]) == 0
    config = load_config(yaml)
    _workspace, ready = prepared(yaml)
    plan = resolve(config, "wav2vec2", {"train.epochs": 2})
    dataset, head = make_dataset(ready, plan), head_for(ready, plan)

    def kill(epoch: int, score: object) -> None:
        if epoch == 0:
            raise Killed

    whole, cut = (Fold(config, plan, dataset, head, 0, tmp_path / name) for name in ("whole", "cut"))
    train_fold(whole)
    with pytest.raises(Killed):
        train_fold(cut, kill)
    np.random.seed(99)  # whatever another process has drawn
    assert train_fold(cut).equals(train_fold(whole))


def test_other_weights_in_a_checkpoints_folder_are_another_run(tmp_path: Path) -> None:
    yaml = make_competition(tmp_path)
    assert main(["--quiet", "-C", str(yaml), "fetch"]) == 0
    config = load_config(yaml)
    ready, plan = prepared(yaml)[1], resolve(config, "wav2vec2")
    before = run_id(ready, plan)
    assert run_id(ready, plan) == before
    save_tiny_wav2vec2(tmp_path / "checkpoints/wav2vec2", LABELS, layerdrop=0.1)
    assert run_id(ready, plan) != before
