"""A pretrained checkpoint predicts without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from support import tiny
from support.checkpoints import save_tiny_wav2vec2
from support.trainings import trained

from kagglekit.cli import main
from kagglekit.errors import ConfigError
from kagglekit.runs.store import load_fold


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
    assert [p.parent.name for p in run.folder.rglob("model.safetensors")] == ["fold_0"]  # one for all folds
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
    assert "has labels tree, house, bird: none is a target" in str(caught.value)


def test_zero_shot_has_nothing_to_search(heard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--set", "train.labels=zero_shot", "--set", "models.wav2vec2.checkpoint=named"]
    assert main(["--quiet", "-C", str(heard), *argv, "tune", "--model", "wav2vec2"]) == 1
    assert "does not train wav2vec2: there is nothing to search" in capsys.readouterr().err
