"""pseudo, distill and export, as a person types them, on the tiny competition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kagglekit.cli import main
from kagglekit.config.yaml_file import read_yaml
from kagglekit.distillation import pseudo_labels as pseudo
from kagglekit.files.atomic import read_json, write_json


def call(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, object], str]:
    capsys.readouterr()
    code = main(["--quiet", "--json", *argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def tables(here: Path, key: object) -> list[pl.DataFrame]:
    return [pl.read_parquet(here / f".kagglekit/soft_targets/{key}/fold_{k}.parquet") for k in range(2)]


def test_pseudo(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo, "MIN_CLIPS", 2)
    rule = ("--precision", "0.6", "--agree", "1", "--share", "0.4")
    code, data, err = call(capsys, "pseudo", "--model", "gru", *rule, "--seeds", "2")
    assert code == 0, err
    for table in tables(here, data["soft_targets"]):
        assert set(table["split"]) == {"test"} and len(table) > 0
        hot = table["targets"].to_numpy()
        assert (hot.max(1) == 1).all() and (hot.sum(1) == 1).all()
    gains, oof, baseline = (np.array(data[name]) for name in ("gains", "oof", "baseline_oof"))
    assert len(gains) == 2 and np.allclose(gains, oof - baseline)
    again = call(capsys, "pseudo", "--model", "gru", *rule, "--no-train")[1]
    assert again["soft_targets"] == data["soft_targets"]
    runs = data["runs"]
    assert isinstance(runs, list)
    metrics = json.loads((here / f".kagglekit/runs/gru/{runs[0]}/metrics.json").read_text())
    facts = json.loads((here / f".kagglekit/soft_targets/{data['soft_targets']}/facts.json").read_text())
    assert metrics["shift_limit"] == min(facts["shift"], 0) >= metrics["shift"]
    settings = read_yaml(here / f".kagglekit/runs/gru/{runs[0]}/config.yaml")[1]
    assert settings["train"]["soft_targets"] == data["soft_targets"]  # quoted where it looks like a number


def test_pseudo_refuses(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "pseudo")  # too few clips to be sure of anything
    assert (code, err.count("\n")) == (1, 2) and err.startswith("error: the rule labels no clip")
    assert call(capsys, "pseudo", "--agree", "3")[2].startswith(
        "error: --agree 3 exceeds the number of teachers (2)\n"
    )
    assert call(capsys, "pseudo", "--share", "1")[2].startswith("error: --share 1: must be between 0 and 1\n")
    missing = call(capsys, "train", "--model", "gru", "--set", "train.soft_targets=0123456789ab")
    assert missing[0] == 1 and "there are no soft targets 0123456789ab" in missing[2]
    assert not list(here.glob(".kagglekit/soft_targets/*/fold_*"))


def test_distill_and_export(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data, err = call(capsys, "distill", "--model", "tcresnet", "--method", "mean")
    assert code == 0, err
    clips = pl.read_parquet(here / ".kagglekit/clips.parquet")
    for fold, table in enumerate(tables(here, data["soft_targets"])):
        told = table.join(clips.select("clip_id", "fold", "heldout_fold"), on="clip_id")
        learnt = told.filter(pl.col("split") != "test")
        assert len(told.filter(pl.col("split") == "test")) == 24
        assert fold not in set(learnt["fold"]) and fold not in set(learnt["heldout_fold"])
        assert np.allclose(table["targets"].to_numpy().sum(1), 1, atol=1e-5)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    code, made, err = call(
        capsys, "export", "--model", "tcresnet", "--run", str(data["run"]), "--out", "m.onnx"
    )
    assert code == 0, err
    assert (
        made["parameters"] == data["parameters"] and isinstance(made["error"], float) and made["error"] < 1e-3
    )
    import onnx

    told = {entry.key: json.loads(entry.value) for entry in onnx.load("m.onnx").metadata_props}
    assert told["classes"] == ["low", "mid", "silence", "unknown"] and told["sample_rate"] == 8000


def test_a_teacher_of_an_earlier_architecture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in here.glob(".kagglekit/runs/gru/*/fold_*/meta.json"):
        meta = read_json(path, bound=True)
        write_json(path, meta | {"params": meta["params"] | {"gates": 3}}, bound=True)
    code, _, err = call(capsys, "distill", "--model", "tcresnet")
    assert (
        code == 1
        and "was trained by an earlier version of gru and cannot be loaded" in err
        and "or name other teachers" in err
    )
    assert not list(here.glob(".kagglekit/soft_targets/*"))


def test_export_of_word_outputs_gives_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    code, _, err = call(capsys, "export", "--model", "gru", "--fold", "1", "--out", "gru.onnx")
    assert code == 0, err
    session = ort.InferenceSession("gru.onnx", providers=["CPUExecutionProvider"])
    logits = session.run(None, {"waveform": np.zeros((3, 4000), np.float32)})[0]
    assert logits.shape == (3, 4)
    code, exported, err = call(
        capsys, "export", "--model", "gru", "--fold", "all", "--precision", "float16", "--out", "all.onnx"
    )
    assert code == 0 and exported["samples"] == 4000, err
    assert call(capsys, "export", "--model", "gru", "--fold", "5")[2].startswith(
        "error: there is no fold 5\n"
    )
    assert not list(here.glob(".*.part"))


def test_rounds_with_one_label_a_clip(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--rounds", "2", "--model", "gru,tcresnet", "--from-round", "1:train.epochs=2", "--keep-going")
    code, data, err = call(capsys, "distill", *options)
    assert code == 0, err
    rounds = data["rounds"]
    assert isinstance(rounds, list) and [one["round"] for one in rounds] == [1, 2]
    assert [one["run"].partition("/")[0] for one in rounds] == ["gru", "tcresnet"]
    assert rounds[1]["teachers"] == [rounds[0]["run"]] and data["best"] == rounds[1]["run"]
    assert call(capsys, "distill", *options)[1] == data  # though a student may have a better CV score now
    settings = read_yaml(here / f".kagglekit/runs/{data['best']}/config.yaml")[1]
    assert settings["train"]["soft_share"] == 0.5 and settings["train"]["epochs"] == 2
    assert settings["source"].startswith("round 2 of students, soft targets ")
    clips = pl.read_parquet(here / ".kagglekit/clips.parquet")
    for fold, table in enumerate(tables(here, settings["train"]["soft_targets"])):
        assert set(table["split"]) == {"test"} and len(table) == len(clips.filter(pl.col("split") == "test"))
        assert np.allclose(table["targets"].to_numpy().sum(1), 1, atol=1e-5), fold


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--rounds 0", "--rounds 0: must be from 1 to 20"),
        ("--rounds 2 --power 0", "--power 0: must be from 0.1 to 10"),
        ("--rounds 2 --share 1", "--share 1: must be above 0 and at most 0.95"),
        ("--rounds 1 --model gru,lstm", "--model names 2 students for 1 round"),
        ("--rounds 2 --model gruu", "there is no model 'gruu'"),
        ("--rounds 2 --from-round 2:model.hiden=3", "models.tcresnet.model.hiden"),
        ("--rounds 2 --no-test", "there is nothing to pseudo-label"),
        ("--rounds 2 --set competition.delivery=notebook", "there is nothing to pseudo-label"),
        ("--rounds 2 --method mean", "--method: students in rounds learn from the mean"),
        ("--power 2", "--power is of students in rounds"),
    ],
)
def test_rounds_refuse(here: Path, capsys: pytest.CaptureFixture[str], options: str, told: str) -> None:
    code, _, err = call(capsys, "distill", *options.split())
    assert code == 1 and told in err and "hint" in err.lower()
    assert not list(here.glob(".kagglekit/soft_targets/*"))
