"""Runs -> one blend, and the runs that cannot be blended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.oof import one_run

from kagglekit.config import AUTO, Config
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.ensemble import build as build_module
from kagglekit.ensemble import members
from kagglekit.ensemble.build import build, fit_again
from kagglekit.ensemble.fitted import to_logits
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import Score, clip_weights, confidence_shift, score
from kagglekit.scoring.numerics import softmax
from kagglekit.scoring.predictions import predictions
from kagglekit.scoring.task import Task

Competition = tuple[Config, Workspace, Prepared]
MakeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def competition(tmp_path_factory: pytest.TempPathFactory) -> Competition:
    config = load_config(tiny.make(tmp_path_factory.mktemp("tiny")))
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return config, workspace, prepare(workspace)


@pytest.fixture
def make_run(competition: Competition, tmp_path: Path) -> MakeRun:
    """A run of a model that is right by `skill`, with the seed's noise; keywords change its metrics."""
    config, _, prepared = competition
    spoken = prepared.clips.filter(pl.col("fold") >= 0)
    test = prepared.clips.filter(pl.col("split") == "test").select("clip_id")
    index = {name: i for i, name in enumerate(config.labels.all_classes)}
    target = np.array([index[label] for label in spoken["label"]])

    def make(model: str, *, skill: float = 2.0, seed: int = 0, **metrics: Any) -> Run:
        rng = np.random.default_rng(seed)
        folder = tmp_path / model / "0123456789ab"
        folder.mkdir(parents=True)
        logits = rng.normal(size=(len(spoken), len(index))).astype(np.float32)
        logits[np.arange(len(spoken)), target] += skill
        order = rng.permutation(len(spoken))  # runs need not store their clips in one order
        predictions(spoken[order], logits[order]).write_parquet(folder / "oof.parquet")
        folds = rng.normal(size=(config.validation.folds, len(test), len(index))).astype(np.float32)
        for number, guess in enumerate(folds):
            (folder / f"fold_{number}").mkdir()
            predictions(test, guess).write_parquet(folder / f"fold_{number}" / "test.parquet")
        mean = np.log(np.mean([softmax(guess) for guess in folds], axis=0)).astype(np.float32)
        predictions(test, mean).write_parquet(folder / "test.parquet")
        facts = {"clips_key": prepared.key, "classes": list(config.labels.all_classes)} | metrics
        return Run(model, folder.name, folder, Score(0.5, 0.4, 0.6, 0.5, None, {}, ()), facts)

    return make


