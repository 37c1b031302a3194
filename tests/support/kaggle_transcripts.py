"""What a user sees of Kaggle's own business, in processes of their own against the loopback Kaggle.

Run this file to write docs/results/kaggle-transcripts.txt: python tests/support/kaggle_transcripts.py
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from support.kaggle_server import KEY, KaggleServer, Stall
from support.kaggle_site import ANSWERS, GUESSES, Site, csv_of, server

BIG = 40_000_000
STALLS = (9_000_000, 17_000_000)
"""Bytes of a reply after which a fetch waits, and is killed."""


class Scene:
    """A fresh workspace, and the commands run in it."""

    def __init__(self, folder: Path, title: str, kaggle: KaggleServer) -> None:
        self.site, self.kaggle = Site(folder, kaggle), kaggle
        self.lines = ["", f"--- {title} ---"]
        yaml = folder / "competition.yaml"  # as patient as a user's
        yaml.write_text(
            "".join(f"{line}\n" for line in yaml.read_text().splitlines() if "network" not in line)
        )

    def say(self, text: str) -> None:
        self.lines.append(f"# {text}")

    def start(self, command: str, **environment: str | None) -> subprocess.Popen[str]:
        """Start the real command; None takes a variable away."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith("KAGGLE_")}
        variables |= self.kaggle.environment(str(self.site.folder / "home"))
        for name, value in environment.items():
            variables.pop(name) if value is None else variables.update({name: value})
        return subprocess.Popen(
            [sys.executable, "-m", "kagglekit", *shlex.split(command)],
            cwd=self.site.folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, expected: int = 0, **environment: str | None) -> str:
        """Run to the end and keep what was shown."""
        process = self.start(command, **environment)
        shown, _ = process.communicate(timeout=120)
        assert KEY not in shown, "it shows the key"
        assert process.returncode == expected, f"{command}: exit {process.returncode}\n{shown}"
        shown = shown.replace(f"{self.site.folder}/", "").replace(str(self.site.folder), ".").rstrip()
        self.lines += [
            f"$ kagglekit {command}",
            *map(str.rstrip, shown.splitlines()),
            f"[exit {process.returncode}]",
        ]
        return shown

    def run_and_kill(self, command: str, ready: Callable[[], bool]) -> None:
        """SIGKILL it once `ready`."""
        with self.start(command) as process:
            deadline = time.monotonic() + 60
            while not ready():
                assert process.poll() is None, f"{command} ended: {process.stdout and process.stdout.read()}"
                assert time.monotonic() < deadline, f"{command} never got so far"
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
        self.lines += [f"$ kagglekit {command}", "[SIGKILL]"]


# --- the scenes ---


def fetch_without_credentials(scene: Scene) -> None:
    scene.run("fetch", 1, KAGGLE_USERNAME=None, KAGGLE_KEY=None)


def doctor_without_credentials(scene: Scene) -> None:
    scene.run("doctor", 1, KAGGLE_USERNAME=None, KAGGLE_KEY=None)


def doctor_with_wrong_credentials(scene: Scene) -> None:
    scene.run("doctor", 1, KAGGLE_KEY="f" * 32)


def doctor_before_the_rules_are_accepted(scene: Scene) -> None:
    scene.kaggle.entered = False
    scene.run("doctor", 1)
    scene.run("fetch", 1)


def doctor_when_all_is_well(scene: Scene) -> None:
    scene.run("fetch")
    scene.run("doctor")


def fetch_killed_twice_and_resumed(scene: Scene) -> None:
    data = os.urandom(BIG)
    scene.kaggle.files["big.bin"] = data
    scene.kaggle.faults["storage"] = [Stall(at) for at in STALLS]
    command, there = "fetch big.bin", 0
    for stall in STALLS:
        there += stall
        scene.say(f"the network stalls when {there:,} of {BIG:,} bytes have come; then the process is killed")
        scene.run_and_kill(command, lambda there=there: _largest(scene.site.raw) >= there - 65_536)
    scene.run(command)
    scene.say("what storage was asked for: " + ", ".join(r or "all" for r in scene.kaggle.ranges))
    same = (scene.site.raw / "big.bin").read_bytes() == data
    assert same, "the bytes are not those of the server"
    scene.say("the bytes are those of the server")
    scene.run(command)


