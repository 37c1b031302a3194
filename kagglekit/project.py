"""A competition for scripts and notebooks: the verbs as methods, the workspace as polars and torch.

    import kagglekit

    competition = kagglekit.open("competition.yaml", "train.epochs=10")
    run = competition.train("tcresnet")
    wrong = competition.oof(run).filter(pl.col("predicted") != pl.col("label"))
    x = competition.audio(wrong)                 # (clips, samples), float32 in [-1, 1)

Every method does what its verb does, and like it finds again what is there already.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from kagglekit.config import Features, ModelSection, overlay
from kagglekit.config.load import load_config
from kagglekit.data.clips import training_rows, validation_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.ensemble.blend import BlendedRuns
from kagglekit.ensemble.build import build
from kagglekit.errors import KagglekitError
from kagglekit.features.cache import log_mel_cache
from kagglekit.features.logmel import FULL_SCALE
from kagglekit.files import tables
from kagglekit.files.atomic import write_text
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import Fetched, fetch
from kagglekit.runs.predict_files import predict_wavs
from kagglekit.runs.store import (
    TEST,
    Run,
    best_run,
    best_runs,
    logits_of,
    present_runs,
    scored,
    train_again,
)
from kagglekit.runs.train import train_run
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.send import UploadOptions, send
from kagglekit.submission.write import write
from kagglekit.training.loop import OOF
from kagglekit.training.plan import resolve

if TYPE_CHECKING:
    from kagglekit.search.study import Outcome


class Competition:
    """What a YAML file describes, and what its workspace holds.

    Args:
        path: the YAML; by default competition.yaml in the current folder.
        settings: `a.b=value`, as --set takes them.

    Raises:
        ConfigError: the file is missing or has problems.
    """

    def __init__(self, path: str | Path | None = None, *settings: str) -> None:
        self.config = load_config(None if path is None else Path(path), settings)
        self.workspace = Workspace(self.config)

    def __repr__(self) -> str:
        return f"<kagglekit competition {self.config.competition.slug} in {self.workspace.root}>"

    # --- data ---

    def fetch(self, *files: str, force: bool = False) -> list[Fetched]:
        """Download the competition's files, or some of them; sound ones that are there stay."""
        host = open_host(self.config, self.workspace.root)
        return fetch(self.workspace, host, files, force=force)

    @cached_property
    def prepared(self) -> Prepared:
        """Decoded audio and the clips table, made at the first use.

        Raises:
            MissingError: the archives have not been fetched.
        """
        return prepare(self.workspace)

    @property
    def clips(self) -> pl.DataFrame:
        """One row a clip: clip_id, split, word, label, part, speaker, fold ... (kagglekit.data.clips)."""
        return self.prepared.clips

    @property
    def classes(self) -> tuple[str, ...]:
        """Columns of every logit."""
        return self.config.labels.classes

    def fold(self, number: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What the model of a fold learns from, and what it is judged on, as rows of `clips`.

        Args:
            number: 0 to validation.folds - 1.
            seed: of the choice of fillers, where labels.keep_fillers limits them.
        """
        if not 0 <= number < self.config.validation.folds:
            raise KagglekitError(
                f"there is no fold {number}", hint=f"the folds are 0 to {self.config.validation.folds - 1}"
            )
        return training_rows(self.clips, number, self.config, seed), validation_rows(self.clips, number)

    def audio(self, clips: pl.DataFrame) -> Tensor:
        """Waveforms of some clips, in their order: (clips, samples), float32 in [-1, 1).

        Args:
            clips: any rows that have a clip_id: of `clips`, of `oof` ...
        """
        stores = {split: self.prepared.store(split) for split in self.prepared.folders}
        samples = np.empty((len(clips), self.config.audio.samples), np.int16)
        for split, places, rows in self._found(clips):
            samples[places] = stores[split].take(rows)
        return torch.from_numpy(samples).float() / FULL_SCALE

    def features(self, clips: pl.DataFrame, model: str | None = None) -> Tensor:
        """Log-mels of some clips, in their order: (clips, n_mels, frames), float32, computed once.

        Args:
            clips: any rows that have a clip_id.
            model: with the `features:` of this model; by default those of the competition.
        """
        spec: Features = self.config.features
        if model is not None:
            spec = overlay(spec, self.config.models.get(model, ModelSection()).features)
        parts: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
        for split, places, rows in self._found(clips):
            store, key = self.prepared.store(split), self.prepared.keys[split]
            cache = log_mel_cache(self.workspace.features, store, key, spec, self.config.audio, split)
            parts.append((places, cache[rows]))
        if not parts:
            return torch.empty(0)
        out = np.empty((len(clips), *parts[0][1].shape[1:]), np.float32)
        for places, values in parts:
            out[places] = values
        return torch.from_numpy(out)

    def _found(self, clips: pl.DataFrame) -> list[tuple[str, Any, Any]]:
        """(split, places among `clips`, rows in the split's store) of clips by their ids."""
        asked = clips.select("clip_id").with_row_index("place")
        known = asked.join(self.clips.select("clip_id", "split", "row"), on="clip_id", how="left")
        if unknown := known.filter(pl.col("split").is_null())["clip_id"].to_list():
            raise KagglekitError(f"there is no clip '{unknown[0]}'", hint="take rows of competition.clips")
        return [
            (str(split), of["place"].to_numpy(), of["row"].to_numpy())
            for (split,), of in known.group_by("split", maintain_order=True)
        ]

    # --- models ---

    def train(self, model: str) -> Run:
        """Train every fold of an architecture, score it, and predict the test clips."""
        plan = resolve(self.config, model)
        return train_run(self.prepared, plan)

    def tune(self, model: str, trials: int | None = None, time_limit: float | None = None) -> Outcome:
        """Search an architecture's hyperparameters; an earlier search goes on.

        Args:
            model: the architecture.
            trials: in the study; by default search.trials.
            time_limit: seconds after which no epoch is begun.
        """
        from kagglekit.search.tune import tune

        deadline = None if time_limit is None else time.monotonic() + time_limit
        return tune(self.prepared, model, trials=trials, deadline=deadline)

    def train_tuned(self, model: str) -> Run:
        """Train every fold with the best parameters that `tune` found."""
        from kagglekit.search.study import best_plan

        prepared, plan, source = best_plan(self.prepared, model)
        return train_run(prepared, plan, source=source)

    @property
    def runs(self) -> list[Run]:
        """Finished runs on the present clips and folds, the best first."""
        there, _ = present_runs(self.prepared)
        found = [scored(self.prepared, run) for run in there]
        return sorted(found, key=lambda run: -run.score.cv)

    def best(self, model: str) -> Run:
        """The best run of a model."""
        return best_run(self.prepared, model)

    def oof(self, run: Run) -> pl.DataFrame:
        """OOF predictions: clip_id, fold, label, part, logits (classes), predicted, prob."""
        return self._predicted(tables.read(run.folder / OOF, train_again(run.folder)))

    def test(self, run: Run) -> pl.DataFrame:
        """Predictions of the test clips: clip_id, logits (classes), predicted, prob."""
        return self._predicted(tables.read(run.folder / TEST, train_again(run.folder)))

    def _predicted(self, table: pl.DataFrame) -> pl.DataFrame:
        """With the likeliest class and its probability."""
        logits = torch.from_numpy(logits_of(table).copy())
        probs = (logits.softmax(1) if self.config.separator is None else logits.sigmoid()).max(1)
        predicted = pl.Series(np.array(self.classes)[probs.indices.numpy()], dtype=pl.String)
        return table.with_columns(predicted=predicted, prob=pl.Series(probs.values.numpy()))

    def predict(self, run: Run, wavs: Sequence[str | Path]) -> dict[str, dict[str, float]]:
        """Probabilities of each class in wav files, the likeliest first, by file."""
        return predict_wavs(run, [Path(wav) for wav in wavs])

    # --- submissions ---

    def ensemble(self, *models: str) -> BlendedRuns:
        """Blend the best runs of some models, or of all that are trained."""
        runs = best_runs(self.prepared, list(models) or None)
        return build(self.prepared, runs)

    def submit(self, *models: str, upload: bool = False, message: str | None = None) -> Entry:
        """Blend, check against the sample and write; with `upload` send it, without asking, and wait.

        Raises:
            SubmissionError: it must not leave, or the host did not accept it.
        """
        written = write(self.workspace, self.ensemble(*models))
        if not upload:
            return written.entry
        return send(written, self.workspace, UploadOptions(message=message))

    @property
    def leaderboard(self) -> pl.DataFrame:
        """The log of submissions, oldest first: a row an `Entry`."""
        entries = Ledger(self.workspace.ledger_path).entries()
        rows = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.time)]
        return pl.DataFrame(rows, infer_schema_length=None)

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the HTML report."""
        from kagglekit.report import build as pages
        from kagglekit.report import source

        found = source.read(self.prepared, "kagglekit")
        write_text(Path(path), pages.render(found))
        return Path(path)
