"""Write a finished run's test logits again, where their table is gone."""

from __future__ import annotations

from kagglekit.config import Features, Train
from kagglekit.data.prepare import Prepared
from kagglekit.data.shards import shards
from kagglekit.errors import MissingError
from kagglekit.files.locks import locked
from kagglekit.runs.predict_test import predict_test, predict_test_on
from kagglekit.runs.setup import make_dataset
from kagglekit.runs.store import Run, read_meta, train_again
from kagglekit.scoring.predictions import write_predictions
from kagglekit.training.files import TEST
from kagglekit.training.plan import Plan


def restore_test(prepared: Prepared, run: Run, cluster: str | None = None) -> None:
    """Predict the test clips from the weights of a run's folds.

    Args:
        prepared: the competition.
        run: a finished run.
        cluster: address of a Ray cluster that predicts shards.

    Raises:
        MissingError: the run was trained on other clips or folds.
    """
    if run.metrics["clips_key"] != prepared.key:
        raise MissingError(
            f"{run.folder / TEST} is missing, and the run was trained on other clips or folds",
            hint=train_again(run.folder),
        )
    with locked(run.folder, f"run {run.model}/{run.id}"), shards(prepared, cluster) as shared:
        if shared is None:
            meta = read_meta(run.folder / "fold_0")
            plan = Plan(run.model, meta["params"], Train(**meta["train"]), Features(**meta["features"]))
            table = predict_test(prepared.config, make_dataset(prepared, plan), run.folder)
        else:
            table = predict_test_on(shared, run.folder)
        write_predictions(table, run.folder / TEST)