def submit_and_wait(scene: Scene) -> None:
    scene.kaggle.polls_pending = 3
    scene.site.put("sample_submission.csv")
    scene.run("submit --file guess.csv --upload --yes --wait")
    scene.say("the same bytes again")
    scene.run("submit --file guess.csv --upload --yes", 1)


def submit_what_the_host_cannot_score(scene: Scene) -> None:
    scene.kaggle.scoring_error = "Evaluation Exception: Submission must have 41 rows"
    scene.site.put("sample_submission.csv")
    scene.run("submit --file guess.csv --upload --yes", 1)


def submit_at_the_limit(scene: Scene) -> None:
    scene.kaggle.daily_limit = 2
    for name in ("monday.csv", "tuesday.csv"):
        scene.kaggle.add_submission(name, csv_of(ANSWERS))
    scene.site.put("sample_submission.csv")
    scene.run("submit --file guess.csv --upload --yes", 1)
    assert "upload" not in scene.kaggle.calls, "it was uploaded"


def submit_killed_before_the_reply_came(scene: Scene) -> None:
    scene.site.put("sample_submission.csv")
    scene.kaggle.faults["CreateSubmission"] = [Stall()]
    scene.say("the host takes it, but no reply comes; then the process is killed")
    scene.run_and_kill("submit --file guess.csv --upload --yes", lambda: bool(scene.kaggle.submissions))
    scene.run("leaderboard --sync")
    scene.run("submit --file guess.csv --upload --yes", 1)
    scene.say(f"the host has {len(scene.kaggle.submissions)} submission")


def leaderboard_synced(scene: Scene) -> None:
    kaggle = scene.kaggle
    kaggle.board = [(f"team {i}", f"{0.99 - 0.0005 * i:.5f}") for i in range(300)]
    kaggle.page_size = 100
    scene.site.put("sample_submission.csv")
    scene.run("submit --file guess.csv --upload --yes --no-wait")
    scene.say("meanwhile one is made on the website, the private scores are shown, and the scoring ends")
    kaggle.private_solution = dict(list(ANSWERS.items())[::2])
    worse = GUESSES | {"clip_001.wav": "yes", "clip_003.wav": "yes"}
    kaggle.add_submission("by_hand.csv", csv_of(worse), "made by hand")
    kaggle.submissions[0]["scores"] = kaggle.scores(csv_of(GUESSES))
    scene.run("leaderboard --sync")


SCENES = (
    fetch_without_credentials,
    doctor_without_credentials,
    doctor_with_wrong_credentials,
    doctor_before_the_rules_are_accepted,
    doctor_when_all_is_well,
    fetch_killed_twice_and_resumed,
    submit_and_wait,
    submit_what_the_host_cannot_score,
    submit_at_the_limit,
    submit_killed_before_the_reply_came,
    leaderboard_synced,
)


def _largest(folder: Path) -> int:
    """Bytes of the largest file below a folder."""
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)


def write(path: Path) -> None:
    """Play every scene and write what was shown."""
    lines = [
        "kagglekit against a loopback Kaggle, through Kaggle's own client: what a user sees.",
        "Made by python tests/support/kaggle_transcripts.py; # is a remark.",
    ]
    for play in SCENES:
        with TemporaryDirectory() as folder, server() as kaggle:
            scene = Scene(Path(folder, "site"), play.__name__.replace("_", " "), kaggle)
            play(scene)
            text = "\n".join(scene.lines).replace(kaggle.address, "http://127.0.0.1")
            lines += re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text).splitlines()
        print(play.__name__, file=sys.stderr)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2] / "docs" / "results" / "kaggle-transcripts.txt")
