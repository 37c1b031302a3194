"""All folds of one plan -> a run: OOF and test logits, score, history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml
from numpy.typing import NDArray

from kagglekit import __version__, console, models
from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import MissingError
from kagglekit.features.cache import log_mel_cache
from kagglekit.training import checkpoint
from kagglekit.training.dataset import Dataset, Head, make_head
from kagglekit.training.loop import META, OOF, WEIGHTS, Fold, predict, predictions, train_fold
from kagglekit.training.plan import VERSION, Plan
from kagglekit.validation import Score, score
from kagglekit.workspace import Workspace, key_of, locked, write_json

METRICS, TEST, HISTORY, SETTINGS = "metrics.json", "test.parquet", "history.parquet", "config.yaml"


@dataclass(frozen=True)
class Run:
    """A trained plan."""

    model: str
    id: str
    folder: Path
    score: Score
    metrics: dict[str, Any]


def make_dataset(config: Config, workspace: Workspace, prepared: Prepared, plan: Plan) -> Dataset:
    """Inputs for a plan: cached log-mels, computed if need be, or decoded clips."""
    waveforms = models.info(plan.model).input == "waveform"
    inputs: dict[str, Any] = {}
    for split in prepared.folders:
        store = prepared.store(split)
        inputs[split] = (
            store
            if waveforms
            else log_mel_cache(
                workspace.features, store, prepared.keys[split], plan.features, config.audio, split
            )
        )
    return Dataset(
        clips=prepared.clips,
        inputs=inputs,
        noise=prepared.noise(config),
        noise_fold=prepared.noise_fold,
        audio=config.audio,
        features=None if waveforms else plan.features,
    )


def head_for(config: Config, prepared: Prepared, plan: Plan) -> Head:
    """Outputs of the plan's models, the same for all folds."""
    used = prepared.clips.filter(pl.col("fold") >= 0)
    return make_head(used, config.labels.classes, plan.train.labels, config.labels.filler)


def run_id(config: Config, prepared: Prepared, plan: Plan) -> str:
    """Changes with everything that shapes the run's logits."""
    fillers = config.labels.keep_fillers
    return key_of(VERSION, plan.as_dict(), prepared.key, fillers, config.audio.model_dump())


def train_run(
    config: Config,
    workspace: Workspace,
    prepared: Prepared,
    plan: Plan,
    *,
    source: str = "recipe",
    on_fold: Callable[[int], None] | None = None,
) -> Run:
    """Train every fold, predict the test clips, and score. What is there already is not done again.

    Args:
        config, workspace, prepared: the competition.
        plan: the architecture and its settings.
        source: where the settings come from, for the record.
        on_fold: told the number of each fold when it ends.
    """
    identity = run_id(config, prepared, plan)
    folder = workspace.runs / plan.model / identity
    if (folder / METRICS).is_file():
        return load_run(folder)
    with locked(folder, f"run {plan.model}/{identity}"):
        if (folder / METRICS).is_file():
            return load_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"kagglekit": __version__, "model": plan.model, "source": source, **plan.as_dict()}
        (folder / SETTINGS).write_text(yaml.safe_dump(_plain(settings), sort_keys=False), encoding="utf-8")
        dataset = make_dataset(config, workspace, prepared, plan)
        head = head_for(config, prepared, plan)
        parts = []
        for number in range(config.validation.folds):
            parts.append(train_fold(Fold(config, plan, dataset, head, number, folder / f"fold_{number}")))
            if on_fold is not None:
                on_fold(number)
        oof = pl.concat(parts)
        _write(oof, folder / OOF)
        _write(predict_test(config, dataset, folder), folder / TEST)
        _finish(config, prepared, plan, oof, folder, source)
    return load_run(folder)


