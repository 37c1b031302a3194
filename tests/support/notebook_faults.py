"""Everything that can go wrong with a notebook on Kaggle besides requests that fail, and the command's table.

Run this file to write docs/results/notebook-faults.md: python tests/support/notebook_faults.py [SCENARIO...]

A scenario passes if its words are shown, nothing is submitted twice, and the command ends well once the fault is
gone (`heals`), or says the same again (where the notebook itself is to blame).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from support.kaggle_matrix import NOTEBOOK, PATIENT, grids
from support.kaggle_notebooks import NEVER
from support.kaggle_server import KaggleServer
from support.kaggle_site import LATER, Done
from support.kaggle_wire import Drop
from support.notebook_site import KERNEL, NotebookSite, server


@dataclass(frozen=True)
class Scenario:
    """What goes wrong, what must be said, and what helps."""

    start: Callable[[KaggleServer], Any]
    says: str = ""
    """In the error; "" where the command must end well all the same."""
    end: Callable[[KaggleServer], Any] = lambda kaggle: None
    """Takes the fault away."""
    again: str = ""
    """Options of the command that then ends well."""
    pushes: int = 1
    """Versions of the notebook that there may be in the end."""
    build: tuple[tuple[str, object], ...] = ()
    """Arguments of built.make."""


def _set(**fields: object) -> Callable[[KaggleServer], None]:
    def change(kaggle: KaggleServer) -> None:
        for name, value in fields.items():
            setattr(kaggle, name, value)

    return change


def _fault(**faults: object) -> Callable[[KaggleServer], None]:
    return lambda kaggle: kaggle.faults.update(faults)  # type: ignore[arg-type]


def _free_dataset(kaggle: KaggleServer) -> None:
    kaggle.dataset_looks = 0
    for stored in kaggle.own_datasets.values():
        for version in stored.versions:
            version.looks = 0


def _other_push(kaggle: KaggleServer) -> None:
    """Somebody saves the notebook on the site while ours waits, and the site tells of that one's run."""
    kaggle.ignores_versions = True
    original = kaggle.GetKernelSessionStatus

    def status(request: dict[str, Any]) -> Any:
        versions = kaggle.kernels[KERNEL]
        if len(versions) == 1:
            text = re.sub(r"kagglekit \w+-\d+-\d+", "kagglekit 000000000000-1-1", versions[0].source)
            kaggle.SaveKernel({**versions[0].request, "text": text, "newTitle": KERNEL.partition("/")[2]})
        return original(request)

    kaggle.GetKernelSessionStatus = status  # type: ignore[method-assign]


SCENARIOS = {
    "queued for long": Scenario(_set(queue_looks=200)),
    "queued for ever": Scenario(_set(queue_looks=NEVER), "has not ended yet", _set(queue_looks=0)),
    "runs for ever": Scenario(_set(run_looks=NEVER), "has not ended yet", _set(run_looks=0)),
    "throws": Scenario(
        lambda kaggle: None,
        "failed: it threw an exception: ValueError: no graph",
        build=(("extra", "raise ValueError('no graph')"),),
    ),
    "throws on the hidden test": Scenario(
        lambda kaggle: None,
        "failed: it threw an exception (Notebook Threw Exception)",
        build=(("extra", "assert len(list((competition / 'test').iterdir())) < 5"),),
    ),
    "out of memory": Scenario(
        _set(session_says="memory"), "it needed more memory or disk", _set(session_says=""), "--force", 2
    ),
    "time exceeded": Scenario(
        _set(session_says="timeout"),
        "it ran longer than the host allows",
        _set(session_says=""),
        "--force",
        2,
    ),
    "cancelled": Scenario(
        _set(session_says="cancelled"), "its run was cancelled", _set(session_says=""), "--force", 2
    ),
    "a status that the client does not know": Scenario(
        _set(session_says="unknown"), "cannot see how", _set(session_says="")
    ),
    "wrong name of the output": Scenario(
        lambda kaggle: None,
        "it ended without submission.csv, but answers.csv",
        build=(("output", "answers.csv"),),
    ),
    "output comes late": Scenario(_set(output_looks=3)),
    "output lost": Scenario(
        _set(output_looks=NEVER), "it ended without submission.csv", _set(output_looks=0), "--force", 2
    ),
    "output of another kind than rehearsed": Scenario(
        lambda kaggle: None,
        "the notebook's output has 4 rows, the rehearsal's 1",
        again="--force",
        build=(("rehearsed", {"clip_000.wav": "no"}),),
    ),
    "a log that is text": Scenario(_set(log_is_text=True)),
    "version ignored, another was saved": Scenario(
        _other_push, "has not ended yet", _set(ignores_versions=False), pushes=2
    ),
    "push: reply lost": Scenario(_fault(SaveKernel=[Drop()])),
    "push: reply lost, and no look helps": Scenario(
        _fault(SaveKernel=[Drop()], GetKernel=[None, *[Drop()] * 9]),
        "cannot tell whether the host saved the notebook",
        lambda kaggle: kaggle.faults.clear(),
    ),
    "push: another name": Scenario(_set(other_slug="a-name-of-kaggle-s-own")),
    "push: weekly quota used up": Scenario(
        _set(push_says="Maximum weekly GPU quota of 30 hours has been reached."),
        "Kaggle says Maximum weekly GPU quota",
        _set(push_says=""),
    ),
    "push: too many sessions": Scenario(
        _set(push_says="Maximum batch CPU session count of 5 reached."),
        "Kaggle says Maximum batch CPU session count",
        _set(push_says=""),
    ),
    "push: data set not known": Scenario(
        _set(unknown_sources=["tester/tiny-speech-kagglekit"]),
        "the host does not know tester/tiny-speech-kagglekit",
        _set(unknown_sources=[]),
        pushes=2,
    ),
    "data set: pending for long": Scenario(_set(dataset_looks=40)),
    "data set: pending for ever": Scenario(
        _set(dataset_looks=NEVER), "the host still processes the data set", _free_dataset
    ),
    "data set: fails": Scenario(_set(dataset_fails=1), "the host could not process version 1"),
    "data set: loses a file": Scenario(_set(drops=["manifest.json"]), "lacks manifest.json", _set(drops=[])),
    "data set: reply lost": Scenario(_fault(CreateDataset=[Drop()])),
    "data set: its name is new, and Kaggle says 404": Scenario(_set(missing_is=404)),
    "submission: reply lost": Scenario(_fault(CreateCodeSubmission=[Drop()])),
    "submission: reply lost, and no look helps": Scenario(
        _fault(CreateCodeSubmission=[Drop()], ListSubmissions=[None, *[Drop()] * 9]),
        "cannot tell whether the host received",
        lambda kaggle: kaggle.faults.clear(),
    ),
    "submission: none left": Scenario(
        _set(daily_limit=0), "no submissions are left today", _set(daily_limit=5)
    ),
    **{
        f"submission: {words}": Scenario(_set(submission_says=words), says)
        for words, says in {
            "Notebook Timeout": "it ran longer than the host allows (Notebook Timeout)",
            "Notebook Exceeded Allowed Compute": "it needed more memory or disk than the host allows",
            "Submission CSV Not Found": "it ended without the submission file",
            "Submission Scoring Error": "the host cannot score the file that it wrote",
            "Kaggle Error": "the host itself failed",
        }.items()
    },
}


