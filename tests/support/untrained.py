"""Runs whose networks have random weights: their files alone, without a competition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kagglekit import models
from kagglekit.config import Audio, Features, Train
from kagglekit.files.atomic import write_json
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import Score
from kagglekit.training import checkpoint
from kagglekit.training.files import META, WEIGHTS

CLASSES = ("low", "mid", "silence", "unknown")


def untrained(
    folder: Path,
    model: str,
    params: Mapping[str, Any],
    *,
    audio: Audio,
    features: Features,
    kind: str = "single",
    folds: int = 2,
    classes: tuple[str, ...] = CLASSES,
    **train: Any,
) -> Run:
    """Write folders fold_<k> as training does."""
    for fold in range(folds):
        torch.manual_seed(fold)
        network = models.build(model, params, len(classes))
        for name, buffer in network.named_buffers():  # batch norms that have seen something
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
        path = folder / f"fold_{fold}"
        path.mkdir(parents=True)
        checkpoint.save(path / WEIGHTS, network.state_dict())
        meta = {
            "model": model,
            "params": network.config.model_dump(mode="json"),  # type: ignore[union-attr,operator]
            "outputs": list(classes),
            "class_of": list(range(len(classes))),
            "classes": list(classes),
            "words": False,
            "audio": audio.model_dump(),
            "features": features.model_dump(),
            "train": Train(**train).model_dump(),
            "kind": kind,
        }
        write_json(path / META, meta, bound=True)
    score = Score(0.0, 0.0, 0.0, 0.0, None, {}, ())
    return Run(model, folder.name, folder, score, {"folds": [0.0] * folds})
