"""Write docs/results/competitions.md: the eighteen replicas with times and scores, and four transcripts.

Run `python tests/support/competition_results.py` with tests/ on PYTHONPATH; ../shared/data/esc-10 is used where
it is there. Paths of this machine are left out.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kagglekit.cli import main
from support.replicas import MAKERS, make_replica

ROOT = Path(__file__).parents[2]
ESC_10 = (ROOT.parent / "shared" / "data" / "esc-10").resolve()
VERBS = ("fetch", "prepare", "train --model tcresnet", "submit --upload --yes", "leaderboard")
SHOWN = {"ESC-10": None, "freesound-2018": "Freesound", "birdclef-2026": "BirdCLEF", "whale-2013": "whale"}
"""The transcripts: ESC-10 is the real one, the others are replicas."""


def run(folder: Path, *argv: str) -> tuple[int, str]:
    """Run a command in a folder: its exit code and what it printed, without bars and paths."""
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(["--quiet", *argv])
    shown = re.sub(r"(/[\w.+-]+)*/tmp[\w./-]*/", "", out.getvalue()).replace(
        str(ESC_10), "../shared/data/esc-10"
    )
    return code, shown.strip()


def table() -> Iterator[str]:
    """Yield a line for each of the eighteen competitions."""
    yield "| competition | fetch to score, s | CV | public | private |"
    yield "|---|---|---|---|---|"
    for name in MAKERS:
        with tempfile.TemporaryDirectory() as folder:
            make_replica(name, Path(folder))
            start, sent = time.monotonic(), ""
            for verb in VERBS[:-1]:
                code, sent = run(Path(folder), *verb.split())
                if code:
                    break
            seconds = time.monotonic() - start
            scores = re.search(r"public (\S+), private (\S+), CV (\S+)", sent)
            public, private, cv = scores.groups() if scores else ("failed", "", "")
            yield f"| {name} | {seconds:.1f} | {cv} | {public} | {private} |"


def transcript(name: str) -> Iterator[str]:
    """Yield the commands of one competition, from `init` to `leaderboard`, with what they print."""
    with tempfile.TemporaryDirectory() as parent:
        folder, settings = Path(parent), ["--set", "train.epochs=2"]
        if SHOWN[name] is None:
            host = ESC_10
        else:
            make_replica(name, folder)
            (folder / "competition.yaml").unlink()
            host = folder / "host"
        yield f"$ kagglekit init --local {'../shared/data/esc-10' if host is ESC_10 else 'host'}"
        yield run(folder, "init", "--local", str(host))[1]
        yield "$ cat competition.yaml"
        yield (
            (folder / "competition.yaml")
            .read_text(encoding="utf-8")
            .strip()
            .replace(str(ESC_10), "../shared/data/esc-10")
            .replace(str(host), "host")
        )
        for verb in VERBS:
            words = verb.split() + (settings if verb.startswith("train") else [])
            yield f"$ kagglekit {' '.join(words)}"
            yield run(folder, *words)[1]


def write() -> None:
    """Write the page."""
    lines = [
        "# The eighteen competitions of Kaggle, in small",
        "",
        *(__doc__ or "").splitlines()[2:4],
        "",
        *table(),
    ]
    for name in SHOWN:
        if name != "ESC-10" or ESC_10.is_dir():
            lines += ["", f"## {name}, from init to leaderboard", "", "```", *transcript(name), "```"]
    path = ROOT / "docs" / "results" / "competitions.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
