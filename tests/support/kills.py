"""Kill kagglekit at random moments: what lives on, what is left over, and whether the same command goes on.

`PYTHONPATH=tests python -m support.kills` adds to docs/results/kills.jsonl and writes kills.md from it (some 20
minutes on two idle cores); `--only TEXT` runs the commands that contain it.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

import polars as pl

from kagglekit.config.load import load_config
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.processes import cores as cores
from kagglekit.search.storage import all_studies
from support.bad_box import ENVIRONMENT, Box
from support.places import ROOT

MARK = "KAGGLEKIT_TRIAL"
"""Variable by which the processes of a trial are told from others."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 10.0
TEMPORARY = re.compile(r"\..*\.part|\.tmp.*|tmp\w*|.*\.lock\.\w+")
RECORD = Path(os.environ.get("KILLS_RECORD", ROOT / "docs/results/kills.jsonl"))
IN_A_ROW = 4  # kills of the same workspace before the command may go on to its end
SHM = Path("/dev/shm")
TRAIN = "train --model gru --set train.epochs=30"


def cv_of_runs(box: Box) -> object:
    runs = sorted(box.workspace.glob("runs/*/*/metrics.json"))
    return [round(json.loads(path.read_text())["cv"], 6) for path in runs]


def table_of_clips(box: Box) -> object:
    return pl.read_parquet((box.workspace / "clips.parquet").read_bytes()).drop("sha1", strict=False).rows()


def caches(box: Box) -> object:
    return sorted((path.name, path.stat().st_size) for path in box.workspace.glob("features/*/*.npy"))


def ended_trials(box: Box) -> object:
    (study,) = all_studies(Workspace(load_config(box.yaml)))
    states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
    return len([state for state in states if state in ("COMPLETE", "PRUNED")]), "RUNNING" in states


def answers(box: Box) -> object:
    return {path.read_bytes() for path in (box.folder / "submissions").glob("*.csv")}


def blend(box: Box) -> object:
    return [json.loads(path.read_text())["cv"] for path in box.workspace.glob("ensembles/*/weights.json")]


def has_report(box: Box) -> object:
    return (box.folder / "report.html").stat().st_size > 100_000


def nothing(box: Box) -> object:
    return None


@dataclass(frozen=True)
class Line:
    """A command to kill."""

    command: str
    stage: str
    right: Callable[[Box], object]
    """What must be the same after kills as without."""


LINES = (
    Line("prepare", "fetched", table_of_clips),
    Line("features", "prepared", caches),
    Line(f"{TRAIN} --set jobs=1", "prepared", cv_of_runs),
    Line(f"{TRAIN} --set jobs=2", "prepared", cv_of_runs),
    Line(f"{TRAIN} --processes 2", "prepared", cv_of_runs),
    Line("tune --model gru --no-train --jobs 2 --trials 4", "prepared", ended_trials),
    Line("ensemble", "trained", blend),
    Line("submit --ensemble gru,tcresnet", "trained", answers),
    Line("report", "trained", has_report),
)


class Seen(NamedTuple):
    """A line of the record: a signal, or the run to the end that follows a few."""

    command: str
    signal: str
    """Empty for a run to the end."""
    seconds: float
    """Until the last process had ended."""
    alive: int = 0
    """Processes after PATIENCE_S."""
    bytes: int = 0
    """Of temporary files left over."""
    right: bool = True
    load: float = 0.0
    """Load average per core."""


# --- one process and its children ---


