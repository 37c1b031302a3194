"""What a plan trains on: noise, and the waveforms of a network that takes log-mels."""

from __future__ import annotations

from pathlib import Path

from support.tiny import make

from kagglekit.config.load import load_config
from kagglekit.data.clips import LEFT_OUT
from kagglekit.data.prepare import prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.setup import make_folds
from kagglekit.training.loop import train_fold
from kagglekit.training.plan import resolve


def test_noise_files_without_a_silence_class(tmp_path: Path) -> None:
    path = make(tmp_path, test_clips=6)
    text = path.read_text().replace("silence: silence, silence_share: 0.3", "silence: null")
    path.write_text(text.replace("silence: 0.2, ", ""))
    config = load_config(path)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepared = prepare(workspace)
    noise = {"noise": 1.0, "domain": "waveform", "noise_from": "files"}
    params = {"train.epochs": 1, **{f"train.augment.{name}": value for name, value in noise.items()}}
    (fold,) = make_folds(prepared, resolve(config, "tcresnet", params), tmp_path / "run", [0])
    dataset = fold.dataset
    assert prepared.noise() == {} and dataset.noise and set(dataset.noise_fold.values()) == {LEFT_OUT}
    assert all(len(pcm) >= config.audio.samples for pcm in dataset.noise.values())
    assert dataset.waveforms is not None and dataset.for_training().takes_waveforms
    assert len(train_fold(fold))
    (plain,) = make_folds(prepared, resolve(config, "tcresnet"), tmp_path / "plain", [0])
    assert plain.dataset.noise == {} and plain.dataset.waveforms is None
