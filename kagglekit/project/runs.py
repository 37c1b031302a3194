"""Finished runs: find them, read their predictions, predict with them, and export them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.errors import ConfigError
from kagglekit.project.base import ProjectBase

if TYPE_CHECKING:
    import polars as pl

    from kagglekit.runs.export_onnx import Exported
    from kagglekit.runs.graph_precision import Precision
    from kagglekit.runs.store import Run


class Export(NamedTuple):
    """An ONNX file."""

    run: Run
    path: Path
    facts: Exported


class RunMethods(ProjectBase):
    """The part of `Project` that uses finished runs."""

    @property
    def runs(self) -> list[Run]:
        """Finished runs on the present clips and folds, the best first."""
        from kagglekit.runs.choose import present_runs
        from kagglekit.runs.score import scored

        fitting, _ = present_runs(self.prepared)
        present = [scored(self.prepared, run) for run in fitting]
        return self.prepared.task.metric.ranked(present, lambda run: run.score.cv)

    def best(self, model: str) -> Run:
        """Return the best run of a model."""
        from kagglekit.runs.choose import best_run

        return best_run(self.prepared, model)

    def find_run(self, model: str | None = None, run: str | Run | None = None) -> Run:
        """Return a run by its model and id, as it is stored; without an id the model's best run.

        Raises:
            MissingError: there is no such run.
        """
        from kagglekit.runs.choose import find_run
        from kagglekit.runs.store import Run

        if isinstance(run, Run):
            return run
        if model is None:
            raise ConfigError("no model is named", hint="name one, e.g. tcresnet")
        return self.best(model) if run is None else find_run(self.workspace, f"{model}/{run}")

    def oof(self, run: Run) -> pl.DataFrame:
        """Return OOF predictions: clip_id, fold, label, part, logits (classes), predicted, prob."""
        from kagglekit.training.files import OOF

        return self._predicted(run, OOF)

    def test(self, run: Run) -> pl.DataFrame:
        """Return predictions of the test clips: clip_id, logits (classes), predicted, prob."""
        from kagglekit.training.files import TEST

        return self._predicted(run, TEST)

    def _predicted(self, run: Run, file: str) -> pl.DataFrame:
        """Read a table of predictions; add the likeliest class and its probability."""
        import numpy as np
        import polars as pl

        from kagglekit.files import parquet
        from kagglekit.runs.store import train_again
        from kagglekit.scoring.predictions import logits_of

        table = parquet.read(run.folder / file, train_again(run.folder), bound=True)
        probs = self.prepared.task.probs(logits_of(table))
        predicted = pl.Series(np.array(self.classes)[probs.argmax(1)], dtype=pl.String)
        return table.with_columns(predicted=predicted, prob=pl.Series(probs.max(1)))

    def predict(
        self, *wavs: str | Path, model: str | None = None, run: str | Run | None = None
    ) -> dict[str, dict[str, float]]:
        """Return the probabilities of each class in audio files, the likeliest first, by file.

        Where rows are windows (`rows.every`), by file and time.
        """
        from kagglekit.runs.predict_files import predict_wavs

        return predict_wavs(self.find_run(model, run), [Path(wav) for wav in wavs], self.config.rows.every)

    def predict_test(
        self, model: str | None = None, run: str | Run | None = None, *, cluster: str | None = None
    ) -> Path:
        """Return the table of a run's test logits; make it again from the folds' weights where it is gone.

        Raises:
            MissingError: the run was trained on other clips or folds.
        """
        from kagglekit.runs.predict_test import restore_test
        from kagglekit.training.files import TEST

        chosen = self.find_run(model, run)
        if not (chosen.folder / TEST).is_file():
            restore_test(self.prepared, chosen, cluster)
        return chosen.folder / TEST

    def export(
        self,
        model: str | None = None,
        run: str | Run | None = None,
        *,
        fold: int | None = 0,
        out: str | Path | None = None,
        precision: Precision = "float32",
    ) -> Export:
        """Write one fold's network, or (None) the mean of all folds', as ONNX, checked against torch."""
        from kagglekit.files.workspace import folder_name
        from kagglekit.runs.export_onnx import export

        folds = self.config.validation.folds
        if fold is not None and not 0 <= fold < folds:
            raise ConfigError(f"there is no fold {fold}", hint=f"name one from 0 to {folds - 1}")
        chosen = self.find_run(model, run)
        part = "all" if fold is None else f"fold_{fold}"
        path = Path(out or f"{folder_name(chosen.model)}-{chosen.id}-{part}.onnx")
        return Export(chosen, path, export(chosen, path, fold, precision))
