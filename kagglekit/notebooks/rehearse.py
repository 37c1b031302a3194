"""Rehearse a built notebook offline: fresh Python, no network, read-only mounts, the competition's limits.

Three runs: with the files that the host shows, mounted as Kaggle does today; with an empty test, mounted as
in older images; and with a large synthetic test, from whose clock the time for the hidden test follows.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.config.competition import NotebookLimits
from kagglekit.errors import KagglekitError, SubmissionError, plural
from kagglekit.files.atomic import write_json
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.sandbox import Finished, Sandbox, has_namespaces
from kagglekit.inference.submit import FACTS
from kagglekit.notebooks.environment import fresh_python
from kagglekit.notebooks.failures import last_lines
from kagglekit.notebooks.folder import (
    MOST_OF_LIMIT,
    OUTPUTS,
    OWNER,
    REHEARSAL,
    SCRIPT,
    Built,
    RehearsalRecord,
    sha256_of,
)
from kagglekit.notebooks.synthetic import mount_sample, mount_synthetic, mount_visible
from kagglekit.terminal import console

RECORDINGS = 100  # of the synthetic test, where the hidden one has no fewer
SECONDS = 60.0  # of a synthetic recording, where nothing says how long the hidden ones are
ONCE = ("start",)  # stages that take as long for any number of recordings
VISIBLE, EMPTY, LARGE = "visible", "empty", "large"


class Rehearsed(NamedTuple):
    """What a rehearsal has shown."""

    record: RehearsalRecord
    rows: dict[str, int]
    """Rows of each run's submission."""
    recordings: dict[str, int]
    """Recordings of each run."""
    cores: int
    """That the runs had here."""
    isolated: bool
    """Whether the network was really gone, and the mounts really read-only."""
    unread: list[str]
    """Recordings of the visible test that cannot be read."""

    @property
    def fits(self) -> bool:
        """Whether the hidden test is expected to take no more than MOST_OF_LIMIT of the time."""
        return self.record.minutes <= MOST_OF_LIMIT * self.record.limit


@dataclass(frozen=True)
class _Run:
    """One run of the script."""

    facts: dict[str, Any]
    finished: Finished
    output: Path


class _Rehearsal:
    """The folders of a rehearsal."""

    def __init__(self, built: Built, workspace: Workspace, folder: Path) -> None:
        self.built, self.folder = built, folder
        self.limits = workspace.config.competition.limits
        self.python = fresh_python(folder / "python", list(built.dataset.glob("*.whl")))
        self.cores = 0

    def run(self, name: str, fill: Callable[[Path], object], *, old_layout: bool = False) -> _Run:
        """Mount the competition and the data set, and run the script.

        Args:
            fill: writes the competition's files into a folder.
            old_layout: mount both directly below /kaggle/input.

        Raises:
            SubmissionError: the script failed, or used too much.
        """
        slug, dataset = self.built.record.competition, self.built.record.dataset
        files, work = self.folder / f"{name}.input", self.folder / name
        fill(files)
        (self.folder / "tmp").mkdir(exist_ok=True)
        inputs = {f"competitions/{slug}": files, f"datasets/{OWNER.lower()}/{dataset}": self.built.dataset}
        sandbox = Sandbox(
            {slug: files, dataset: self.built.dataset} if old_layout else inputs,
            work,
            environment={"TMPDIR": str(self.folder / "tmp")},
            cores=self.limits.cores,
            memory_gb=self.limits.memory_gb,
        )
        self.cores = len(sandbox.usable_cores()) or self.limits.cores
        script = self.built.kernel / SCRIPT
        finished = sandbox.run(script, 60 * self.limits.minutes, str(self.python))
        output = work / self.built.record.output
        if finished.code or not output.is_file():
            raise _failure(name, finished, self.limits)
        shutil.rmtree(files)
        return _Run(json.loads((work / FACTS).read_text(encoding="utf-8")), finished, output)