def _plain(settings: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(settings, dict):
        return {k: _plain(v) for k, v in settings.items()}
    return [_plain(v) for v in settings] if isinstance(settings, list | tuple) else settings


def _write(table: pl.DataFrame, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    table.write_parquet(part)
    part.replace(path)


def _finish(
    config: Config, prepared: Prepared, plan: Plan, oof: pl.DataFrame, folder: Path, source: str
) -> None:
    """history.parquet, then metrics.json, which marks the run as whole."""
    result = score(logits_of(oof), rows_of(oof, prepared.clips), config)
    metas = [read_meta(folder / f"fold_{n}") for n in range(config.validation.folds)]
    history = pl.DataFrame([epoch for meta in metas for epoch in meta["history"]])
    _write(history, folder / HISTORY)
    per_fold = []
    for number in range(config.validation.folds):
        part = oof.filter(pl.col("fold") == number)
        per_fold.append(score(logits_of(part), rows_of(part, prepared.clips), config).cv)
    write_json(
        folder / METRICS,
        {
            "model": plan.model,
            "run": folder.name,
            "source": source,
            **result.as_dict(),
            "folds": per_fold,
            "train_seconds": float(history["seconds"].sum()),
            "clips_per_s": float(history["clips_per_s"].median()),  # type: ignore[arg-type]
            "parameters": parameter_count(metas[0]),
            "clips_key": prepared.key,
            "classes": list(config.labels.classes),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def parameter_count(meta: dict[str, Any]) -> int:
    """Trained numbers in a fold's model."""
    model = models.build(meta["model"], meta["params"], len(meta["outputs"]))
    return sum(p.numel() for p in model.parameters())


def logits_of(table: pl.DataFrame) -> NDArray[np.float32]:
    """(clips, classes) from a table of predictions."""
    return table["logits"].to_numpy()


def rows_of(table: pl.DataFrame, clips: pl.DataFrame) -> pl.DataFrame:
    """Rows of the clips table in the order of a table of predictions."""
    spoken = clips.filter(pl.col("split") != "test")
    return table.select("clip_id").join(spoken, on="clip_id", how="left", maintain_order="left")


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json of a fold.

    Raises:
        MissingError: the fold is not trained.
    """

    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise MissingError(
            f"{folder / META} cannot be read", hint="train the model again: kagglekit train"
        ) from error
    return meta


def load_fold(folder: Path) -> tuple[torch.nn.Module, Head, dict[str, Any]]:
    """A fold's model from its two files alone: (model, head, meta)."""
    meta = read_meta(folder)
    model = models.build(meta["model"], meta["params"], len(meta["outputs"]))
    checkpoint.load_weights(model, folder / WEIGHTS)
    head = Head(
        tuple(meta["outputs"]), tuple(meta["class_of"]), tuple(meta["classes"]), meta["words"], double=None
    )
    return model, head, meta


def predict_test(config: Config, dataset: Dataset, folder: Path) -> pl.DataFrame:
    """Test logits: the log of the folds' mean probabilities. Each fold's own are kept beside its weights."""
    clips = dataset.clips.filter(pl.col("split") == "test").select("clip_id", "split", "row")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folds = range(config.validation.folds)
    probs = np.zeros((len(clips), len(config.labels.classes)))
    with console.bar(f"predict {folder.parent.name}", len(clips) * len(folds), "clips") as advance:
        for number in folds:
            path = folder / f"fold_{number}" / TEST
            if not path.is_file():
                model, head, meta = load_fold(path.parent)
                logits = predict(model.to(device), dataset, clips, head, device, meta["train"]["bf16"])
                _write(predictions(clips, logits), path)
            logits = logits_of(pl.read_parquet(path))
            probs += softmax(logits)
            advance(len(clips))
    return predictions(clips, np.log(probs / len(folds) + 1e-12).astype(np.float32))


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of logits -> rows of probabilities."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(1, keepdims=True)
    return result


def load_run(folder: Path) -> Run:
    """A finished run."""

    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    fields = {name: metrics[name] for name in Score._fields}
    fields["constant"] = tuple(fields["constant"])
    return Run(metrics["model"], folder.name, folder, Score(**fields), metrics)


def finished_runs(workspace: Workspace, model: str | None = None) -> list[Run]:
    """Every finished run, best CV score first."""
    pattern = f"{model or '*'}/*/{METRICS}"
    runs = [load_run(path.parent) for path in sorted(workspace.runs.glob(pattern))]
    return sorted(runs, key=lambda run: -run.score.cv)


def best_run(workspace: Workspace, model: str, clips_key: str) -> Run:
    """The model's run with the best CV score on the present clips and folds.

    Raises:
        ConfigError: no such model.
        MissingError: none is trained, or only on other clips or folds.
    """
    models.info(model)
    runs = finished_runs(workspace, model)
    if not runs:
        raise MissingError(f"no trained run of {model}", hint=f"train one: kagglekit train --model {model}")
    fitting = [run for run in runs if run.metrics["clips_key"] == clips_key]
    if not fitting:
        raise MissingError(
            f"the {len(runs)} runs of {model} were trained on other clips or folds than the present",
            hint=f"train it on these: kagglekit train --model {model}",
        )
    return fitting[0]
