"""A small competition on the loopback Kaggle, a workspace for it, and kagglekit run on both in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

import py7zr

from kagglekit.cli import main
from kagglekit.notebooks import waiting
from kagglekit.submission import sync
from kagglekit.terminal import console
from support.kaggle_server import KEY, SLUG, USER, KaggleServer, point_client_at
from support.outcome import Outcome

ANSWERS = {f"clip_{i:03d}.wav": ("yes", "no", "unknown", "silence")[i % 4] for i in range(40)}
GUESSES = ANSWERS | {"clip_000.wav": "no"}
"""39 of 40 right."""
NOTES = "meta data/notes 1.json"
"""The client breaks each of: a space, a sub-folder, a file that is JSON."""
YAML = f"""\
competition: {{slug: {SLUG}, host: kaggle}}
data: {{train_archive: train.7z, test_archive: test.zip, sample_submission: sample_submission.csv}}
labels: {{targets: ["yes", "no"], filler: unknown, silence: silence}}
network: {{timeout_s: 0.25, tries: 3, pause_s: 0.01}}
"""


LATER = timedelta(minutes=2)
"""After which an upload that the host does not show has not arrived."""


@cache
def files() -> dict[str, bytes]:
    """What the competition offers: 7z, zip, CSV and JSON, some 100 kB each of the archives."""
    packed, zipped, noise = io.BytesIO(), io.BytesIO(), random.Random(0)
    with py7zr.SevenZipFile(packed, "w") as archive7:
        archive7.writestr(noise.randbytes(100_000), "train/audio/yes/a.wav")
        archive7.writestr(b"words" * 1000, "train/words.txt")
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test/audio/clip_000.wav", noise.randbytes(100_000))
    return {
        "train.7z": packed.getvalue(),
        "test.zip": zipped.getvalue(),
        "sample_submission.csv": csv_of(dict.fromkeys(ANSWERS, "silence")),
        NOTES: json.dumps({"code": 500, "message": "a note, not an error", "more": "words " * 2000}).encode(),
    }


def csv_of(labels: dict[str, str]) -> bytes:
    """A submission."""
    return ("fname,label\n" + "".join(f"{name},{label}\n" for name, label in labels.items())).encode()


def server() -> KaggleServer:
    """A Kaggle with the competition, which scores at once."""
    return KaggleServer(files=dict(files()), solution=ANSWERS, polls_pending=0)


@dataclass(frozen=True)
class Done(Outcome):
    """What a command did with Kaggle."""

    def check_words(self) -> None:
        """Assert that it worked, or failed with one error of one line and one hint; and kept the key secret."""
        assert KEY not in self.out + self.err, "it shows the key"
        if self.code == 0:
            return
        assert self.code == 1, f"{self.command}: exit {self.code}"
        assert "unexpected" not in self.err and "Traceback" not in self.err, self.err
        assert len(re.findall(r"^error: ", self.err, re.M)) == 1, self.err
        assert len(re.findall(r"^hint: ", self.err, re.M)) == 1, self.err
        assert self.message and "\n" not in self.message, self.err


class Site:
    """A new folder with competition.yaml, and a server that this process's client is led to.

    `credentials` are the variables that sign in.
    """

    def __init__(self, folder: Path, server: KaggleServer) -> None:
        self.folder, self.server = folder, server
        self.raw = folder / ".kagglekit" / "raw"
        self.home = folder / "home"
        self.credentials = {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY}
        self.home.mkdir(parents=True)
        (folder / "competition.yaml").write_text(YAML)
        (folder / "guess.csv").write_bytes(csv_of(GUESSES))

    def put(self, name: str) -> None:
        """Have a file fetched already."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files()[name])

    def run(self, command: str, later: timedelta = timedelta()) -> Done:
        """kagglekit, in this process, when so much time has passed; a part in '' is one word."""
        code, out, err = self._main(command, later)
        done = Done(command, code, out, err.replace(f"{self.folder}/", ""))
        done.check_words()
        return done

    def raw_output(self, command: str) -> tuple[str, str]:
        """What kagglekit writes to stdout and stderr, whatever it is."""
        _, out, err = self._main(command, timedelta())
        return out, err

    def _main(self, command: str, later: timedelta) -> tuple[int, str, str]:
        argv = [quoted or word for quoted, word in re.findall(r"'([^']*)'|(\S+)", command)]
        out, err = io.StringIO(), io.StringIO()
        point_client_at(self.server.address)
        with (
            _environment(HOME=str(self.home), **self.credentials),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _new_consoles(),
            patch.object(sync, "now", lambda: datetime.now(UTC) + later),
            patch.object(waiting, "pause", lambda seconds: None),
        ):
            code = main([*argv, "--quiet"])
        return code, out.getvalue(), err.getvalue()

    def check_files(self, *, all_there: bool = False) -> None:
        """Assert that what counts as fetched is what the server has, and that nothing else lies beside it."""
        found = {p.relative_to(self.raw).as_posix(): p for p in self.raw.rglob("*") if p.is_file()}
        for name, path in found.items():
            if name in files():
                assert path.read_bytes() == files()[name], f"{name} is corrupt and was accepted"
            else:
                raise AssertionError(f"{name} was left behind")
        assert not all_there or set(files()) <= set(found), f"only {sorted(found)} are there"
        left = [path for path in (self.raw.parent / "incoming").rglob("*") if path.is_file()]
        assert not all_there or not left, left


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """These for the client; those of whoever runs this are hidden."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
            del os.environ[name]
        os.environ.update(KAGGLE_API_ENVIRONMENT="LOCALHOST", no_proxy="127.0.0.1", **variables)
        yield


@contextlib.contextmanager
def _new_consoles() -> Iterator[None]:
    """They keep the streams that they first saw."""
    for console_ in (console.out, console.err):
        console_.cache_clear()
    yield
    for console_ in (console.out, console.err):
        console_.cache_clear()
