"""Journals as kills, power cuts and a newer Optuna leave them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from support.searches import FakeTraining, Place

from kagglekit.errors import KagglekitError
from kagglekit.search.journal import open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of a study with two trials."""
    path = tmp_path / "gru.journal"
    study = optuna.create_study(storage=open_journal(path), study_name="one")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    return path


def trials(path: Path) -> int:
    return len(optuna.load_study(study_name="one", storage=open_journal(path)).trials)


def test_a_search_goes_on_behind_zeros_and_half_a_line(
    place: Place, fake: Callable[..., FakeTraining]
) -> None:
    fake(0.9, 0.9, 0.9)
    place.tune(1)
    journal = place.workspace.studies / "gru.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "worker' + bytes(70_000))
    assert place.tune(2).trials == 2
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "worker')
    assert place.tune(3).trials == 3
    assert b'"worker{' not in journal.read_bytes()


@pytest.mark.parametrize(
    ("behind", "kept"),
    [
        (bytes(70_000), b""),
        (b'{"op_code": 4, "wor', b""),
        (b'{"op_code": 4, "wor' + bytes(300), b""),
        (bytes(300) + b'{"op_code":10}\n', b'{"op_code":10}\n'),
        (b'{"op_code":10}' + bytes(300) + b'{"op_code":10}\n', b'{"op_code":10}\n{"op_code":10}\n'),
        (b'{"op_' + bytes(300) + b'{"op_code":10}\n', b'{"op_code":10}\n'),
    ],
    ids=["zeros", "half", "half, zeros", "zeros, line", "line, zeros, line", "half, zeros, line"],
)
def test_what_a_power_cut_left_is_cut_out(journal: Path, behind: bytes, kept: bytes) -> None:
    good = journal.read_bytes()
    journal.write_bytes(good + behind)
    assert trials(journal) == 2
    assert journal.read_bytes() == good + kept


NEWER = [
    ({"op_code": 97, "study_id": 0}, "op_code 97"),
    ({"op_code": 2, "study_id": 0, "worker_id": "w"}, "KeyError: 'user_attr'"),
    (
        {"op_code": 5, "trial_id": 1, "distribution": '{"name": "Spiral", "attributes": {}}'},
        'distribution {"name": "Spiral", "attributes": {}} (ValueError)',
    ),
]


@pytest.mark.parametrize(("record", "what"), NEWER)
def test_a_newer_optuna_is_named_and_nothing_is_written(
    journal: Path, record: dict[str, object], what: str
) -> None:
    count = journal.read_bytes().count(b"\n")
    journal.write_bytes(journal.read_bytes() + json.dumps(record).encode() + b"\n")
    before = journal.read_bytes()
    with pytest.raises(KagglekitError) as caught:
        open_journal(journal)
    assert str(caught.value) == (
        f"{journal}: record {count + 1} is unknown to Optuna {optuna.__version__}, which is installed here: {what}"
    )
    assert caught.value.hint is not None and "pip install --upgrade optuna" in caught.value.hint
    assert journal.read_bytes() == before


def test_a_newer_optuna_that_joins_while_this_one_searches(journal: Path) -> None:
    study = optuna.load_study(study_name="one", storage=open_journal(journal))
    with journal.open("ab") as file:
        file.write(b'{"op_code": 97}\n')
    with pytest.raises(KagglekitError, match="unknown to Optuna"):
        _ = study.trials


@pytest.mark.parametrize(
    "damage",
    [b"\x80abc\n", b"{]\n", b'"text"\n', b"[" * 100_000 + b"\n", b"no record"],
    ids=["bytes", "syntax", "shape", "depth", "no end"],
)
@pytest.mark.parametrize("last", [True, False])
def test_damage_is_named_with_its_byte_and_what_to_keep(journal: Path, damage: bytes, last: bool) -> None:
    good = journal.read_bytes()
    journal.write_bytes(good + damage + (b"" if last else b'\n{"op_code":10}\n'))
    before = journal.read_bytes()
    with pytest.raises(KagglekitError) as caught:
        open_journal(journal)
    assert f"is damaged at byte {len(good):,}, in record {good.count(10) + 1}" in str(caught.value)
    assert caught.value.hint and re.search(rf"head -c {len(good)} \S+ > kept", caught.value.hint)
    assert journal.read_bytes() == before


def test_a_flipped_bit_is_noticed(journal: Path) -> None:
    whole = journal.read_bytes()
    before = [
        trial.params for trial in optuna.load_study(study_name="one", storage=open_journal(journal)).trials
    ]
    for at in range(0, 8 * len(whole), 211):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        journal.write_bytes(damaged)
        try:
            study = optuna.load_study(study_name="one", storage=open_journal(journal))
        except KagglekitError:
            continue
        assert [trial.params for trial in study.trials] == before, f"bit {at}"


def test_a_damaged_line_end_costs_no_record(journal: Path) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1] + b"\x0e")
    assert trials(journal) == 2 and journal.read_bytes() == whole
