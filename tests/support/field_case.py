"""A case of ../shared/field-cases: made by its own make.py, with kagglekit to run on it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from kagglekit.cli import main
from kagglekit.terminal import console
from support.outcome import Outcome
from support.places import ROOT, SHARED

CASES = SHARED / "field-cases"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "PYTHONPATH": str(ROOT),
}


def kinds() -> dict[str, str]:
    """Return the kind of each case, by the table in README.md, in its order."""
    kind_of: dict[str, str] = {}
    for line in (CASES / "README.md").read_text(encoding="utf-8").splitlines():
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])[1:] and cells[1] != "inputs":
            kind_of |= {name: cells[0] for name in cells[1].split(", ") if name.strip("-")}
    return kind_of


def case_of(test: str) -> str:
    """Return the case that a test is named after: test_blank_lines is of blank-lines."""
    return test.removeprefix("test_").replace("_", "-")


class Screen(io.TextIOWrapper):
    """A file or a terminal that keeps what it shows."""

    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def getvalue(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@dataclass
class FieldCase:
    """A case's folder."""

    name: str
    folder: Path
    """What make.py wrote, or the part of it that commands are run in."""
    shown: list[Outcome] = field(default_factory=list)
    """Every command that was run."""

    def inside(self, name: str) -> FieldCase:
        """Return a competition that lies in a folder of the case; its commands are counted here too."""
        return FieldCase(self.name, self.folder / name, self.shown)

    # --- what is run ---

    def kk(self, *argv: str, columns: int | None = None, encoding: str = "utf-8") -> Outcome:
        """Run a command in this process.

        Args:
            columns: width of the terminal; None: what is shown goes into a file.
            encoding: of the terminal or the file.
        """
        out, err = Screen(encoding, columns is not None), Screen(encoding, False)
        console.out.cache_clear()
        console.err.cache_clear()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("TERM", "xterm")
            if columns:
                patch.setenv("COLUMNS", str(columns))
            code = main(argv)
        console.out.cache_clear()
        console.err.cache_clear()
        return self._seen(argv, code, out.getvalue(), err.getvalue())

    def apart(
        self, *argv: str, env: Mapping[str, str] | None = None, encoding: str = "utf-8", timeout: float = 240
    ) -> Outcome:
        """Run a command in a process of its own.

        Args:
            env: variables besides those of this process; one that is "" is taken away.
            encoding: how what it prints is decoded; what does not fit fails the test.
        """
        variables = {**os.environ, **ENVIRONMENT, **(env or {})}
        done = subprocess.run(
            [sys.executable, "-m", "kagglekit", *argv],
            cwd=self.folder,
            env={name: value for name, value in variables.items() if value},
            capture_output=True,
            check=False,
            timeout=timeout,
        )
        return self._seen(argv, done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))

    def good(self, *argv: str, columns: int | None = None, encoding: str = "utf-8") -> Outcome:
        """Run a command that must work."""
        outcome = self.kk(*argv, columns=columns, encoding=encoding)
        assert outcome.code == 0, f"kagglekit {outcome.command}: exit {outcome.code}: {outcome.err}"
        return outcome

    def bad(self, *argv: str) -> Outcome:
        """Run a command that must fail with one message and one hint."""
        return self.explained(self.kk(*argv))

    def explained(self, outcome: Outcome) -> Outcome:
        """Check that a command failed with one message and one hint, in our own words."""
        err = outcome.err
        assert outcome.code == 1, f"kagglekit {outcome.command}: exit {outcome.code}: {err or outcome.out}"
        assert len(re.findall(r"^error: ", err, re.M)) == 1, err
        assert len(re.findall(r"^hint: ", err, re.M)) == 1 and outcome.hint, err
        assert "unexpected" not in err and "Traceback" not in err, err
        return outcome

    def up_to_a_score(self, *common: str, rows: int = 24) -> float:
        """Train, send a submission, and return its public score."""
        self.good(*common, "train", "--model", "tcresnet")
        self.good(*common, "submit", "--ensemble", "tcresnet", "--upload", "--yes")
        assert len(self.submission()) == rows
        score = self.public_score
        assert score is not None
        return score

    # --- what came of it ---

    def clips(self, split: str = "train", workspace: str = ".kagglekit") -> pl.DataFrame:
        """Return the prepared clips of a split."""
        return pl.read_parquet((self.folder / workspace / "clips.parquet").read_bytes()).filter(split=split)

    def counts(self, *columns: str, split: str = "train", workspace: str = ".kagglekit") -> dict[object, int]:
        """Count clips by the values of columns: of one column by its value, of several by a tuple."""
        counted = self.clips(split, workspace).group_by(*columns).len()
        return {row[0] if len(columns) == 1 else row[:-1]: row[-1] for row in counted.iter_rows()}

    def submission(self) -> pl.DataFrame:
        """Return the newest submission."""
        path = max((self.folder / "submissions").iterdir(), key=lambda p: (p.suffix == ".csv", p.name))
        return pl.read_csv(path.read_bytes(), infer_schema=False)

    def submitted(self) -> dict[str, str]:
        """Return the newest submission's labels by id."""
        return dict(self.submission().iter_rows())

    @property
    def public_score(self) -> float | None:
        """The public score of the newest entry of the log."""
        lines = (self.folder / "submissions" / "leaderboard.jsonl").read_text(encoding="utf-8").splitlines()
        score: float | None = json.loads(lines[-1])["public"]
        return score

    def _seen(self, argv: tuple[str, ...], code: int, out: str, err: str) -> Outcome:
        command, out, err = (
            text.replace(f"{self.folder}/", "")
            .replace(str(self.folder), ".")
            .replace(str(self.folder.parent), "..")
            for text in (shlex.join(argv), out, err)
        )
        self.shown.append(Outcome(command, code, out, err))
        return self.shown[-1]


def make(name: str, folder: Path) -> FieldCase:
    """Run a case's make.py into a new folder."""
    script = CASES / name / "make.py"
    with _argv(str(script), str(folder)):
        runpy.run_path(str(script), run_name="__main__")
    return FieldCase(name, folder)


@contextlib.contextmanager
def _argv(*words: str) -> Iterator[None]:
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before