@contextmanager
def started(box: Box, scratch: Path, command: str, stdin: int = subprocess.DEVNULL) -> Iterator[Any]:
    """A command in a session of its own, with a folder of its own for temporary files; (process, mark)."""
    mark = uuid4().hex
    variables = {**os.environ, **ENVIRONMENT, MARK: mark, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    with (scratch.parent / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "kagglekit", "--quiet", *command.split()],
            cwd=box.folder,
            env=variables,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
        )
    try:
        yield process, mark
    finally:
        for pid in alive(mark):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def alive(mark: str) -> list[int]:
    """Processes of a trial that have not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                variables = (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if f"{MARK}={mark}".encode() in variables.split(b"\0") and state != "Z":
                found.append(int(folder.name))
    return found


def until_all_end(process: subprocess.Popen[bytes], mark: str) -> tuple[float, int]:
    """Wait for PATIENCE_S at most; the seconds that it took, and how many processes still live."""
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE_S:
        process.poll()
        if not (left := alive(mark)):
            return time.monotonic() - begin, 0
        time.sleep(0.02)
    return PATIENCE_S, len(left)


def left_over(box: Box, scratch: Path, shared: set[str]) -> int:
    """Bytes of temporary files; an empty file or a folder counts as one."""
    paths = [*scratch.rglob("*"), *(SHM / name for name in shm() - shared)]
    for folder in (box.workspace, box.folder / "submissions", box.folder):
        found = folder.rglob("*") if folder != box.folder else folder.glob("*")
        paths += [p for p in found if any(TEMPORARY.fullmatch(x) for x in p.relative_to(box.folder).parts)]
    left = {path: 1 if path.is_dir() else max(path.lstat().st_size, 1) for path in paths if path.exists()}
    for path, size in left.items():
        print(f"left over: {path} ({size} bytes)", file=sys.stderr, flush=True)
    return sum(left.values())


def shm() -> set[str]:
    """What lies in /dev/shm, without what other programs use at present."""
    names = {path.name for path in SHM.iterdir()} if SHM.is_dir() else set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            text = maps.read_text()
            names = {name for name in names if f"{SHM}/{name}" not in text}
    return names


# --- trials ---


def undisturbed(line: Line, folder: Path) -> tuple[float, object]:
    """How long the command takes now, and what is right."""
    box, scratch = new_box(folder, line.stage)
    begin = time.monotonic()
    with started(box, scratch, line.command) as (process, _):
        assert process.wait(600) == 0, (folder / "stderr").read_text()
    return time.monotonic() - begin, line.right(box)


def new_box(folder: Path, stage: str) -> tuple[Box, Path]:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    return Box(folder / "box", stage), folder / "tmp"


def killed(line: Line, kills: int, chance: random.Random) -> Iterator[Seen]:
    """Kill a command so often, a few times in a row in each workspace, which must then come to the right end."""
    with TemporaryDirectory() as name:
        folder = Path(name, "line")
        seconds, right = undisturbed(line, folder)
        while kills > 0:
            box, scratch = new_box(folder, line.stage)
            for _ in range(min(IN_A_ROW, kills)):
                which = chance.choice(SIGNALS)
                shared = shm()
                with started(box, scratch, line.command) as (process, mark):
                    time.sleep(chance.uniform(0.1, 0.95) * seconds)
                    if process.poll() is not None:  # it was quicker than before
                        break
                    process.send_signal(which)
                    took, left = until_all_end(process, mark)
                kills -= 1
                size = left_over(box, scratch, shared)
                yield Seen(line.command, which.name, took, left, size, load=load())
            begin = time.monotonic()
            with started(box, scratch, line.command) as (process, _):
                good = process.wait(600) == 0 and line.right(box) == right
            yield Seen(line.command, "", time.monotonic() - begin, right=good, load=load())


def load() -> float:
    return os.getloadavg()[0] / (os.cpu_count() or 1)


CTRL_C = (
    ("fetch", "host"),
    ("prepare", "fetched"),
    ("features", "prepared"),
    (f"{TRAIN} --set jobs=1", "prepared"),
    (f"{TRAIN} --set jobs=2", "prepared"),
    (f"{TRAIN} --processes 2", "prepared"),
    ("tune --model gru --trials 4", "prepared"),
    ("tune --model gru --trials 4 --jobs 2", "prepared"),
    ("cv", "trained"),
    ("predict --model gru", "trained"),
    ("ensemble", "trained"),
    ("distill --model gru", "trained"),
    ("submit --ensemble gru,tcresnet", "trained"),
    ("report", "trained"),
    ("report --serve --port 0", "trained"),
    ("run --model gru,tcresnet", "fetched"),
    ("doctor", "trained"),
    ("models", "trained"),
)


def interrupted(command: str, stage: str, times: int, chance: random.Random) -> Iterator[Seen]:
    """Press Ctrl-C at random moments."""
    with TemporaryDirectory() as name:
        folder, seconds, result = Path(name, "line"), 20.0, None
        line = next((line for line in LINES if line.command == command), Line(command, stage, nothing))
        if "--serve" not in command:
            seconds, result = undisturbed(line, folder)
        for _ in range(times):
            box, scratch = new_box(folder, stage)
            shared = shm()
            with started(box, scratch, command) as (process, mark):
                time.sleep(chance.uniform(0.1, 0.9) * seconds)
                if process.poll() is not None:
                    continue
                os.killpg(process.pid, signal.SIGINT)
                begin = time.monotonic()
                _, left = until_all_end(process, mark)
                code = process.wait(60)
                took = time.monotonic() - begin
            # -SIGINT before its handler is there, 0 after all is done
            right = code in (130, -signal.SIGINT) or (code == 0 and line.right(box) == result)
            yield Seen(command, "SIGINT", took, left, left_over(box, scratch, shared), right, load())


def at_the_question() -> Seen:
    """Press Ctrl-C where `submit --upload` asks."""
    command = "submit --ensemble gru --upload"
    with TemporaryDirectory() as name:
        box, scratch = new_box(Path(name, "line"), "trained")
        ours, theirs = pty.openpty()
        with started(box, scratch, command, stdin=theirs) as (process, mark):
            said = scratch.parent / "stderr"
            while b"Upload it?" not in said.read_bytes():
                assert process.poll() is None, said.read_text()
                time.sleep(0.05)
            time.sleep(1)
            os.killpg(process.pid, signal.SIGINT)
            begin = time.monotonic()
            _, left = until_all_end(process, mark)
            right = process.wait(60) == 130
            took = time.monotonic() - begin
        os.close(ours)
        os.close(theirs)
        return Seen(f"{command}, at its question", "SIGINT", took, left, right=right, load=load())


def trials(only: str, kills: int, times: int) -> Iterator[Seen]:
    """Do everything that `only` stands in."""
    chance = random.Random()
    for line in LINES:
        if only in line.command and kills:
            yield from killed(line, kills, chance)
    for command, stage in CTRL_C:
        if only in command and times:
            yield from interrupted(command, stage, times, chance)
    if only in "submit --upload" and times:
        yield at_the_question()


def page(record: list[Seen]) -> list[str]:
    """Return the lines of docs/results/kills.md."""
    lines = [
        *HEAD,
        "",
        "| command | SIGKILL | SIGTERM | SIGHUP | alive after 10 s | bytes left over | right end |",
    ]
    lines.append("|---|---|---|---|---|---|---|")
    total = Counter[str]()
    for command in (line.command for line in LINES):
        seen = [one for one in record if one.command == command and one.signal != "SIGINT"]
        if not seen:
            continue
        hit, ends = [one for one in seen if one.signal], [one for one in seen if not one.signal]
        counts = [sum(one.signal == which.name for one in hit) for which in SIGNALS]
        total["kills"] += len(hit)
        wrong = sum(one.alive for one in hit), sum(one.bytes for one in hit)
        right = f"{sum(one.right for one in ends)} of {len(ends)}"
        lines.append("| " + " | ".join(map(str, (f"`{command}`", *counts, *wrong, right))) + " |")
    slowest = max((one.seconds for one in record if one.signal not in ("", "SIGINT")), default=0)
    lines += [
        "",
        f"{total['kills']} kills; the last process had ended {slowest:.1f} s after the slowest of them.",
        "",
    ]
    lines += [
        "| Ctrl-C in | moments | slowest end | load per core then | processes, bytes left |",
        "|---|---|---|---|---|",
    ]
    pressed = [one for one in record if one.signal == "SIGINT"]
    for command in dict.fromkeys(one.command for one in pressed):
        seen = [one for one in pressed if one.command == command]
        last = max(seen, key=lambda one: one.seconds)
        left = f"{sum(one.alive for one in seen)}, {sum(one.bytes for one in seen)}"
        lines.append(f"| `{command}` | {len(seen)} | {last.seconds:.1f} s | {last.load:.1f} | {left} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--kills", type=int, default=12, help="of each command")
    parser.add_argument("--times", type=int, default=3, help="that Ctrl-C is pressed in each command")
    args = parser.parse_args()
    for one in trials(args.only, args.kills, args.times):
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one._asdict()) + "\n")
    record = [Seen(**json.loads(line)) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    RECORD.with_suffix(".md").write_text("\n".join(page(record)) + "\n", encoding="utf-8")


HEAD = [
    "# Kills",
    "",
    "kagglekit on the tiny competition of tones, ended at random moments. Each workspace is hit up to four times in a row, then the",
    "same command must come to the end that it comes to undisturbed. Counted are all processes that it started, and temporary files",
    "in the temporary folder, in /dev/shm and beside what was written; Ctrl-C goes to the whole group, as a terminal sends it. On a",
    "busy machine each step takes as many times longer as there are processes for a core, signals too: hence the load.",
    "Written by `PYTHONPATH=tests python -m support.kills` from kills.jsonl, to which it adds; `tests/test_kills.py` does a part.",
]


if __name__ == "__main__":
    main()
