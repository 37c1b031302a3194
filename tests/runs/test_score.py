"""Label schemes, subsets and thresholds, from the command line to the run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.trainings import call, fetched, opened, trained

from kagglekit.errors import KagglekitError, MissingError
from kagglekit.runs.choose import best_run
from kagglekit.runs.score import assemble
from kagglekit.runs.store import fold_probs, load_fold
from kagglekit.scoring.cv import clip_weights
from kagglekit.training.files import DECISION

CLASSES = ["low", "mid", "silence", "unknown"]


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny competition, fetched, for short trainings."""
    return fetched(tmp_path_factory.mktemp("tiny"))


def test_words_threshold(yaml: Path) -> None:
    config, prepared, run = trained(yaml, "tcresnet", "train.labels=words_threshold", "train.thresholds=fit")
    _, head, _ = load_fold(run.folder / "fold_0")
    assert "_silence_" not in head.outputs and len(head.outputs) == 6 and head.thresholds is not None
    oof = pl.concat([pl.read_parquet(run.folder / f"fold_{n}" / "oof.parquet") for n in range(2)])
    assert oof.filter(label="silence").height == 12  # judged, though never trained on
    raw = oof["logits"].to_numpy()
    np.testing.assert_allclose(np.exp(raw).sum(1), 1, atol=1e-5)
    decision = json.loads((run.folder / DECISION).read_text())
    pairs = {int(n): pair for n, pair in decision["of_folds"].items()}
    assembled = pl.read_parquet(run.folder / "oof.parquet")
    assert assembled["clip_id"].equals(oof["clip_id"])
    for fold in (0, 1):
        here = (oof["fold"] == fold).to_numpy()
        best = np.exp(np.delete(raw[here], 2, axis=1)).max(1)
        quiet = assembled["logits"].to_numpy()[here].argmax(1) == 2
        np.testing.assert_array_equal(quiet, best < pairs[fold]["silence"])
    clips = oof.join(prepared.clips, on="clip_id", how="left", maintain_order="left")
    right = assembled["logits"].to_numpy().argmax(1) == [CLASSES.index(label) for label in oof["label"]]
    assert run.score.oof == pytest.approx(float(clip_weights(clips, config) @ right))


def test_another_prior_fits_thresholds_again(yaml: Path) -> None:
    overrides = ["train.labels=words_threshold", "train.thresholds=fit"]
    _, _, first = trained(yaml, "tcresnet", *overrides)
    before = json.loads((first.folder / DECISION).read_text())["thresholds"]
    _, _, again = trained(yaml, "tcresnet", *overrides, "validation.prior={silence: 0.97, unknown: 0.01}")
    assert again.folder == first.folder
    assert json.loads((again.folder / DECISION).read_text())["thresholds"]["silence"] > before["silence"]
    mean = np.mean([fold_probs(again.folder, n) for n in (0, 1)], axis=0)
    stored = pl.read_parquet(again.folder / "test.parquet")["logits"].to_numpy()
    np.testing.assert_allclose(np.exp(stored), mean, atol=1e-6)


def test_cascade_is_a_scheme_and_a_name(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = call(capsys, yaml, "train", "--model", "tcresnet", "--set", "train.labels=cascade")["runs"]
    (same,) = call(capsys, yaml, "train", "--model", "cascade-tcresnet")["runs"]
    assert same["folder"] == run["folder"] and run["model"] == "cascade-tcresnet"
    model, head, _ = load_fold(Path(run["folder"]) / "fold_1")
    assert list(head.outputs) == CLASSES
    assert model.gate.config == model.words.config and model.gate.config.depth == 8
    _config, _workspace, prepared = opened(yaml)
    assert best_run(prepared, "cascade-tcresnet").folder == Path(run["folder"])


def test_only(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = call(capsys, yaml, "train", "--model", "lstm", "--only", "low,silence")["runs"]
    oof = pl.read_parquet(Path(run["folder"]) / "oof.parquet")
    assert set(oof["label"]) == {"low", "silence"} and oof["logits"].to_numpy().shape[1] == 4
    assert set(oof["logits"].to_numpy().argmax(1)) <= {0, 2}
    assert (
        run["only"] == ["low", "silence"] and run["gain"] == 0 and set(run["parts"]) == {"keyword", "silence"}
    )
    _config, _workspace, prepared = opened(yaml)
    with pytest.raises(MissingError, match="was trained on other clips"):
        best_run(prepared, "lstm")


def test_predictions_that_are_not_numbers(yaml: Path) -> None:
    _config, prepared, run = trained(yaml, "tcresnet", "train.epochs=1", "train.seed=7")
    path = run.folder / "fold_0" / "oof.parquet"
    oof = pl.read_parquet(path)
    logits = oof["logits"].to_numpy().copy()
    logits[0] = np.nan
    oof.with_columns(logits=pl.Series(logits, dtype=oof["logits"].dtype)).write_parquet(path)
    with pytest.raises(KagglekitError, match="hold NaN or infinity"):
        assemble(prepared, run.folder)