def probs(path: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """clip_id -> softmax of its logits, written out."""
    table = pl.read_parquet(path)
    made = {}
    for clip_id, logits in table.select("clip_id", "logits").iter_rows():
        powers = np.exp(np.array(logits, np.float64))
        made[clip_id] = powers / powers.sum()
    return made


def test_the_blend_is_the_weighted_mean(competition: Competition, make_run: MakeRun) -> None:
    runs = [make_run("gru", seed=1), make_run("lstm", seed=2), make_run("tcresnet", skill=0.5, seed=3)]
    made = build(competition[2], runs, decision="none")
    assert made.name == "gru+lstm+tcresnet"
    assert sum(made.weights) == pytest.approx(1) and min(made.weights) >= 0
    for name in ("test.parquet", "oof.parquet"):
        members = [probs(run.folder / name) for run in made.runs]
        for clip_id, got in probs(made.folder / name).items():
            mean = sum(w * m[clip_id] for w, m in zip(made.weights, members, strict=True))
            assert np.abs(got - mean).max() < 1e-6


def test_the_same_ensemble_is_not_judged_again(
    competition: Competition, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run("gru", seed=1), make_run("lstm", seed=2)]
    made = build(competition[2], runs, AUTO, AUTO)
    with monkeypatch.context() as patched:
        patched.setattr(build_module, "compare", lambda *_: pytest.fail("judged again"))
        again = build(competition[2], runs, AUTO, AUTO)
        assert (again.score, again.weights, again.method) == (made.score, made.weights, made.method)
        assert again.record("", "") == made.record("", "") and len(made.record("", "")["comparisons"]) == 2
        assert again.test.equals(made.test)
    judged: list[str] = []
    with monkeypatch.context() as patched:
        real = build_module.compare
        patched.setattr(build_module, "compare", lambda *args: judged.append("again") or real(*args))
        build(competition[2], runs, "mean", AUTO)  # another ensemble, in the same folder
        build(competition[2], runs, AUTO, AUTO)
        oof = runs[0].folder / "oof.parquet"
        pl.read_parquet(oof).with_columns(pl.col("logits")).write_parquet(oof, compression="gzip")
        build(competition[2], runs, AUTO, AUTO)  # a member's file is another
        (made.folder / "weights.json").write_text("{")
        build(competition[2], runs, AUTO, AUTO)
    assert judged == ["again"] * 4


def test_predicted_labels_are_the_blends_argmax(competition: Competition, make_run: MakeRun) -> None:
    made = build(competition[2], [make_run("gru", seed=1), make_run("lstm", seed=2)], decision="none")
    classes = competition[0].labels.all_classes
    members = [probs(run.folder / "test.parquet") for run in made.runs]
    expected = {
        clip_id: classes[int(np.argmax(made.weights[0] * p + made.weights[1] * members[1][clip_id]))]
        for clip_id, p in members[0].items()
    }
    (made.folder / "test.parquet").unlink()  # another process may write its own there
    likeliest = made.probs(Task.of(competition[0])).argmax(1)
    assert dict(zip(made.test["clip_id"], np.array(classes)[likeliest], strict=True)) == expected
    assert len(set(expected.values())) > 1


def test_the_better_model_weighs_more(competition: Competition, make_run: MakeRun) -> None:
    made = build(competition[2], [make_run("gru", skill=0, seed=1), make_run("lstm", skill=6, seed=2)])
    weights = dict(zip([run.model for run in made.runs], made.weights, strict=True))
    assert weights["lstm"] > 0.9


def test_oof_and_test_are_as_sure_as_one_blend(competition: Competition, make_run: MakeRun) -> None:
    """The blends that OOF is judged by are others in each fold: how sure they are says nothing of the test."""
    config, _, prepared = competition
    made = build(competition[2], [make_run("gru", seed=1), make_run("lstm", seed=2)], "caruana", "none")
    kept = pl.read_parquet(made.folder / "oof.parquet").join(prepared.clips, on="clip_id", how="left")
    label = kept["label"].to_numpy()[:, None] == np.array(config.labels.all_classes)
    oof = one_run(kept["logits"].to_numpy(), label.argmax(1), clip_weights(kept, config))
    folds = [
        sum(
            w * softmax(pl.read_parquet(run.folder / f"fold_{n}" / "test.parquet")["logits"].to_numpy())
            for w, run in zip(made.weights, made.runs, strict=True)
        )
        for n in range(config.validation.folds)
    ]
    assert made.score.shift == pytest.approx(confidence_shift(oof, folds), abs=1e-5)


def test_weights_json(competition: Competition, make_run: MakeRun) -> None:
    made = build(competition[2], [make_run("lstm", seed=2), make_run("gru", seed=1)])
    record = json.loads((made.folder / "weights.json").read_text())
    assert [(m["model"], m["run"], m["weight"]) for m in record["members"]] == [
        ("gru", "0123456789ab", made.weights[0]),
        ("lstm", "0123456789ab", made.weights[1]),
    ]
    assert record["cv"] == made.score.cv


def test_a_single_model_is_itself(competition: Competition, make_run: MakeRun) -> None:
    config, _workspace, prepared = competition
    run = make_run("gru", seed=1)
    made = build(prepared, [run], decision="none")
    assert (made.name, made.weights) == ("gru", (1.0,))
    oof = pl.read_parquet(run.folder / "oof.parquet")
    clips = oof.select("clip_id").join(prepared.clips, on="clip_id", how="left", maintain_order="left")
    assert made.score.oof == pytest.approx(score(oof["logits"].to_numpy(), clips, config).oof)


def test_the_order_of_the_models_does_not_matter(competition: Competition, make_run: MakeRun) -> None:
    runs = [make_run("gru", seed=1), make_run("lstm", seed=2)]
    first, second = build(competition[2], runs), build(competition[2], runs[::-1])
    assert (first.name, first.weights, first.score) == (second.name, second.weights, second.score)


def change(run: Run, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Run:
    edit(pl.read_parquet(run.folder / name)).write_parquet(run.folder / name)
    return run


def extra_row(table: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([table, table[:1].with_columns(clip_id=pl.lit("one/more.wav"))])


def renamed(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(clip_id=pl.concat_str(pl.lit("x"), "clip_id"))


def with_nan(table: pl.DataFrame) -> pl.DataFrame:
    logits = table["logits"].to_numpy().copy()
    logits[3, 1] = np.nan
    return predictions(table.drop("logits"), logits)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"clips_key": "other"}, "run lstm/0123456789ab was trained on other clips or folds"),
        ({"classes": ["low", "mid"]}, "run lstm/0123456789ab predicts the classes low, mid"),
        (
            {"classes": ["mid", "low", "silence", "unknown"]},  # the same ones in another order
            "run lstm/0123456789ab predicts the classes mid, low, silence, unknown",
        ),
    ],
)
def test_runs_of_something_else(
    metrics: dict[str, Any], message: str, competition: Competition, make_run: MakeRun
) -> None:
    with pytest.raises(KagglekitError, match=message) as caught:
        build(competition[2], [make_run("gru"), make_run("lstm", **metrics)])
    assert "kagglekit train --model lstm" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet"])
