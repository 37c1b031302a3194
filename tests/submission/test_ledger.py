from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.errors import KagglekitError
from kagglekit.files.json_lines import line_of, parsed
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.metrics import make_metric
from kagglekit.submission.ledger import (
    Entry,
    Ledger,
    best,
    git_commit,
    host_name,
    scored_entries,
    to_csv,
)

ACCURACY = make_metric("accuracy")


ENTRY = Entry(
    time="2026-11-22T10:15:00Z",
    csv="a.csv",
    sha256="0" * 64,
    models=["convs2s", "lstm"],
    runs=["r1", "r2"],
    weights=[0.25, 0.75],
    cv_score=0.87,
    config_key="abc",
    host="local",
    status="written",
)
OTHER = replace(ENTRY, csv="b.csv", sha256="1" * 64, models=["größe"])


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "submissions" / "leaderboard.jsonl")


@pytest.fixture
def notes(monkeypatch):
    """What was said on stderr."""
    said = []
    monkeypatch.setattr("kagglekit.terminal.console.note", said.append)
    return said


def test_an_absent_log_is_empty(ledger):
    assert ledger.entries() == [] and ledger.find("0" * 64, "local") is None


def test_entries_come_back_as_they_went_in(ledger):
    ledger.append(ENTRY)
    ledger.append(OTHER)
    assert ledger.entries() == [ENTRY, OTHER]


def test_a_later_line_updates_and_keeps_the_place(ledger):
    scored = replace(ENTRY, status="COMPLETE", public=0.85, ref="1")
    for entry in (ENTRY, OTHER, scored):
        ledger.append(entry)
    assert ledger.entries() == [scored, OTHER]
    assert len(ledger.path.read_text().splitlines()) == 3


def test_find_prefers_what_was_sent(ledger):
    sent, again = replace(ENTRY, status="PENDING"), replace(ENTRY, csv="later.csv")
    ledger.append(sent)
    ledger.append(again)
    assert ledger.find(ENTRY.sha256, "local") == sent
    ledger.append(replace(again, status="COMPLETE"))
    assert ledger.find(ENTRY.sha256, "local").csv == "later.csv"


def test_hosts_are_kept_apart(ledger):
    on_kaggle = replace(ENTRY, csv="b.csv", host="kaggle:tiny", ref="1")
    ledger.append(replace(ENTRY, status="COMPLETE", ref="1"))
    ledger.append(replace(ENTRY, status="PENDING", ref="2"))  # sent again
    ledger.append(on_kaggle)
    assert ledger.find(ENTRY.sha256, "kaggle:tiny") == on_kaggle
    assert (ledger.refs("local"), ledger.refs("kaggle:tiny")) == ({"1", "2"}, {"1"})


def test_foreign_submissions_of_one_name_are_kept_apart(ledger):
    foreign = replace(ENTRY, csv="submission.csv", sha256="", foreign=True, status="PENDING", ref="1")
    other, elsewhere = replace(foreign, ref="2"), replace(foreign, host="kaggle:tiny")
    for entry in (foreign, other, elsewhere, replace(foreign, status="COMPLETE", public=0.5)):
        ledger.append(entry)
    assert [(e.host, e.ref, e.public) for e in ledger.entries()] == [
        ("local", "1", 0.5),
        ("local", "2", None),
        ("kaggle:tiny", "1", None),
    ]


def test_best():
    entries = [
        replace(ENTRY, cv_score=cv, public=public) for cv, public in [(0.8, 0.9), (0.9, 0.8), (0.9, None)]
    ]
    assert (
        best(entries, "cv_score", ACCURACY) is entries[1] and best(entries, "public", ACCURACY) is entries[0]
    )
    assert best([], "public", ACCURACY) is None
    assert best([replace(ENTRY, status="ERROR")], "cv_score", ACCURACY) is None
    assert best(entries, "cv_score", make_metric("log_loss")) is min(
        (entry for entry in entries if entry.cv_score is not None), key=lambda entry: entry.cv_score or 0
    )


