"""A prepared and trained competition of any size, made up in moments: what the report is drawn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
import polars as pl

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data import clips as clip_table
from kagglekit.data.ingest import STORE
from kagglekit.data.prepare import Prepared
from kagglekit.data.store import StoreWriter
from kagglekit.ensemble.blend import WEIGHTS
from kagglekit.files import parquet
from kagglekit.files.atomic import write_json
from kagglekit.files.workspace import Workspace
from kagglekit.runs.score import score_key
from kagglekit.scoring.cv import score
from kagglekit.scoring.numerics import softmax
from kagglekit.scoring.predictions import logits_of, predictions
from kagglekit.submission.ledger import Entry, Ledger, host_name
from kagglekit.training.files import HISTORY, METRICS, OOF
from support.annotated import made

YAML = """\
competition:
  slug: simulated
  host: local
  local: {files: host, solution: host/solution.csv}
audio: {sample_rate: %d, seconds: %g}
labels: {targets: [yes, no, up, down], filler: unknown, silence: silence}
validation: {folds: 4, prior: {silence: 0.1, unknown: 0.4}}
"""
WORDS = ("yes", "no", "up", "down", "bed", "cat", "dog", "tree")
KEY = "simulated"


class Made(NamedTuple):
    """What a verb opens."""

    config: Config
    workspace: Workspace
    prepared: Prepared


def make(folder: Path, *, clips: int = 400, test: int = 60, rate: int = 8000, seconds: float = 0.25) -> Made:
    """Clips of tones, without a model."""
    folder.mkdir(parents=True, exist_ok=True)
    yaml = folder / "competition.yaml"
    yaml.write_text(YAML % (rate, seconds))
    config = load_config(yaml)
    workspace = Workspace(config)
    workspace.mark()
    rng = np.random.default_rng(0)
    words = rng.choice(WORDS, clips)
    spoken = [f"{word}/{k % max(clips // 20, 2):08x}_nohash_{k}.wav" for k, word in enumerate(words)]
    quiet = [f"silence_{k}.wav" for k in range(max(clips // 10, 8))]
    hidden = [f"clip_{k:06d}.wav" for k in range(test)]
    folders = {}
    for split, ids in (("train", spoken), ("silence", quiet), ("test", hidden)):
        folders[split] = workspace.audio / f"{split}-{KEY}"
        write_tones(folders[split] / STORE, ids, config, rng)
    speakers = [clip_id.split("/")[1].partition("_")[0] for clip_id in spoken]
    train = facts(spoken, config, rng).with_columns(word=pl.Series(words), speaker=pl.Series(speakers))
    silence = facts(quiet, config, rng).with_columns(
        word=pl.lit("_silence_"), speaker=pl.Series([f"noise:{k % 4}" for k in range(len(quiet))])
    )
    table = pl.concat(
        [
            made(config, train),
            clip_table.silence_table(config, silence, {str(k): k for k in range(4)}),
            clip_table.table_without_labels(facts(hidden, config, rng), "test"),
        ],
        how="vertical_relaxed",
    )
    return Made(
        config, workspace, Prepared(workspace, table, KEY, folders, dict.fromkeys(folders, KEY), {}, {})
    )


def write_tones(folder: Path, ids: Sequence[str], config: Config, rng: np.random.Generator) -> None:
    """A store with a tone of its own for each clip."""
    samples = config.audio.samples
    clock = np.arange(samples) / config.audio.sample_rate
    bank = [
        (8000 * np.sin(2 * np.pi * hz * clock) + rng.normal(0, 200, samples)).astype(np.int16)
        for hz in np.linspace(200, 3000, 64)
    ]
    with StoreWriter(folder, samples) as store:
        for k, clip_id in enumerate(ids):
            store.add(clip_id, bank[k % len(bank)])


def facts(ids: Sequence[str], config: Config, rng: np.random.Generator) -> pl.DataFrame:
    """What ingesting would have found."""
    count = len(ids)
    return pl.DataFrame(
        {
            "clip_id": list(ids),
            "path": list(ids),
            "row": np.arange(count),
            "samples": np.where(rng.random(count) < 0.1, config.audio.samples // 2, config.audio.samples),
            "rms": 10 ** (rng.normal(-25, 8, count).clip(-90, 0) / 20),
            "peak": rng.random(count),
            "sha1": [f"{k:040x}" for k in range(count)],
            "problem": "",
            "flags": np.where(rng.random(count) < 0.02, "clipped", ""),
            "rate": config.audio.sample_rate,
            "message": "",
        }
    )


def add_run(made: Made, model: str, run: str, *, skill: float, epochs: int = 10, seed: int = 0) -> Path:
    """A finished run whose logits favour the true class by `skill` standard deviations."""
    config, workspace, prepared = made
    rng = np.random.default_rng(seed)
    rows = prepared.clips.filter(pl.col("fold") >= 0).sort("fold")
    classes = list(config.labels.all_classes)
    logits = rng.normal(size=(len(rows), len(classes))).astype(np.float32)
    logits[np.arange(len(rows)), [classes.index(label) for label in rows["label"]]] += skill
    folder = workspace.runs / model / run
    folder.mkdir(parents=True)
    parquet.write(predictions(rows, logits), folder / OOF, bound=True)
    history = [
        {"fold": fold, "epoch": epoch, "loss": 2 / (epoch + 1) + 0.1 * fold, "cv": 1 - 0.6 / (epoch + 1)}
        for fold in range(config.validation.folds)
        for epoch in range(epochs)
    ]
    parquet.write(pl.DataFrame(history), folder / HISTORY, bound=True)
    facts = {"model": model, "run": run, "source": "recipe", "train_seconds": 60.0, "clips_per_s": 1000.0}
    facts |= {"parameters": 12345, "clips_key": prepared.key, "classes": classes, "only": []}
    result = score(logits, rows, config)
    scores = {**result.as_dict(), "folds": [result.cv] * 4, "score_key": score_key(config)}
    write_json(folder / METRICS, facts | scores, bound=True)
    return folder


def add_submission(made: Made, models: list[str], cv: float, public: float) -> None:
    """A scored line of the log."""
    entry = Entry(
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_800_000_000 + round(1e6 * cv))),
        csv=f"{'+'.join(models)}.csv",
        sha256=f"{round(1e9 * cv):064x}",
        models=models,
        runs=["0" * 12] * len(models),
        weights=[1 / len(models)] * len(models),
        cv_score=cv,
        config_key="0" * 12,
        host=host_name(made.config),
        status="COMPLETE",
        public=public,
    )
    Ledger(made.workspace.ledger_path).append(entry)


def add_ensemble(made: Made, members: Sequence[tuple[str, str, float]], cv: float) -> None:
    """A blend of (model, run, weight)."""
    records = [
        {"model": model, "run": run, "weight": weight, "cv": cv - 0.01} for model, run, weight in members
    ]
    folder = made.workspace.ensembles / "+".join(model for model, _, _ in members)
    scores = {"cv": cv, "low": cv - 0.02, "high": cv + 0.02, "method": "caruana", "decision": "none"}
    record = {"score_key": score_key(made.config), "members": records, **scores}
    write_json(folder / WEIGHTS, record, bound=True)
    oof = [
        pl.read_parquet(made.workspace.runs / model / run / OOF).sort("clip_id") for model, run, _ in members
    ]
    probs = sum(
        weight * softmax(logits_of(table)) for table, (_, _, weight) in zip(oof, members, strict=True)
    )
    parquet.write(predictions(oof[0], np.log(probs).astype(np.float32)), folder / OOF, bound=True)


def add_study(made: Made, model: str, trials: int) -> None:
    """A finished search over three parameters, the learning rate alone of which matters."""
    path = made.workspace.studies / f"{model}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        study_name=f"{model}-abc123", storage=storage, direction="maximize", sampler=sampler
    )

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("train.lr", 1e-4, 1e-2, log=True)
        trial.suggest_int("model.layers", 1, 4)
        trial.suggest_categorical("train.optimizer", ["adamw", "sgd"])
        return 0.9 - 0.1 * abs(float(np.log10(lr)) + 3)

    study.optimize(objective, n_trials=trials)


def whole(folder: Path, **size: int) -> Made:
    """A competition with runs, searches, an ensemble and submissions."""
    made = make(folder, **size)
    for k, (model, skill) in enumerate([("gru", 1.6), ("tcresnet", 1.3), ("lstm", 1.0)]):
        add_run(made, model, f"{k:012x}", skill=skill, seed=k)
    add_study(made, "gru", 12)
    add_ensemble(made, [("gru", "0" * 12, 0.7), ("tcresnet", f"{1:012x}", 0.3)], 0.95)
    for cv, public in ((0.80, 0.79), (0.85, 0.86), (0.90, 0.885)):
        add_submission(made, ["gru"], cv, public)
    return made
