"""Predicting test clips and wav files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.verbs import CLASSES, Run


def test_predict_names_the_test_logits(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    done = run("--json", "predict", "--model", "gru")
    assert done.data == {"run": path.parent.name, "test": str(path)}


def test_predict_makes_the_test_logits_again(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    before = pl.read_parquet(path)
    for made in (path, *path.parent.glob("fold_*/test.parquet")):
        made.unlink()
    of_other_folds = ("predict", "--model", "gru", "--run", path.parent.name, "--set", "validation.folds=3")
    assert "trained on other clips or folds" in run(*of_other_folds).err and not path.exists()
    assert run("--json", "predict", "--model", "gru").data["test"] == str(path)
    assert pl.read_parquet(path).equals(before)


def test_predict_wav_files(here: Path, run: Run) -> None:
    rng = np.random.default_rng(7)
    for word in ("low", "mid"):
        (here / f"{word}.wav").write_bytes(tiny.wav_bytes(tiny.tone(tiny.WORDS[word], rng)))
    probs = run("--json", "predict", "--model", "gru", "low.wav", "mid.wav").data["probs"]
    assert {name: next(iter(p)) for name, p in probs.items()} == {"low.wav": "low", "mid.wav": "mid"}
    assert sorted(probs["low.wav"]) == CLASSES
    assert sum(probs["low.wav"].values()) == pytest.approx(1)
    shown = run("predict", "--model", "gru", "low.wav").out
    assert shown.startswith(f"low.wav  low {probs['low.wav']['low']:.2f}  ")


def test_predict_hears_in_a_wav_what_it_hears_in_the_archive(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/gru/*/test.parquet")
    clip_id, logits = pl.read_parquet(path).select("clip_id", "logits").row(3)
    with zipfile.ZipFile("host/test.zip") as archive:
        (here / clip_id).write_bytes(archive.read(f"test/audio/{clip_id}"))
    probs = run("--json", "predict", "--model", "gru", clip_id).data["probs"][clip_id]
    # bfloat16 rounds otherwise in a batch of another size
    assert [probs[c] for c in CLASSES] == pytest.approx(np.exp(logits), abs=1e-3)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "gru", "no.wav"], "error: there is no file no.wav\n"),
        (["--model", "gru", "competition.yaml"], "error: competition.yaml is unreadable\n"),
        (["--model", "gru", "--run", "0123"], "error: there is no finished run gru/0123\n"),
        (["--model", "gru", "--run", "../gru"], "error: there is no finished run gru/../gru\n"),
        (["--model", "lstm"], "error: no trained run of lstm\n"),
    ],
)
def test_predict_refuses(argv: list[str], message: str, here: Path, run: Run) -> None:
    done = run("--quiet", "predict", *argv)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(message) and done.err.count("\nhint:  ") == 1
