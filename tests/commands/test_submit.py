"""Writing and sending submissions."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.verbs import CLASSES, Run, by_hand, entries, hand_graded

from kagglekit.cli import main


def answer(monkeypatch: pytest.MonkeyPatch, line: str, terminal: bool = True) -> None:
    """Someone at the keyboard."""

    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stdin", Keyboard(line))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("ensemble --method carauna", "there is no method 'carauna'\nhint:  did you mean 'caruana'?"),
        ("submit --decision gates", "there is no decision 'gates'\nhint:  did you mean 'gate'?"),
        ("submit --best --method mean", "--best chooses method and decision itself\nhint:  name them"),
        ("submit --file a.csv --method mean", "--method, --decision and --dry-run apply to blends"),
        ("submit --dry-run --upload", "--dry-run sends nothing\nhint:  leave --dry-run or --upload out"),
        (
            "submit --set ensemble.method=best",
            "ensemble.method: there is no ensemble method 'best'; known: auto, caruana",
        ),
    ],
)
def test_choices_that_cannot_be(argv: str, message: str, bare: Path, run: Run) -> None:
    done = run("--quiet", *argv.split())
    assert (done.code, done.out) == (1, "") and message in done.err, done.err


def test_submit_dry_run_writes_nothing(here: Path, run: Run) -> None:
    done = run("submit", "--best", "--dry-run")
    assert done.code == 0 and "nothing was written (--dry-run)\n" in done.out
    assert "expected public score 0." in done.out and "rank 1 of 1" not in done.out
    assert not list(here.glob("submissions/*.csv")) and not (here / "submissions/leaderboard.jsonl").exists()


def test_submit_shows_the_verdict_and_never_fails_by_it(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("--json", "submit", "--ensemble", "gru")
    sentence = done.data["verdict"]["sentence"]
    assert f"  verdict on the validation: {sentence}\n" in run("submit", "--ensemble", "gru").out
    (csv,) = here.glob("submissions/*.csv")
    assert run("--json", "submit", "--file", str(csv)).data["verdict"]["sentence"] == sentence  # as kept
    (here / ".kagglekit" / "verdict.json").unlink()
    assert run("--json", "submit", "--file", str(csv)).data["verdict"] is None

    def fail(*_: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr("kagglekit.verdict.make.evidence_of", fail)
    done = run("--json", "submit", "--ensemble", "gru", "--upload", "--yes")
    assert (done.code, done.data["verdict"]) == (0, None) and done.data["public"] is not None
    assert "no verdict on the validation: no memory" in done.err


def test_submit_best_tells_what_changed(here: Path, run: Run) -> None:
    best = run("--json", "submit", "--best").data
    assert {"method", "decision", "expected"} <= best.keys() and "change" not in best
    assert run("submit", "--ensemble", "gru", "--upload", "--yes").code == 0
    shown = run("submit", "--ensemble", "tcresnet").out
    assert re.search(r"  \d+ rows differ from \S+\.csv", shown)


def test_submit_writes_and_sends_nothing(here: Path, run: Run) -> None:
    data = run("--json", "submit", "--ensemble", "tcresnet,gru").data
    csv = Path(data["csv"])
    written = pl.read_csv(csv, infer_schema=False)
    sample = pl.read_csv("host/sample_submission.csv", infer_schema=False)
    blend = pl.read_parquet(".kagglekit/ensembles/gru+tcresnet/test.parquet")
    labels = np.array(CLASSES)[blend["logits"].to_numpy().argmax(1)]
    assert written["fname"].to_list() == sample["fname"].to_list()
    assert dict(written.rows()) == dict(zip(blend["clip_id"], labels, strict=True))
    assert [entry["status"] for entry in entries(here)] == ["written"]
    assert not (here / ".kagglekit/host").exists()
    assert csv.name.endswith(f"_gru+tcresnet_{data['cv']:.4f}.csv")


def test_submit_writes_the_file_of_a_page(here: Path, run: Run) -> None:
    done = run("submit", "--ensemble", "gru", "--out", "page/submission.csv")
    (csv,) = here.glob("submissions/*.csv")
    assert (here / "page/submission.csv").read_bytes() == csv.read_bytes()
    assert done.out.endswith("written to page/submission.csv\n")  # and no next command: the page submits it
    assert run("--json", "submit", "--ensemble", "gru", "--out", "b.csv").data["out"] == "b.csv"
    assert run("submit", "--file", str(csv), "--out", "c.csv").code == 0
    assert (here / "c.csv").read_bytes() == csv.read_bytes()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--dry-run --out a.csv", "--dry-run writes nothing\nhint:  leave --dry-run or --out out"),
        ("--out submissions", "submissions is a folder, not a file\nhint:  name a file in it"),
        (
            "--out competition.yaml/a.csv",
            "cannot be written: competition.yaml is a file\nhint:  name another",
        ),
        (
            "--out a.csv --upload --set competition.delivery=notebook --set competition.local.hidden=submissions",
            "--out writes a CSV, and tiny takes a notebook\nhint:  leave --out out",
        ),
    ],
)
def test_a_file_that_cannot_be_written_is_said_first(argv: str, message: str, bare: Path, run: Run) -> None:
    (bare / "submissions").mkdir()
    done = run("--quiet", "submit", "--ensemble", "gru", *argv.split())
    assert (done.code, done.out) == (1, "") and message in done.err, done.err


def test_submit_the_same_twice_writes_one_file(here: Path, run: Run) -> None:
    first, second = (run("--json", "submit", "--ensemble", "gru").data["csv"] for _ in range(2))
    assert first == second
    assert len(list(here.glob("submissions/*.csv"))) == 1
    assert len(entries(here)) == 1


def test_submit_upload(here: Path, run: Run) -> None:
    done = run("submit", "--ensemble", "tcresnet,gru", "--upload", "--yes", "--message", "a try")
    (csv,) = here.glob("submissions/*.csv")
    public, private = hand_graded(csv, "Public"), hand_graded(csv, "Private")
    assert done.code == 0
    assert f"sent as 1: public {public:.5f}, private {private:.5f}, CV 0." in done.out
    assert done.out.endswith("next: kagglekit leaderboard\n")
    assert [entry["status"] for entry in entries(here)] == ["written", "sending", "PENDING", "COMPLETE"]
    last = entries(here)[-1]
    assert (last["public"], last["private"], last["message"]) == (public, private, "a try")
    assert (here / ".kagglekit/host/tiny/1.csv").read_bytes() == csv.read_bytes()


def test_submit_refuses_the_same_bytes(here: Path, run: Run) -> None:
    command = ("submit", "--ensemble", "gru", "--upload", "--yes")
    run(*command)
    (csv,) = here.glob("submissions/*.csv")
    again = run(*command)
    assert again.code == 1
    assert again.err.endswith(
        f"error: these predictions were sent before: {csv.name} "
        f"(COMPLETE, public {hand_graded(csv, 'Public'):.5f})\n"
        "hint:  kagglekit leaderboard shows it; --force sends the same bytes again\n"
    )
    assert run(*command, "--force").code == 0
    assert sorted(path.name for path in here.glob(".kagglekit/host/tiny/*.csv")) == ["1.csv", "2.csv"]


@pytest.mark.parametrize(("line", "terminal"), [("n\n", True), ("", True), ("y\n", False)])
def test_submit_declined(
    line: str, terminal: bool, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, line, terminal)
    done = run("--quiet", "submit", "--ensemble", "gru", "--upload")
    (csv,) = here.glob("submissions/*.csv")
    question = "Upload it? [y/N] " if terminal else ""
    assert done.code == 1
    assert done.err == (
        f"{question}error: not uploaded\nhint:  {csv} is kept; --yes skips the confirmation prompt\n"
    )
    assert entries(here)[-1]["status"] == "written"
    assert not (here / ".kagglekit/host/tiny/1.csv").exists()


def test_submit_agreed(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "Y\n")
    done = run("--quiet", "submit", "--ensemble", "gru", "--upload")
    assert (done.code, done.err) == (0, "Upload it? [y/N] ")
    assert "Upload it?" not in done.out and entries(here)[-1]["status"] == "COMPLETE"


def test_submit_without_waiting_then_sync(here: Path, run: Run) -> None:
    done = run("submit", "--ensemble", "gru", "--upload", "--yes", "--no-wait")
    assert "sent as 1: not scored yet" in done.out
    assert entries(here)[-1]["status"] == "PENDING"
    (csv,) = here.glob("submissions/*.csv")
    assert "1 entry changed" in run("leaderboard", "--sync").out
    assert entries(here)[-1]["public"] == hand_graded(csv, "Public")
    assert "0 entries changed" in run("leaderboard", "--sync").out


def test_submit_goes_on_waiting(here: Path, run: Run) -> None:
    command = ("submit", "--ensemble", "gru", "--upload", "--yes")
    run(*command, "--no-wait")
    done = run(*command)
    assert done.code == 0 and "sent as 1: public " in done.out
    assert [path.name for path in here.glob(".kagglekit/host/tiny/*.csv")] == ["1.csv"]


def test_submit_at_the_daily_limit(here: Path, run: Run) -> None:
    command = ("submit", "--upload", "--yes", "--set", "competition.local.daily_limit=1")
    assert run(*command, "--ensemble", "gru").code == 0
    done = run("--quiet", *command, "--file", by_hand(here).name)  # two models may give the same answers
    (csv,) = here.glob("submissions/*by-hand*.csv")
    assert done.code == 1
    assert done.err == f"error: no submissions are left today\nhint:  {csv} is kept: send it tomorrow\n"


def test_submit_a_file_made_elsewhere(bare: Path, run: Run) -> None:
    path = by_hand(bare)
    assert run("--quiet", "submit", "--file", str(path)).err.endswith("hint:  fetch it: kagglekit fetch\n")
    run("fetch")
    checked = run("submit", "--file", path.name)
    assert checked.out.endswith("next: kagglekit submit --file 'by hand.csv' --upload\n")
    done = run("submit", "--file", path.name, "--upload", "--yes", "--wait")
    (csv,) = bare.glob("submissions/*_by-hand.csv")
    assert f"sent as 1: public {hand_graded(csv, 'Public'):.5f}, private " in done.out
    assert (bare / ".kagglekit/host/tiny/1.csv").read_bytes() == path.read_bytes()
    assert "(file)" in run("leaderboard").out


def test_submit_of_a_file_needs_no_torch(bare: Path, run: Run) -> None:
    path = by_hand(bare)
    run("fetch")
    words = ["submit", "--file", path.name]
    code = f"import sys; from kagglekit.cli import main; print(main({words}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=bare, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_submit_takes_a_file_or_models(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", "--file", "a.csv", "--ensemble", "gru"])
    assert "not allowed with argument --file" in capsys.readouterr().err


def test_submit_checks_before_it_uploads(bare: Path, run: Run) -> None:
    run("fetch")
    path = by_hand(bare)
    late = ("--set", "competition.local.deadline=2018-01-17")
    done = run("--quiet", "submit", "--file", path.name, "--upload", "--yes", *late)
    assert done.err.startswith("error: the competition closed at 2018-01-17 00:00 UTC, and the host takes no")
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], "clip_0023.wav,lo"]))
    done = run("--quiet", "submit", "--file", path.name, "--upload", "--yes")
    assert done.err.startswith("error: unknown labels: 'lo'\n")
    assert not (bare / ".kagglekit/host").exists()


def test_two_submits_at_once_send_one(bare: Path, run: Run) -> None:
    run("fetch")
    command = [sys.executable, "-m", "kagglekit", "submit", "--file", by_hand(bare).name, "--upload", "--yes"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    said = [child.communicate(timeout=60)[0].decode() for child in both]
    assert sum("sent as 1: public " in out for out in said) in (
        1,
        2,
    )  # 1: it was scored when the other looked
    assert [path.name for path in bare.glob(".kagglekit/host/tiny/*.csv")] == ["1.csv"]