def test_cv_scores_by_another_metric_do_not_count(tmp_path):
    loss = make_metric("log_loss")
    entries = [
        replace(ENTRY, csv="old.csv", cv_score=0.3, public=0.5, status="COMPLETE"),
        replace(ENTRY, csv="accuracy.csv", metric="accuracy", cv_score=0.9, public=0.4, status="COMPLETE"),
        replace(ENTRY, csv="loss.csv", metric=loss.title, cv_score=0.4, public=0.6, status="COMPLETE"),
    ]
    assert best(entries, "cv_score", loss) is entries[0] and best(entries[1:], "cv_score", loss) is entries[2]
    assert best(entries, "cv_score", ACCURACY) is entries[1]
    assert best(entries, "public", loss) is entries[1]
    config = load_config(tiny.make(tmp_path))
    workspace = Workspace(config)
    for entry in entries:
        Ledger(workspace.ledger_path).append(replace(entry, host=host_name(config)))
    assert [entry.csv for entry in scored_entries(workspace, loss)] == ["old.csv", "loss.csv"]


def test_keys_of_a_newer_version_are_left_alone(ledger):
    ledger.append(ENTRY)
    newer = json.loads(ledger.path.read_text()) | {"colour": "green"}
    ledger.path.write_bytes(line_of(newer))
    ledger.append(replace(ENTRY, public=0.9, status="COMPLETE"))
    assert [entry.public for entry in ledger.entries()] == [0.9]
    assert "green" in ledger.path.read_text()


@pytest.mark.parametrize("kept", [1, 20, 200])
def test_a_line_cut_off_by_a_kill_is_set_aside(ledger, notes, kept):
    ledger.append(ENTRY)
    line = ledger.path.read_bytes()
    ledger.path.write_bytes(line + line[:kept])
    assert ledger.entries() == [ENTRY] and notes == []
    ledger.append(OTHER)
    ledger.append(replace(OTHER, public=0.5))
    assert ledger.entries() == [ENTRY, replace(OTHER, public=0.5)]
    assert len(notes) == 1 and line[:kept].decode() in notes[0]
    assert parsed(ledger.path.read_bytes().splitlines()[1]) == {"torn": line[:kept].decode()}


def test_a_fragment_that_is_no_text_is_set_aside(ledger, notes):
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b'{"csv": "\xc3\x00\x00')
    ledger.append(ENTRY)
    assert ledger.entries() == [ENTRY] and len(notes) == 1


def test_a_repair_cut_off_anywhere_leaves_a_log_that_works(ledger, notes):
    ledger.append(ENTRY)
    start = ledger.path.read_bytes()
    torn = start + b'{"time": "2026-1'
    ledger.path.write_bytes(torn)
    ledger.append(OTHER)
    repaired = ledger.path.read_bytes()
    for written in range(len(start), len(repaired)):
        ledger.path.write_bytes(repaired[:written] + torn[written:])
        assert ledger.entries()[0] == ENTRY
        ledger.append(OTHER)
        assert ledger.entries() == [ENTRY, OTHER]


def test_a_last_line_without_its_end_counts(ledger, notes):
    ledger.append(ENTRY)
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip())
    assert ledger.entries() == [ENTRY]
    ledger.append(OTHER)
    assert ledger.entries() == [ENTRY, OTHER] and notes == []


def test_exports_at_once_are_each_whole(ledger, tmp_path):
    path = tmp_path / "log.csv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: to_csv([ENTRY] * 200, path), range(40)))
    assert len(path.read_text().splitlines()) == 201 and list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("half", [b"", b'{"time": "2026-1'])
def test_zeros_that_a_power_cut_left_are_passed_over(ledger, half, capsys):
    ledger.append(ENTRY)
    good = ledger.path.read_bytes()
    ledger.path.write_bytes(good + half + bytes(70_000))
    assert ledger.entries() == [ENTRY]
    ledger.append(replace(ENTRY, csv="other.csv"))
    assert len(ledger.entries()) == 2 and b"\0" not in ledger.path.read_bytes()
    assert len(capsys.readouterr().err) < 1_000
    ledger.path.write_bytes(good + half + bytes(300) + good)
    assert ledger.entries() == [ENTRY]


