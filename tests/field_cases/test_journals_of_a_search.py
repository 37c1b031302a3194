"""Journals that a power cut damaged, or that a newer Optuna wrote."""

from __future__ import annotations

import json

import optuna
from support.field_case import FieldCase

TUNE = ("tune", "--model", "tcresnet", "--no-train", "--trials")
SHORT = ("--set", "search.epochs=1", "--set", "train.epochs=1")


def test_journal_with_zeros(case: FieldCase) -> None:
    case.good("fetch")
    case.up_to_a_score()
    journal = case.folder / ".kagglekit/studies/tcresnet.journal"
    log = case.folder / "submissions/leaderboard.jsonl"
    case.good(*TUNE, "1", *SHORT)
    good = journal.read_bytes()
    for path in (journal, log):
        path.write_bytes(path.read_bytes() + bytes(70_000))
    tuned = case.good(*TUNE, "2", *SHORT)
    assert "cut out 70,000 zero bytes" in tuned.err and "tcresnet: 2 trials" in tuned.out
    shown = case.good("leaderboard")
    assert "\0" not in shown.out + shown.err and len(shown.out + shown.err) < 5000
    case.good("submit", "--ensemble", "tcresnet", "--upload", "--yes", "--force")
    assert b"\0" not in log.read_bytes()
    line = next(line for line in good.splitlines(keepends=True) if json.loads(line)["op_code"] == 2)
    journal.write_bytes(good + bytes(300) + line)
    assert "tcresnet: 2 trials" in case.good(*TUNE, "2", *SHORT).out


def test_journal_of_a_newer_optuna(case: FieldCase) -> None:
    case.good("fetch")
    case.good(*TUNE, "1", *SHORT)
    journal = case.folder / ".kagglekit/studies/tcresnet.journal"
    good, start = journal.read_bytes(), {"worker_id": "newer", "study_id": 0}
    spiral = {
        "param_name": "x",
        "param_value_internal": 0.5,
        "distribution": '{"name": "Spiral", "attributes": {}}',
    }
    records = [
        [{"op_code": 97, **start}],
        [
            {"op_code": 4, **start, "datetime_start": "2026-11-28T00:00:00"},
            {"op_code": 5, "trial_id": 1, **start, **spiral},
        ],
    ]
    for newer in records:
        before = good + b"".join(json.dumps(record).encode() + b"\n" for record in newer)
        journal.write_bytes(before)
        failed = case.bad(*TUNE, "2", *SHORT)
        assert f"is unknown to Optuna {optuna.__version__}" in failed.message
        assert "pip install --upgrade optuna" in failed.hint
        assert journal.read_bytes() == before
