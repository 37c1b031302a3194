"""Which test clips may teach a fold."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
from support import tiny

from kagglekit.config import FromName
from kagglekit.config.load import load_config
from kagglekit.distillation import teaching
from kagglekit.distillation.teaching import may_teach, rows_without_labels

SHA1 = "0123456789" * 4


def clips(rows: list[tuple[str, str, str, str | None, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema=["clip_id", "split", "path", "speaker", "fold", "sha1"], orient="row"
    ).with_columns(pl.col("fold").cast(pl.Int32))


def test_copies_and_speakers_of_the_fold_do_not_teach(tmp_path):
    config = load_config(tiny.make(tmp_path))
    table = clips(
        [
            ("low/a_nohash_0.wav", "train", "train/low/a_nohash_0.wav", "a", 0, "1"),
            ("low/b_nohash_0.wav", "train", "train/low/b_nohash_0.wav", "b", 1, "2"),
            ("a_nohash_7.wav", "test", "test/a_nohash_7.wav", None, -1, "3"),
            ("b_nohash_7.wav", "test", "test/b_nohash_7.wav", None, -1, "4"),
            ("c.wav", "test", "test/c.wav", None, -1, "2"),
            ("d.wav", "test", "test/d.wav", None, -1, "6"),
        ]
    )
    assert may_teach(config, table, 0).tolist() == [False, True, False, True]
    assert may_teach(config, table, 1).tolist() == [True, False, False, True]


def test_windows_are_known_by_their_recording_and_every_training_set(tmp_path):
    """Ids of rows need not name a site; a second training set reads it from the path."""
    config = load_config(tiny.make(tmp_path))
    (first,) = config.data.train
    sets = (
        first.model_copy(update={"group": "author"}),
        first.model_copy(update={"group": FromName(name=r"^(S\d+)_")}),
    )
    config = config.model_copy(update={"data": config.data.model_copy(update={"train": sets})})
    table = clips(
        [
            ("x/call.ogg", "train", "train/x/call.ogg", "an author", 1, SHA1),
            ("scapes/S1_a.ogg#0-5", "train", "scapes/S1_a.ogg", "S1", 0, f"{SHA1[::-1]}#0-5"),
            ("row_1", "test", "test/S1_b.ogg", None, -1, f"{'b' * 40}#0-5"),  # of the site of fold 0
            ("row_2", "test", "test/S2_c.ogg", None, -1, f"{'c' * 40}#0-5"),
            ("row_3", "test", "scapes/S1_a.ogg", None, -1, f"{'d' * 40}#5-10"),  # the recording itself
            ("row_4", "test", "test/S3_d.ogg", None, -1, f"{SHA1}#5-10"),  # a part of a copy
        ]
    )
    assert may_teach(config, table, 0).tolist() == [False, True, False, False]
    assert may_teach(config, table, 1).tolist() == [True, True, True, False]


def test_recordings_without_labels_are_taught_behind_the_test(tmp_path, monkeypatch):
    """The test's logits are the runs' own; the others' are computed, in the same order as the rows."""
    config = load_config(tiny.make(tmp_path))
    table = clips(
        [
            ("z/u1.wav", "unlabelled", "z/u1.wav", None, -1, "1"),
            ("t.wav", "test", "test/t.wav", None, -1, "2"),
            ("a/u0.wav", "unlabelled", "a/u0.wav", None, -1, "3"),
        ]
    )
    assert rows_without_labels(table)["clip_id"].to_list() == ["t.wav", "a/u0.wav", "z/u1.wav"]
    assert may_teach(config, table, 0).tolist() == [True, True, True]
    asked = []

    def predict_rows(prepared, run, rows, fold, advance):
        asked.append((run, rows["clip_id"].to_list(), fold))
        return np.full((len(rows), 2), float(run))

    monkeypatch.setattr(teaching, "predict_rows", predict_rows)
    monkeypatch.setattr(teaching, "fold_test_logits", lambda runs, fold: np.zeros((len(runs), 1, 2)))
    logits = teaching.teachers_logits(SimpleNamespace(clips=table), [1, 2], 3)
    assert logits[:, :, 0].tolist() == [[0, 1, 1], [0, 2, 2]]
    assert asked == [(1, ["a/u0.wav", "z/u1.wav"], 3), (2, ["a/u0.wav", "z/u1.wav"], 3)]
