"""Write an ensemble's submission, and import an existing CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.replicas import make_replica

from kagglekit.cli import main
from kagglekit.config import Config, TrainSet
from kagglekit.config.load import load_config
from kagglekit.ensemble.blend import BlendedRuns
from kagglekit.errors import MissingError, SubmissionError, TableError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import Score
from kagglekit.scoring.predictions import predictions
from kagglekit.submission.ledger import Ledger
from kagglekit.submission.send import check_unsent
from kagglekit.submission.write import check_unchanged, import_csv, write
from kagglekit.terminal import console

# --- writing ---

MakeEnsemble = Callable[..., BlendedRuns]


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    config = load_config(tiny.make(tmp_path / "tiny"))
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root), ["sample_submission.csv"])
    return config


@pytest.fixture
def ensemble(tmp_path: Path) -> MakeEnsemble:
    """One whose test logits say a class each clip, in turn from `first`."""

    def make(ids: list[str], first: int = 0) -> BlendedRuns:
        logits = np.eye(4, dtype=np.float32)[(np.arange(len(ids)) + first) % 4]
        test = predictions(pl.DataFrame({"clip_id": ids}), logits)
        result = Score(0.8712, 0.8, 0.9, 0.85, None, {}, ())
        run = Run("gru", "0123456789ab", tmp_path, result, {})
        return BlendedRuns((run,), (1.0,), "mean", "none", {}, "none", {}, (), result, tmp_path, test)

    return make


def ids_of(config: Config) -> list[str]:
    assert config.competition.local is not None
    return pl.read_csv(config.competition.local.files / "sample_submission.csv")["fname"].to_list()


def test_write(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = write(workspace, ensemble(ids))
    classes = tiny_config.labels.all_classes
    assert made.path.read_text() == "fname,label\n" + "".join(
        f"{name},{classes[i % 4]}\n" for i, name in enumerate(ids)
    )
    (entry,) = Ledger(workspace.ledger_path).entries()
    assert entry == made.entry
    assert (entry.status, entry.models, entry.runs, entry.cv_score) == (
        "written",
        ["gru"],
        ["0123456789ab"],
        0.8712,
    )
    assert (entry.csv, entry.host, made.warnings) == (made.path.name, "local:tiny", [])


def test_data_besides_the_competitions_is_named(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    sets = [
        {"files": "*.wav", "external": "/somewhere/xeno-canto"},
        {"files": "kaggle:owner/earlier-year/train/*/*.wav"},
    ]
    train = (*tiny_config.data.train, *map(TrainSet.model_validate, sets))
    config = tiny_config.model_copy(update={"data": tiny_config.data.model_copy(update={"train": train})})
    assert write(Workspace(config), ensemble(ids_of(config))).entry.external == [
        "xeno-canto",
        "kaggle:owner/earlier-year",
    ]
    (entry,) = Ledger(Workspace(config).ledger_path).entries()
    assert entry.external == ["xeno-canto", "kaggle:owner/earlier-year"]


def test_write_finds_equal_bytes(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    first = write(workspace, ensemble(ids))
    second = write(workspace, ensemble(ids))
    assert second.path == first.path and first.path.is_file()
    assert len(list(workspace.submissions.glob("*.csv"))) == 1


def test_equal_bytes_are_scored_by_the_present_metric(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    ids, log = ids_of(tiny_config), Ledger(Workspace(tiny_config).ledger_path)
    first = write(Workspace(tiny_config), ensemble(ids)).entry
    competition = tiny_config.competition.model_copy(update={"metric": "f1_macro"})
    config, scored = tiny_config.model_copy(update={"competition": competition}), ensemble(ids)
    second = write(Workspace(config), replace(scored, score=scored.score._replace(cv=0.5, low=0.4))).entry
    assert (first.metric, first.cv_score) == ("accuracy", 0.8712)
    assert second == replace(first, metric="f1_macro", cv_score=0.5, cv_low=0.4)
    assert log.entries() == [second]


def test_a_rehearsal_does_not_block_the_same_bytes_elsewhere(
    tiny_config: Config, ensemble: MakeEnsemble
) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    rehearsal = write(workspace, ensemble(ids))
    Ledger(workspace.ledger_path).append(replace(rehearsal.entry, status="COMPLETE", ref="1", public=0.9))
    competition = tiny_config.competition.model_copy(update={"host": "kaggle"})
    made = write(Workspace(tiny_config.model_copy(update={"competition": competition})), ensemble(ids))
    check_unsent(made, force=False)
    assert (made.entry.host, made.entry.status) == ("kaggle:tiny", "written")
    assert made.path != rehearsal.path and made.path.read_bytes() == rehearsal.path.read_bytes()


def test_write_twice_in_a_second_keeps_both(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = [write(workspace, ensemble(ids, first)) for first in range(3)]
    assert len({one.path for one in made}) == 3
    assert [one.path.read_text().splitlines()[1].split(",")[1] for one in made] == ["low", "mid", "silence"]


def test_write_refuses_other_ids(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    with pytest.raises(SubmissionError) as caught:
        write(workspace, ensemble([*ids[1:], "other.wav"]))
    assert str(caught.value) == (
        "the test clips do not match the sample submission: 1 of 24 ids without a clip ('clip_0000.wav'); "
        "1 of 24 clips without an id ('other.wav')"
    )
    assert not workspace.submissions.exists()


def as_file(folder: Path, ids: list[str], labels: list[str]) -> Path:
    """A CSV with Windows line ends, whose bytes are not ours to change."""
    path = folder / "by hand.csv"
    rows = zip(ids, labels, strict=True)
    path.write_bytes(b"fname,label\r\n" + "".join(f"{i},{label}\r\n" for i, label in rows).encode())
    return path


def test_import_csv_keeps_the_bytes(tiny_config: Config, tmp_path: Path) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    path = as_file(tmp_path, ids, ["low", "mid", "silence", "unknown"] * 6)
    made = import_csv(workspace, path)
    assert made.path.parent == workspace.submissions and made.path.name.endswith("_by-hand.csv")
    assert made.path.read_bytes() == path.read_bytes()
    assert (made.entry.models, made.entry.cv_score, made.entry.status) == ([], None, "written")
    assert import_csv(workspace, path).path == made.path


def test_import_csv_knows_a_file_of_ours(tiny_config: Config, ensemble: MakeEnsemble, tmp_path: Path) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    ours = write(workspace, ensemble(ids))
    (tmp_path / "copy.csv").write_bytes(ours.path.read_bytes())
    taken = import_csv(workspace, tmp_path / "copy.csv")
    assert (taken.path, taken.entry) == (ours.path, ours.entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids, labels: (ids[::-1], labels), "not in the sample's order: row 1 is"),
        (lambda ids, labels: (ids[1:], labels[1:]), "has 23 rows, the sample 24"),
        (lambda ids, labels: ([ids[1], *ids[1:]], labels), "ids are not unique: 1 repeated"),
        (lambda ids, labels: (["x.wav", *ids[1:]], labels), r"ids that are not in the sample: 1 \('x.wav'\)"),
        (lambda ids, labels: (ids, ["lo", *labels[1:]]), "unknown labels: 'lo'"),
        (lambda ids, labels: (ids, ["low"] * 24), "all 24 rows have the label 'low'"),
    ],
)
def test_import_csv_refuses(
    change: Callable[..., tuple[list[str], list[str]]], message: str, tiny_config: Config, tmp_path: Path
) -> None:
    workspace = Workspace(tiny_config)
    path = as_file(tmp_path, *change(ids_of(tiny_config), ["low", "mid", "silence", "unknown"] * 6))
    with pytest.raises(SubmissionError, match=message):
        import_csv(workspace, path)
    assert not workspace.submissions.exists()


def test_import_csv_wants_a_csv(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"there is no file no\.csv"):
        import_csv(Workspace(tiny_config), Path("no.csv"))
    (tmp_path / "odd.csv").write_bytes(b"fname,label\na,b,c\n")
    with pytest.raises(TableError, match=r"odd\.csv: line 2 has 3 cells, the header 2"):
        import_csv(Workspace(tiny_config), tmp_path / "odd.csv")


def test_import_csv_writes_an_odd_table_anew(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    labels = ["low", "mid", "silence", "unknown"] * 6
    plain = as_file(tmp_path, ids, labels).read_bytes()
    (tmp_path / "odd.csv").write_bytes(plain.replace(b",", b" ;").decode().encode("utf-16"))
    written = import_csv(workspace, tmp_path / "odd.csv").path
    assert written.read_bytes() == plain.replace(b"\r", b"")
    what = "UTF-16, separator ';', spaces around 24 cells"
    assert notes == [f"odd.csv, written anew as a plain CSV: {what}"]


def test_a_hidden_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = make_replica("birdclef-2021", tmp_path)
    for path in (tmp_path / "host/test_soundscapes").iterdir():
        path.unlink()

    def kk(*words: str) -> int:
        return main(["-C", str(yaml), *words])

    assert [kk("fetch"), kk("train", "--model", "tcresnet"), kk("cv")] == [0, 0, 0]
    assert kk("submit", "--ensemble", "tcresnet") == 1
    assert "there is nothing to predict: no test recordings match" in capsys.readouterr().err
    assert kk("submit", "--ensemble", "tcresnet", "--out", "submission.csv") == 0
    sample = pl.read_csv(tmp_path / "host/sample_submission.csv", infer_schema=False)
    assert pl.read_csv("submission.csv", infer_schema=False).equals(sample)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "written to submission.csv" and "submission.csv is the sample" in shown[1]
    assert not (tmp_path / "submissions").exists()


# --- a CSV is what was written ---


def test_a_csv_that_was_edited_is_kept_and_written_again(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace = Workspace(tiny_config)
    first = write(workspace, ensemble(ids_of(tiny_config)))
    whole = first.path.read_bytes()
    edited = whole.replace(b"low", b"mid", 1)
    first.path.write_bytes(edited)
    with pytest.raises(SubmissionError, match="no longer what kagglekit wrote") as caught:
        check_unchanged(first)
    assert "submit --file" in str(caught.value.hint)
    again = write(workspace, ensemble(ids_of(tiny_config)))
    assert (again.path, again.entry) == (first.path, first.entry)
    check_unchanged(again)
    assert first.path.read_bytes() == whole
    (kept,) = first.path.parent.glob("*-changed-1.csv")
    assert kept.read_bytes() == edited
    named = import_csv(workspace, kept)  # sent only when named
    assert named.path.read_bytes() == edited and named.entry.sha256 != first.entry.sha256
