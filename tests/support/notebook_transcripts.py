"""What a user sees of a notebook's submission, in processes of their own against the loopback Kaggle.

Run this file to write docs/results/notebook-transcripts.txt: python tests/support/notebook_transcripts.py
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from support import notebook_site
from support.kaggle_server import KaggleServer
from support.kaggle_transcripts import Scene
from support.kaggle_wire import Drop, Stall
from support.notebook_site import SUBMIT, NotebookSite

STEPS = {
    "StartBlobUpload": "about to upload the first file",
    "CreateDataset": "the data set is made, and no reply comes",
    "GetDatasetStatus": "waiting for the data set",
    "SaveKernel": "the notebook is saved, and no reply comes",
    "GetKernelSessionStatus": "waiting for its run",
    "storage": "fetching its output",
    "CreateCodeSubmission": "it is submitted, and no reply comes",
    "GetSubmission": "waiting for the score",
}
"""The request in which a kill comes, and what goes on then."""


class NotebookScene(Scene):
    """A workspace with a built notebook, and the commands run in it."""

    def __init__(self, folder: Path, title: str, kaggle: KaggleServer) -> None:
        super().__init__(folder, title, kaggle)
        self.site = NotebookSite(folder / "here", kaggle)
        yaml = self.site.folder / "competition.yaml"  # as patient as a user's
        yaml.write_text(
            "".join(f"{line}\n" for line in yaml.read_text().splitlines() if "network" not in line)
        )


def submitted_and_scored(scene: NotebookScene) -> None:
    scene.run(SUBMIT)
    scene.say("the same again")
    scene.run(SUBMIT, 1)
    scene.run("leaderboard")


def killed_in_each_step(scene: NotebookScene) -> None:
    for request, words in STEPS.items():
        scene.kaggle.faults[request] = [Stall()]
        before = scene.kaggle.calls.count(request)
        scene.say(f"{words}; then the process is killed")
        scene.run_and_kill(SUBMIT, lambda r=request, b=before: scene.kaggle.calls.count(r) > b)
    scene.run("leaderboard --sync")
    scene.run(SUBMIT, 1)
    scene.site.check_submitted()  # type: ignore[attr-defined]
    pushes, data = sum(map(len, scene.kaggle.kernels.values())), scene.kaggle.own_datasets
    scene.say(
        f"the host has {len(scene.kaggle.submissions)} submission, {pushes} version of the notebook and "
        f"{sum(len(one.versions) for one in data.values())} of the data set"
    )


def the_notebook_throws(scene: NotebookScene) -> None:
    scene.site.make(key="gru-4567", extra="raise ValueError('no graph for 32000 Hz')")  # type: ignore[attr-defined]
    scene.run(SUBMIT.replace("gru-0123", "gru-4567"), 1)


def too_slow_by_its_rehearsal(scene: NotebookScene) -> None:
    scene.site.make(key="gru-4567", minutes=8.6)  # type: ignore[attr-defined]
    scene.run(SUBMIT.replace("gru-0123", "gru-4567"), 1)


def the_quota_is_used_up(scene: NotebookScene) -> None:
    scene.kaggle.push_says = "Maximum weekly GPU quota of 30.00 hours has been reached."
    scene.run(SUBMIT, 1)


def the_reply_to_the_submission_is_lost(scene: NotebookScene) -> None:
    scene.kaggle.faults["CreateCodeSubmission"] = [Drop()]
    scene.run(SUBMIT)


SCENES = (
    submitted_and_scored,
    killed_in_each_step,
    the_notebook_throws,
    too_slow_by_its_rehearsal,
    the_quota_is_used_up,
    the_reply_to_the_submission_is_lost,
)


def write(path: Path, names: list[str]) -> None:
    """Play scenes and write what was shown."""
    lines = [
        "A built notebook submitted to a loopback Kaggle, which runs it, through Kaggle's own client.",
        "Made by python tests/support/notebook_transcripts.py; # is a remark.",
    ]
    for play in SCENES:
        if names and play.__name__ not in names:
            continue
        with TemporaryDirectory() as folder, notebook_site.server() as kaggle:
            scene = NotebookScene(Path(folder, "site"), play.__name__.replace("_", " "), kaggle)
            play(scene)
            text = "\n".join(scene.lines).replace(kaggle.address, "http://127.0.0.1")
            text = text.replace(f"{scene.site.folder}/", "").replace(shlex.quote(folder), ".")
            lines += re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text).splitlines()
        print(play.__name__, file=sys.stderr)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2] / "docs" / "results" / "notebook-transcripts.txt", sys.argv[1:])