class Seen(NamedTuple):
    """What a scenario has shown: of the first command, and of the one after the fault."""

    first: Done
    second: Done
    requests: int


def play(name: str, folder: Path) -> Seen:
    """Play a scenario in a new folder.

    Raises:
        AssertionError: it did not end as it must.
    """
    scenario = SCENARIOS[name]
    with server() as kaggle:
        site = NotebookSite(folder, kaggle, **dict(scenario.build))
        scenario.start(kaggle)
        first = site.submit()
        requests = len(kaggle.calls)
        site.check_at_most_one()
        if not scenario.says:
            assert first.code == 0, first.err
        else:
            assert first.code == 1 and scenario.says in first.message, f"{name}: {first.err or first.out}"
        scenario.end(kaggle)
        second = site.submit(f"{scenario.again} {PATIENT}", later=LATER)
        site.check_at_most_one()
        if len(kaggle.submissions) and not kaggle.submissions[0]["error"]:
            kernel = f"tester/{kaggle.other_slug}" if kaggle.other_slug else KERNEL
            site.check_submitted(kernel)
            assert second.code == 0 or "submitted before" in second.message, second.err
        else:  # the notebook itself is to blame, and it says so again
            assert second.code == 1 and scenario.says in second.message, second.err
        pushes = sum(map(len, kaggle.kernels.values()))
        assert pushes <= scenario.pushes, f"it was pushed {pushes} times"
    return Seen(first, second, requests)


def _ended(done: Done) -> str:
    if done.code == 0:
        return "submitted, scored"
    return "submitted before" if "submitted before" in done.message else f"{done.message}<br>*{done.hint}*"


def write_table(path: Path, names: list[str]) -> int:
    """Play all scenarios and all cells of the matrix, and write what came of it; how many failed."""
    lines = [
        "# A notebook's faults",
        "",
        "`kagglekit submit --notebook FOLDER --upload` against a loopback Kaggle that runs what is pushed in a sandbox,",
        "through Kaggle's own client. Made by `python tests/support/notebook_faults.py`;",
        "`tests/notebooks/test_faults.py` checks the same. Whatever goes wrong, nothing is submitted twice, and the same",
        "command then ends well, or says again what is wrong with the notebook. Anything else would stand here as **FAILED**.",
        "",
        "| what goes wrong | the command | the same command, once the fault is gone | requests |",
        "|---|---|---|---|",
    ]
    failed = 0
    for name in names:
        with TemporaryDirectory() as folder:
            try:
                seen = play(name, Path(folder, "site"))
            except AssertionError as error:
                failed += 1
                print(f"FAILED {name}: {error}", file=sys.stderr)
                lines.append(f"| {name} | **FAILED** | | |")
                continue
        option = SCENARIOS[name].again
        then = _ended(seen.second) + (f" ({option})" if option else "")
        cells = [_plain(cell) for cell in (name, _ended(seen.first), then)]
        lines.append(f"| {' | '.join(cells)} | {seen.requests} |")
    lines += ["", f"{len(names)} scenarios, {failed} failed.", "", "## Every fault in every request", ""]
    lines += [
        "Each cell says what comes of the fault in the first request, then in every one: ok, submitted all the same;",
        "error, in the words below the table.",
    ]
    table, total, bad = grids([NOTEBOOK])
    lines += [*table, "", f"{total} cells, {bad} failed."]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return failed + bad


def _plain(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text).replace("|", "\\|").replace("\n", "<br>")


if __name__ == "__main__":
    table = Path(__file__).resolve().parents[2] / "docs" / "results" / "notebook-faults.md"
    sys.exit(1 if write_table(table, sys.argv[1:] or list(SCENARIOS)) else 0)
