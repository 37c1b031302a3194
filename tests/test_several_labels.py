"""A competition in which a clip may have several labels and any length, from its YAML alone."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import scenes
from support.annotated import made

from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.config.names import SET_DECISIONS
from kagglekit.data.prepare import prepare
from kagglekit.distillation import pseudo_sets
from kagglekit.ensemble.methods import METHODS
from kagglekit.errors import ConfigError
from kagglekit.files.workspace import Workspace
from kagglekit.report import ensembles, listening, runs, source
from kagglekit.runs.store import load_run, rows_of
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import logit, sigmoid
from kagglekit.scoring.predictions import logits_of
from kagglekit.scoring.task import Task
from kagglekit.submission.ledger import Ledger

# --- the whole job ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, trained."""
    yaml = scenes.make(tmp_path_factory.mktemp("street"))
    assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
    assert main(["-C", str(yaml), "--quiet", "train", "--model", "tcresnet,gru"]) == 0
    return yaml


@pytest.fixture
def yaml(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained.parent, tmp_path / "street")
    return tmp_path / "street" / trained.name


def told(yaml: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    """What a command says as JSON."""
    capsys.readouterr()
    assert main(["-C", str(yaml), "--quiet", "--json", *argv]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_it_learns_what_is_in_a_clip(trained: Path) -> None:
    """Chance, ranks drawn by lot, is at 0.72 of LWLRAP where half of four labels are right."""
    for path in (trained.parent / ".kagglekit/runs").glob("*/*/metrics.json"):
        run = load_run(path.parent)
        assert run.score.cv > 0.85 and run.score.low < run.score.cv < run.score.high
        assert set(run.score.parts) == set(scenes.SOUNDS) and (run.score.gain, run.score.shift) == (0.0, 0.0)


def test_a_clip_of_any_length_is_one_row_in_one_fold(trained: Path) -> None:
    root = trained.parent / ".kagglekit"
    clips = pl.read_parquet(root / "clips.parquet")
    count = clips["windows"].to_numpy()
    for split, of in clips.group_by("split"):
        ends = of["row"].to_numpy() + of["windows"].to_numpy()
        np.testing.assert_array_equal(of["row"][1:].to_numpy(), ends[:-1]), split
    samples = clips["samples"].to_numpy()
    expected = np.where(samples <= 4000, 1, -(-(samples - 4000) // 2000) + 1)
    np.testing.assert_array_equal(count, expected)
    assert count.min() == 1 and count.max() > 5
    spoken = clips.filter(pl.col("split") == "train")
    assert spoken.group_by("speaker").agg(pl.col("fold").n_unique())["fold"].to_list() == [1] * 8
    oof = pl.read_parquet(next(root.glob("runs/gru/*/oof.parquet")))
    assert sorted(oof["clip_id"]) == sorted(spoken["clip_id"])


def test_the_score_is_the_metric_of_oof(trained: Path) -> None:
    config = load_config(trained)
    folder = next((trained.parent / ".kagglekit/runs/gru").glob("*/"))
    oof = pl.read_parquet(folder / "oof.parquet")
    clips = rows_of(oof, pl.read_parquet(trained.parent / ".kagglekit/clips.parquet"))
    assert load_run(folder).score.cv == make_metric("lwlrap", "multi")(
        Task.of(config).truth(clips["label"]), logits_of(oof)
    )


def test_a_submission_is_graded_by_the_same_metric(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = told(yaml, capsys, "submit", "--ensemble", "tcresnet,gru", "--upload", "--yes")
    csv, host = pl.read_csv(str(sent["csv"])), yaml.parent / "host"
    assert csv.columns == ["fname", "knock", "hum", "chirp", "bell"]  # as the sample has them
    assert csv["fname"].to_list() == pl.read_csv(host / "sample_submission.csv")["fname"].to_list()
    solution = csv.select("fname").join(pl.read_csv(host / "solution.csv"), on="fname", maintain_order="left")
    truth = Task.of(load_config(yaml)).truth(solution["label"])
    for usage in ("Public", "Private"):
        rows = (solution["Usage"] == usage).to_numpy()
        expected = make_metric("lwlrap", "multi")(
            truth[rows], csv.select(list(scenes.SOUNDS)).to_numpy()[rows]
        )
        assert sent[usage.lower()] == pytest.approx(expected, abs=1e-5) and expected > 0.85
    again = told(yaml, capsys, "submit", "--ensemble", "gru", "--dry-run")  # what would change is told, too
    assert again["csv"] is None and "change" in again


def test_methods_are_judged_by_the_metric(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(yaml, capsys, "ensemble", "--model", "tcresnet,gru")
    methods = {row["name"]: row for row in made["methods"]}  # type: ignore[attr-defined]
    assert methods.keys() == {"mean", "geometric", "rank", "greedy"} and made["decisions"] == []
    assert made["cv"] == pytest.approx(methods[made["method"]]["accuracy"], abs=1e-6)
    asked = told(yaml, capsys, "ensemble", "--model", "tcresnet,gru", "--method", "greedy")
    assert asked["method"] == "greedy" and sum(asked["weights"].values()) == pytest.approx(1)  # type: ignore[attr-defined]
    assert main(["-C", str(yaml), "--quiet", "ensemble", "--method", "stacking"]) == 1
    assert "error: --method stacking needs exactly one label per clip\n" in capsys.readouterr().err
    assert main(["-C", str(yaml), "--quiet", "ensemble", "--decision", "threshold"]) == 1
    said = capsys.readouterr().err
    assert "error: --decision threshold needs a metric that judges sets of classes, which lwlrap does" in said


def test_a_decision_is_fitted_stored_and_sent(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the metric that it was fitted to, and no other; the CSV has what its folds decided."""
    by_f1 = ["--ensemble", "tcresnet,gru", "--decision", "threshold", "--set", "competition.metric=f1_macro"]
    compared = told(yaml, capsys, "ensemble", *by_f1[4:])
    assert {row["name"] for row in compared["decisions"]} == set(SET_DECISIONS)  # type: ignore[attr-defined]
    sent = told(yaml, capsys, "submit", *by_f1, "--upload", "--yes")
    record = json.loads((yaml.parent / ".kagglekit/ensembles/gru+tcresnet/weights.json").read_text())
    at = record["rule"]["threshold"]
    assert (record["decision"], record["rule"]["metric"]) == ("threshold", "f1_macro") and at != 0.5
    (entry,) = Ledger(yaml.parent / "submissions/leaderboard.jsonl").entries()
    assert entry.rule == f"from probability {at:.2g}, fitted for f1_macro" and sent["rule"] == record["rule"]
    folds = []
    for number in range(2):
        tables = (
            pl.read_parquet(
                next(yaml.parent.glob(f".kagglekit/runs/{member['model']}/*/fold_{number}/test.parquet"))
            )
            for member in record["members"]
        )
        probs = [sigmoid(logits_of(table.sort("clip_id"))) for table in tables]
        blended = sum(member["weight"] * p for member, p in zip(record["members"], probs, strict=True))
        folds.append(sigmoid(logit(blended) - np.log(at / (1 - at))))
    csv = pl.read_csv(str(sent["csv"])).sort("fname").select(list(scenes.SOUNDS)).to_numpy()
    np.testing.assert_allclose(csv, np.mean(folds, axis=0), atol=1e-4)
    page = read_source(yaml, "competition.metric=f1_macro")
    assert [blend.rule for blend in ensembles.blends(page)] == [entry.rule]
    assert ensembles.blends(read_source(yaml)) == []  # its score is none of LWLRAP
    again = told(yaml, capsys, "submit", "--ensemble", "tcresnet,gru", "--dry-run")
    assert (again["decision"], again["rule"]) == ("none", {})


def test_another_metric_judges_the_same_runs_anew(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = told(yaml, capsys, "cv")["runs"]
    (found, *_) = told(yaml, capsys, "cv", "--set", "competition.metric=map")["runs"]  # type: ignore[misc]
    assert found["cv"] == pytest.approx(np.mean(list(found["parts"].values())))
    assert found["cv"] not in [run["cv"] for run in before]  # type: ignore[attr-defined]


def test_methods_that_have_no_say_are_named(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(yaml), "--quiet", "ensemble", "--model", "tcresnet,gru"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped: ")]
    skipped = line.partition("skipped: ")[2].partition(":")[0].split(", ")
    assert set(METHODS) - {"mean", "geometric", "rank", "greedy"} == set(skipped)
    assert line.endswith(": not for this metric")


def read_source(yaml: Path, *settings: str) -> source.Source:
    config = load_config(yaml, settings)
    workspace = Workspace(config)
    return source.read(prepare(workspace), "kagglekit")


def test_the_report_shows_classes_and_plays_whole_clips(
    yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(yaml), "--quiet", "ensemble", "--model", "tcresnet,gru"]) == 0
    path = tmp_path / "report.html"
    assert main(["-C", str(yaml), "--quiet", "report", "--out", str(path)]) == 0
    html = path.read_text(encoding="utf-8")
    assert "Average precision by class" in html and "lowest average precision" in html
    assert "Confusion matrix" not in html and "unweighted accuracy" not in html
    found = read_source(yaml)
    predictor = listening.best_predictor(found)
    order, _ = listening.misses(found, predictor)
    told = listening.page(found, 10**8)["data"]["clips"]
    assert len(told) == len(order) > 0
    with zipfile.ZipFile(yaml.parent / "host/train.zip") as archive:
        for clip in told:
            assert base64.b64decode(clip["wav"])[44:][:4000] == archive.read(clip["id"])[44:][:4000]
            assert len(base64.b64decode(clip["wav"])) == max(len(archive.read(clip["id"])), 8044)
    capsys.readouterr()
    assert (
        main(["-C", str(yaml), "--quiet", "report", "--charts", "svg", "--out", str(tmp_path / "svg")]) == 0
    )
    assert {f"gru-{name}.svg" for name in ("classes", "cv", "loss", "calibration")} <= {
        drawn.name for drawn in (tmp_path / "svg").iterdir()
    }


def test_misses_are_clips_whose_labels_are_not_the_likeliest(yaml: Path) -> None:
    found = read_source(yaml)
    for run in found.runs:
        order, loss = listening.misses(found, listening.Predictor(run.name, run.probs))
        for row, (truth, probs) in enumerate(zip(found.truth, run.probs.astype(float), strict=True)):
            likeliest = set(np.argsort(-probs)[: truth.sum()])
            assert (row in order) == (likeliest != set(np.flatnonzero(truth)))
            assert loss[row] == pytest.approx(-np.log(np.where(truth, probs, 1 - probs)).sum(), rel=1e-3)
        assert (np.diff(loss[order]) <= 0).all()
    curve = runs.reliability(found, found.runs[0])
    assert sum(curve.clips) <= found.truth.size and 0 <= curve.ece < 0.5


def test_a_wrong_separator_is_suspected(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["-C", str(yaml), "prepare", "--set", "data.label_table.separator=;"]) == 0
    said = capsys.readouterr().err
    assert "training clips whose labels are all outside labels.classes: " in said
    assert "check how labels are separated (';')" in said
    assert main(["-C", str(yaml), "prepare"]) == 0
    assert "outside labels.targets" not in capsys.readouterr().err


def test_cv_shows_classes(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(yaml), "--quiet", "cv"]) == 0
    out = capsys.readouterr().out
    assert "lwlrap" in out and all(name in out for name in scenes.SOUNDS)
    assert "answered" not in out and "unseen" not in out and "keyword" not in out
    run = told(yaml, capsys, "cv", "--set", "competition.metric=f1_macro")["runs"][0]  # type: ignore[index]
    f1 = [
        2 * one["precision"] * one["recall"] / (one["precision"] + one["recall"])
        for one in run["classes"].values()
    ]
    assert run["cv"] == pytest.approx(np.mean(f1)) and set(run["classes"]) == set(scenes.SOUNDS)
    assert main(["-C", str(yaml), "--quiet", "cv", "--prior", "estimated"]) == 1
    assert "error: --prior estimated needs clips with one label each" in capsys.readouterr().err


def test_what_labels_leave_open_is_no_miss(yaml: Path) -> None:
    """And a metric of sets says which classes are answered."""
    found = read_source(yaml)
    known = np.random.default_rng(0).uniform(size=found.truth.shape) < 0.5
    probs = found.runs[0].probs
    few = replace(found, known=known, truth=found.truth & known)
    order, loss = listening.misses(few, listening.Predictor("gru", np.where(known, few.truth, 0.7)))
    assert len(order) == 0 and np.abs(loss).max() < 1e-9
    curve = runs.reliability(few, few.runs[0])
    assert sum(curve.clips) <= known.sum()
    by_f1 = read_source(yaml, "competition.metric=f1_macro")
    assert (by_f1.answers(probs) == (probs >= 0.5)).all()


def test_a_search_scores_by_it(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study,) = told(yaml, capsys, "tune", "--model", "gru", "--no-train")["studies"]  # type: ignore[misc]
    assert 0 < study["cv"] <= 1
    assert study["params"].keys().isdisjoint({"train.labels", "train.balance", "train.augment.double_words"})


ROWS = ("rows.every=1", "--set", "rows.id='{stem}_{end}'")


def test_a_wav_of_any_length_is_predicted(
    yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "long.wav"
    path.write_bytes(scenes.tiny.wav_bytes(scenes.scene(["hum"], 3.0, rng), scenes.RATE))
    probs = told(yaml, capsys, "predict", "--model", "gru", str(path))["probs"]
    assert max(probs[str(path)].items(), key=lambda pair: pair[1])[0] == "hum"  # type: ignore[index]
    (run,) = (yaml.parent / ".kagglekit/runs/gru").glob("*/metrics.json")
    by_row = told(
        yaml, capsys, "predict", "--model", "gru", "--run", run.parent.name, str(path), "--set", *ROWS
    )["probs"]
    assert [*by_row] == [f"{path} {start}-{start + 1} s" for start in range(3)]  # type: ignore[misc]


SHORT = ("--teachers", "gru", "--model", "gru", "--set", "train.epochs=1")


def test_a_student_learns_the_probabilities_of_all_classes(
    yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_all = told(yaml, capsys, "distill", *SHORT)
    folder = yaml.parent / f".kagglekit/soft_targets/{told_all['soft_targets']}"
    clips = pl.read_parquet(yaml.parent / ".kagglekit/clips.parquet")
    for fold in range(2):
        table = pl.read_parquet(folder / f"fold_{fold}.parquet")
        assert set(table["split"]) == {"train", "test"} and table["masked"].unique().to_list() == [""]
        joined = table.join(clips, on=["split", "clip_id"], suffix="_of_clip")
        assert (joined["windows"] == joined["windows_of_clip"]).all() and len(joined) == len(table)
        assert (joined.filter(pl.col("split") == "train")["fold"] != fold).all()
        trained = joined.filter(pl.col("split") == "train")
        truth = Task.of(load_config(yaml)).truth(trained["label_of_clip"])
        targets = trained["targets"].to_numpy()
        assert (targets[truth] >= 0.3).all() and (targets[~truth] <= 0.7).all()
    sent = told(yaml, capsys, "submit", "--ensemble", f"gru/{told_all['run']}", "--upload", "--yes")
    assert sent["public"] is not None


def test_sure_classes_of_test_clips_are_learnt(
    yaml: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["-C", str(yaml), "--quiet", "pseudo", *SHORT]) == 1
    assert "error: the rule labels no clip" in capsys.readouterr().err  # 16 clips of a class are too few
    monkeypatch.setattr(pseudo_sets, "MIN_CLIPS", 5)
    data = told(yaml, capsys, "pseudo", *SHORT, "--precision", "0.8")
    tables = (yaml.parent / f".kagglekit/soft_targets/{data['soft_targets']}").glob("fold_*.parquet")
    for table in map(pl.read_parquet, tables):
        targets, classes = table["targets"].to_numpy(), list(scenes.SOUNDS)
        hidden = np.array([[name in cell.split(",") for name in classes] for cell in table["masked"]])
        present = np.array([[name in cell.split(",") for name in classes] for cell in table["label"]])
        assert set(table["split"]) == {"test"} and "windows" in table.columns
        assert (targets == present).all() and not (hidden & present).any()
    assert len(data["runs"]) == 1 and "absent" in data["audit"]  # type: ignore[arg-type]
    sent = told(yaml, capsys, "submit", "--ensemble", f"gru/{data['runs'][0]}", "--upload", "--yes")  # type: ignore[index]
    assert sent["public"] is not None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("competition.metric=accuracy", "competition.metric accuracy requires labels.kind single"),
        ("labels.filler=unknown", "with kind multi set filler: null and silence: null"),
        ('labels.targets=["a,b", c]', "the label 'a,b' contains the separator ','"),
    ],
)
def test_contradictions_are_named(setting: str, message: str, yaml: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(yaml, [setting])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    ["train.loss=mse", "train.labels=cascade", "train.only=[hum, bell]"],
)
def test_a_training_of_single_labels_is_refused(
    setting: str, yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(yaml), "--quiet", "train", "--model", "gru", "--set", setting]) == 1
    said = capsys.readouterr().err
    assert "needs one label per clip" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.5", "column 'knock' does not hold probabilities: 1 of 24 rows"),
        ("loud", "does not hold probabilities"),
    ],
)
def test_a_csv_of_something_else_is_refused(
    row: str, message: str, yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, first, *rest = (yaml.parent / "host/sample_submission.csv").read_text().splitlines()
    name, _, *others = first.split(",")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([head, ",".join([name, row, *others]), *rest]) + "\n")
    assert main(["-C", str(yaml), "--quiet", "submit", "--file", str(path)]) == 1
    assert message in capsys.readouterr().err


def test_clips_of_one_label_may_be_of_any_length_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With silence, which is a window each, and fillers."""
    yaml = scenes.tiny.make(tmp_path)
    cut = ["--set", "audio.longer=windows", "--set", "audio.seconds=0.3", "--set", "audio.hop_seconds=0.1"]
    assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
    assert main(["-C", str(yaml), "--quiet", "train", "--model", "gru", *cut]) == 0
    clips = pl.read_parquet(tmp_path / ".kagglekit/clips.parquet")
    counts = dict(clips.group_by("split").agg(pl.col("windows").unique()).iter_rows())
    assert counts == {"train": [3], "test": [3], "silence": [1]}
    (folder,) = (tmp_path / ".kagglekit/runs/gru").glob("*/")
    assert len(pl.read_parquet(folder / "oof.parquet")) == (clips["fold"] >= 0).sum()
    assert load_run(folder).score.cv > 0.6
    sent = told(yaml, capsys, "submit", "--ensemble", "gru", "--upload", "--yes", *cut)
    assert len(pl.read_csv(str(sent["csv"]))) == 24 and sent["public"] is not None


def relabel(path: Path, cells: dict[str, str]) -> None:
    """Put other labels into a solution."""
    table = pl.read_csv(path)
    label = pl.col("fname").replace_strict(cells, default=pl.col("label"))
    table.with_columns(label=label).write_csv(path)


def test_a_solution_may_have_clips_of_no_label_and_spaces(
    yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clips of no label count for nothing in LWLRAP; ' hum' is hum."""
    host = yaml.parent / "host"
    relabel(host / "solution.csv", {"test_0001.wav": "", "test_0003.wav": " hum, bell "})
    sent = told(yaml, capsys, "submit", "--ensemble", "gru", "--upload", "--yes")
    rows = pl.read_csv(host / "solution.csv").filter(pl.col("Usage") == "Public")
    cells = [(cell or "").split(",") for cell in rows["label"]]
    truth = np.array([[name in [said.strip() for said in cell] for name in scenes.SOUNDS] for cell in cells])
    csv = rows.select("fname").join(pl.read_csv(str(sent["csv"])), on="fname", maintain_order="left")
    assert truth.sum(1).min() == 0 and truth[1].tolist() == [True, False, True, False]
    expected = make_metric("lwlrap", "multi")(truth, csv.select(list(scenes.SOUNDS)).to_numpy())
    assert sent["public"] == pytest.approx(expected, abs=1e-5)


def test_folds_spread_labels_not_their_sets(tmp_path: Path) -> None:
    """Every label is in every fold in even parts, though hardly two clips have the same of them."""
    names = [f"l{k}" for k in range(12)]
    base = load_config(scenes.make(tmp_path, clips=4, test_clips=1))
    config = base.model_copy(update={"labels": base.labels.model_copy(update={"classes": tuple(names)})})
    rng = np.random.default_rng(0)
    cells = [",".join(rng.choice(names, rng.integers(0, 5), replace=False)) for _ in range(600)]
    facts = pl.DataFrame(
        {
            "clip_id": [f"c{k}" for k in range(600)],
            "path": [f"c{k}" for k in range(600)],
            "word": cells,
            "speaker": [f"s{k % 97}" for k in range(600)],
            "row": range(600),
            **{name: [0.5] * 600 for name in ("rms", "peak")},
            "samples": [4000] * 600,
            "sha1": [""] * 600,
            "problem": [""] * 600,
            "flags": [""] * 600,
            "rate": [16_000] * 600,
            "message": [""] * 600,
        }
    )
    clips = made(config, facts)
    assert clips.group_by("speaker").agg(pl.col("fold").n_unique())["fold"].max() == 1
    counts = Task.of(config).truth(clips["label"])
    first = (clips["fold"] == 0).to_numpy()
    share = counts[first].sum(0) / counts.sum(0)
    assert np.abs(share - 0.5).max() < 0.06


def test_labels_that_nobody_asked_for_and_none_at_all(tmp_path: Path) -> None:
    """A clip of other labels, or of none, is one that all classes are told from; one without a row is left out."""
    yaml = scenes.make(tmp_path)
    with zipfile.ZipFile(tmp_path / "host/train.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    head, _, second, *rest = files["train.csv"].decode().splitlines()
    emptied = f"{second.split(',')[0]},,street 1"
    files["train.csv"] = "\n".join([head, emptied, *rest]).encode()
    with zipfile.ZipFile(tmp_path / "host/train.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    sample = tmp_path / "host/sample_submission.csv"
    pl.read_csv(sample).select("fname", "bell", "hum").write_csv(sample)
    config = load_config(yaml, ["labels.targets=[bell, hum]"])
    assert main(["-C", str(yaml), "--quiet", "fetch"]) == 0
    assert main(["-C", str(yaml), "--quiet", "prepare", "--set", "labels.targets=[bell, hum]"]) == 0
    clips = pl.read_parquet(tmp_path / ".kagglekit/clips.parquet").filter(pl.col("split") == "train")
    subsets = [",".join(c) for n in range(3) for c in itertools.combinations(("bell", "hum"), n)]
    assert set(clips["label"].drop_nulls()) == set(subsets)
    assert "train/train_0000.wav" not in clips["clip_id"].to_list()
    assert clips["label"][0] == "" and clips["fold"].min() == 0
    assert Task.of(config).truth(clips["label"]).sum(1).tolist() == [
        len([name for name in label.split(",") if name]) for label in clips["label"]
    ]