@pytest.mark.parametrize(
    "damage", ["{half", "[1]", '{"csv": "a.csv"}', '{"csv": "a", "sha256": "b"}', "\x01"]
)
def test_damage_in_the_middle_names_the_line(ledger, damage):
    ledger.append(ENTRY)
    line = ledger.path.read_text()
    ledger.path.write_text(f"{line}\n{damage}\n{line}")
    with pytest.raises(KagglekitError, match=r"leaderboard.jsonl: line 3 is not a submission") as caught:
        ledger.entries()
    assert "line 3" in caught.value.hint


def test_two_processes_at_once_lose_nothing(ledger):
    program = (
        "import json, sys; from dataclasses import replace; from pathlib import Path\n"
        "from kagglekit.submission.ledger import Entry, Ledger\n"
        "ledger, entry = Ledger(Path(sys.argv[1])), Entry(**json.loads(sys.argv[3]))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for i in range(100): ledger.append(replace(entry, csv=f'{sys.argv[2]}{i}.csv'))\n"
    )
    command = [sys.executable, "-c", program, str(ledger.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, name, json.dumps(asdict(ENTRY))], **pipes) for name in "xy"]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        process.communicate()
    assert sorted(e.csv for e in ledger.entries()) == sorted(f"{n}{i}.csv" for n in "xy" for i in range(100))


def test_ten_thousand_lines_are_folded(ledger):
    lines = [line_of(asdict(replace(ENTRY, csv=f"{i % 500}.csv"))) for i in range(10_000)]
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"".join(lines))
    assert len(ledger.entries()) == 500


def test_importing_the_ledger_loads_nothing_heavy():
    program = "import sys, kagglekit.submission.ledger; print({'polars', 'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_to_csv(tmp_path):
    to_csv([ENTRY, OTHER], tmp_path / "out" / "log.csv")
    with (tmp_path / "out" / "log.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["csv"] for row in rows] == ["a.csv", "b.csv"]
    assert (rows[0]["models"], rows[0]["weights"], rows[0]["public"]) == ("convs2s lstm", "0.25 0.75", "")


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "repository"
    (folder / "submissions").mkdir(parents=True)
    (folder / "code.py").write_text("1")
    (folder / "submissions" / "leaderboard.jsonl").write_text("")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_git_commit_marks_changed_code_but_not_the_log(repository):
    (repository / "submissions" / "leaderboard.jsonl").write_text("{}\n")
    clean = git_commit(repository / "submissions")
    (repository / "code.py").write_text("2")
    assert clean is not None and clean.isalnum() and git_commit(repository / "submissions") == clean + "+"


def test_git_commit_outside_a_repository(tmp_path, monkeypatch):
    assert git_commit(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) is None


def test_a_flipped_bit_is_noticed(ledger):
    for number in range(2):
        ledger.append(replace(ENTRY, csv=f"{number}.csv", public=0.5))
    whole, before = ledger.path.read_bytes(), ledger.entries()
    for at in range(0, 8 * len(whole), 7):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        ledger.path.write_bytes(damaged)
        try:
            assert ledger.entries() == before, f"bit {at}"
        except KagglekitError as error:
            assert "leaderboard.jsonl: line" in str(error)


def test_a_damaged_line_end_costs_no_line(ledger):
    ledger.append(ENTRY)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-1] + b"\x0b")
    ledger.append(replace(ENTRY, csv="2.csv"))
    assert [entry.csv for entry in ledger.entries()] == [ENTRY.csv, "2.csv"]


def test_a_log_of_zeros_is_not_an_empty_one(ledger):
    ledger.append(ENTRY)
    ledger.path.write_bytes(bytes(ledger.path.stat().st_size))
    for use in (ledger.entries, lambda: ledger.append(ENTRY)):
        with pytest.raises(KagglekitError, match="nothing but zeros"):
            use()
    assert not ledger.path.read_bytes().strip(b"\0")