@pytest.mark.parametrize("edit", [lambda table: table[1:], extra_row, renamed])
def test_runs_with_other_rows(
    name: str, edit: Callable[[pl.DataFrame], pl.DataFrame], competition: Competition, make_run: MakeRun
) -> None:
    what = "OOF" if name == "oof.parquet" else "test"
    with pytest.raises(
        KagglekitError, match=f"{what} predictions of lstm/0123456789ab do not match the clips"
    ):
        build(competition[2], [make_run("gru"), change(make_run("lstm"), name, edit)])


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet"])
def test_logits_that_are_not_numbers(name: str, competition: Competition, make_run: MakeRun) -> None:
    with pytest.raises(KagglekitError, match="predictions of lstm/0123456789ab hold NaN or infinity"):
        build(competition[2], [make_run("gru"), change(make_run("lstm"), name, with_nan)])


@pytest.mark.parametrize("edit", [lambda table: table[1:], extra_row])
def test_a_single_run_with_other_rows_than_the_clips(
    edit: Callable[[pl.DataFrame], pl.DataFrame], competition: Competition, make_run: MakeRun
) -> None:
    with pytest.raises(KagglekitError, match=r"predictions of gru/0123456789ab"):
        build(competition[2], [change(make_run("gru"), "oof.parquet", edit)])


def test_a_stored_blend_is_fitted_again(competition: Competition, make_run: MakeRun) -> None:
    _, _, prepared = competition
    runs = [make_run("gru"), make_run("lstm", seed=1)]
    blended = build(prepared, runs, "stacking", "bias")
    fitted, prior = fit_again(prepared, blended)
    folds = [members.fold_test_logits(blended.runs, number) for number in range(2)]
    mean = np.mean(fitted.test_probs(folds, members.test_recordings(prepared)), axis=0)
    assert predictions(members.test_clips(prepared), to_logits(mean, prepared.task)).equals(blended.test)
    assert prior.sum() == pytest.approx(1) and prior.argmax() == len(prior) - 1  # most clips are fillers


def test_a_smoothing_is_refused_where_the_test_has_no_windows(
    competition: Competition, make_run: MakeRun
) -> None:
    config, _, prepared = competition
    ensemble = config.ensemble.model_copy(update={"smoothing": "both"})
    named = replace(prepared, workspace=Workspace(config.model_copy(update={"ensemble": ensemble})))
    with pytest.raises(ConfigError, match="smoothing: both joins the windows of a recording"):
        build(named, [make_run("gru")])
