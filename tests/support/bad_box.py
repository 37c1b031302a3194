"""The box of bad_inputs/: a copy of the tiny competition to damage, with kagglekit to run on it."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from kagglekit.cli import main
from support.outcome import Outcome
from support.tiny import make

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
STAGES = {
    "host": [],
    "fetched": ["fetch"],
    "prepared": ["prepare"],
    "trained": ["train --model tcresnet", "train --model gru"],
}
"""How far a copy has come, and what it takes to come there from the one before."""
NOT_COMPARED = ("fingerprints.json", ".lock", "clips.parquet", "clips.json", "sample.json")
"""Files that follow the settings: the table of clips is made again from the decoded audio."""


class Box:
    """A folder with the competition as it is after `stage`."""

    def __init__(self, folder: Path, stage: str) -> None:
        shutil.copytree(_template(stage), folder)
        self.folder = folder
        self.shown: list[Outcome] = []
        """The commands that the table shows."""

    # -- where things are ---------------------------------------------------------------------

    @property
    def yaml(self) -> Path:
        return self.folder / "competition.yaml"

    @property
    def host(self) -> Path:
        return self.folder / "host"

    @property
    def workspace(self) -> Path:
        return self.folder / ".kagglekit"

    def one(self, pattern: str) -> Path:
        """The first file in the workspace that the pattern matches."""
        return sorted(self.workspace.glob(pattern))[0]

    # -- what is run --------------------------------------------------------------------------

    def bad(
        self, command: str, message: str, hint: str, *, run: Callable[..., Outcome] | None = None
    ) -> Outcome:
        """Run a command that must fail with these words, and lose nothing. Shown in the table."""
        before = self._files()
        shown = (run or self.run)(command)
        self.shown.append(shown)
        assert shown.code == 1, f"exit {shown.code}: {shown.err or shown.out}"
        assert len(re.findall(r"^error: ", shown.err, re.M)) == 1, shown.err
        assert len(re.findall(r"^hint: ", shown.err, re.M)) == 1, shown.err
        assert shown.err.startswith("error: "), shown.err
        assert "unexpected" not in shown.err and "Traceback" not in shown.err, shown.err
        steps = shown.hint.count("\n  ")  # a way in three steps is a line for each
        assert shown.hint and shown.hint.count("\n") == steps <= 3, shown.err
        assert message in shown.message, f"{shown.message!r} does not say {message!r}"
        assert hint in shown.hint, f"{shown.hint!r} does not say {hint!r}"
        lost = [str(path) for path, data in before.items() if not _still_there(path, data)]
        assert not lost, f"lost or changed: {lost}"
        return shown

    def fine(self, command: str, says: str, *, run: Callable[..., Outcome] | None = None) -> Outcome:
        """Run a command that must work in spite of what is odd. Shown in the table."""
        shown = self.good(command, run=run)
        self.shown.append(shown)
        assert says in shown.out, f"{shown.out!r} does not say {says!r}"
        return shown

    def good(self, command: str, *, run: Callable[..., Outcome] | None = None) -> Outcome:
        """Run a command that must work."""
        shown = (run or self.run)(command)
        assert shown.code == 0, f"kagglekit {command}: exit {shown.code}: {shown.err}"
        return shown

    def run(self, command: str) -> Outcome:
        """In this process."""
        out, err = io.StringIO(), io.StringIO()
        argv = _split(command)
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*argv, "--quiet"])
        return self._seen(command, code, out.getvalue(), err.getvalue())

    def run_apart(self, command: str, **environment: str) -> Outcome:
        """In a process of its own."""
        with self.started(command, **environment) as process:
            out, err = process.communicate(timeout=120)
        return self._seen(command, process.returncode, out, err)

    @contextlib.contextmanager
    def started(self, command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A process that runs a command; killed at the end if it still does."""
        argv = [sys.executable, "-m", "kagglekit", *_split(command), "--quiet"]
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env={**os.environ, **ENVIRONMENT, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def finished(self, command: str, process: subprocess.Popen[str]) -> Outcome:
        """What a started process did, once it ends. Shown in the table."""
        out, err = process.communicate(timeout=120)
        self.shown.append(self._seen(command, process.returncode, out, err))
        return self.shown[-1]

    def _seen(self, command: str, code: int, out: str, err: str) -> Outcome:
        out, err = (text.replace(f"{self.folder}/", "").replace(str(self.folder), ".") for text in (out, err))
        return Outcome(command, code, out, err)

    def _files(self) -> dict[Path, bytes]:
        folders = [self.workspace, self.folder / "submissions"]
        found = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
        kept = [p for p in found if not p.name.endswith(NOT_COMPARED) and not _unfinished(p, self.folder)]
        return {path: _content(path) for path in kept}

    # -- what is damaged ----------------------------------------------------------------------

    def edit(self, old: str, new: str) -> None:
        """Change competition.yaml."""
        text = self.yaml.read_text()
        assert old in text
        self.yaml.write_text(text.replace(old, new, 1))

    def repack(self, change: Callable[[dict[str, bytes]], None], name: str = "train.zip") -> None:
        """Change the members of one of the host's archives."""
        path = self.host / name
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        change(members)
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)

    @contextlib.contextmanager
    def damaged(self, path: Path, data: bytes | None) -> Iterator[None]:
        """Other bytes in a file (None: no file) for a while."""
        whole = path.read_bytes()
        path.unlink() if data is None else path.write_bytes(data)
        yield
        path.write_bytes(whole)


def _split(command: str) -> list[str]:
    """Words; a part in '' is one word."""
    return [quoted or word for quoted, word in re.findall(r"'([^']*)'|(\S+)", command)]


def _unfinished(path: Path, root: Path) -> bool:
    return any(part.endswith(".part") for part in path.relative_to(root).parts)


def _content(path: Path) -> bytes:
    """A log's bytes, since it may only grow; else a digest."""
    data = path.read_bytes()
    return data if path.suffix in (".jsonl", ".journal") else hashlib.sha256(data).digest()


def _still_there(path: Path, content: bytes) -> bool:
    return path.is_file() and _content(path)[: len(content)] == content


@cache
def _template(stage: str) -> Path:
    """A folder that came so far, made once."""
    names = list(STAGES)
    folder = Path(mkdtemp(prefix="kagglekit-bad-")) / stage
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    if stage == "host":
        make(folder)
        return folder
    shutil.copytree(_template(names[names.index(stage) - 1]), folder)
    for command in STAGES[stage]:
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            assert main([*command.split(), "--quiet"]) == 0
    return folder