def rehearse(built: Built, workspace: Workspace, recordings: int | None = None) -> Rehearsed:
    """Run a built notebook three times, and keep what was shown beside it.

    Args:
        recordings: of the synthetic test; 0: none, and the time follows from the visible test.

    Raises:
        SubmissionError: a run failed, or used more time, cores or memory than the host allows.
        KagglekitError: there is no recording to measure with.
    """
    workspace, limits = workspace.resolved(), workspace.config.competition.limits
    (built.path / REHEARSAL).unlink(missing_ok=True)
    with temporary_folder() as name:
        rehearsal = _Rehearsal(built, workspace, Path(name))
        console.note("rehearse: the files that the host shows")
        visible = rehearsal.run(VISIBLE, lambda folder: mount_visible(workspace, folder))
        console.note("rehearse: an empty test")
        empty = rehearsal.run(EMPTY, lambda folder: mount_sample(workspace, folder), old_layout=True)
        runs = {VISIBLE: visible, EMPTY: empty}
        seconds = limits.seconds or visible.facts["audio_seconds"] or SECONDS
        wanted = limits.recordings or visible.facts["recordings"] or RECORDINGS
        count = min(RECORDINGS, wanted) if recordings is None else recordings
        if count:
            console.note(f"rehearse: {plural(count, 'synthetic recording')} of {seconds:g} s")
            runs[LARGE] = rehearsal.run(
                LARGE, lambda folder: mount_synthetic(workspace, folder, count, seconds)
            )
        measured = runs.get(LARGE, visible)
        if not measured.facts["recordings"]:
            raise KagglekitError(
                "there is no recording to measure the time with", hint="add --recordings 100"
            )
        record = _record(built, runs, measured, wanted, rehearsal.cores, limits)
        _keep(built, runs, record)
    return Rehearsed(
        record,
        {name: run.facts["rows"] for name, run in runs.items()},
        {name: run.facts["recordings"] for name, run in runs.items()},
        rehearsal.cores,
        has_namespaces(),
        visible.facts["unread"],
    )


def _record(
    built: Built, runs: dict[str, _Run], measured: _Run, wanted: int, cores: int, limits: NotebookLimits
) -> RehearsalRecord:
    """Reckon the time of the hidden test.

    What depends on the recordings is spread over the host's cores; the start is not.
    """
    clock: dict[str, float] = measured.facts["seconds"]
    once = sum(clock[name] for name in ONCE) * limits.slowdown
    each = sum(seconds for name, seconds in clock.items() if name not in ONCE)
    factor = limits.slowdown * cores / limits.cores
    minutes = (once + each / measured.facts["recordings"] * wanted * factor) / 60
    return RehearsalRecord(
        key=built.record.key,
        minutes=round(minutes, 2),
        limit=limits.minutes,
        recordings=wanted,
        factor=round(factor, 4),
        peak_gb=max(max(run.facts["peak_gb"], run.finished.peak_gb) for run in runs.values()),
        clock=clock,
        outputs={name: sha256_of(runs[name].output) for name in (VISIBLE, EMPTY)},
    )


def _keep(built: Built, runs: dict[str, _Run], record: RehearsalRecord) -> None:
    """Write the submissions, and then the record."""
    (built.path / OUTPUTS).mkdir(exist_ok=True)
    for name in record.outputs:
        shutil.copyfile(runs[name].output, built.output(name))
    write_json(built.path / REHEARSAL, asdict(record))


def _failure(name: str, finished: Finished, limits: NotebookLimits) -> SubmissionError:
    """Build the error for a run that failed: in plain words, with the last lines of its log."""
    last = "".join(f"\n  {line}" for line in last_lines(finished.log))
    what = {VISIBLE: "with the visible test", EMPTY: "with an empty test", LARGE: "with the large test"}[name]
    if finished.timed_out:
        why = f"had not finished after {limits.minutes:g} minutes, the limit"
        hint = "blend fewer or smaller runs; the limit is competition.limits.minutes"
    elif finished.out_of_memory:
        why = f"used more than {limits.memory_gb:g} GB of memory, the limit"
        hint = "blend fewer or smaller runs; the limit is competition.limits.memory_gb"
    elif finished.code < 0:
        why, hint = f"was ended by signal {-finished.code}", "free memory on this machine, and run it again"
    elif finished.code:
        why, hint = f"ended with code {finished.code}", "the lines above are the end of its log"
    else:
        why, hint = "wrote no submission", "the lines above are the end of its log"
    return SubmissionError(f"the notebook {what} {why}{last}", hint=hint)
