"""Every request of every verb x everything that can go wrong with it, against the real client.

Run this file to write docs/results/kaggle-faults.md: python tests/support/kaggle_matrix.py [VERB]

A cell passes if the verb ends with all done (files identical, one submission) or with one error and one
hint, nothing half-written; and if, once the fault is gone, the same verb then ends well and no submission
was made twice.
"""

from __future__ import annotations

import html
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kagglekit.submission.ledger import Ledger
from support import notebook_site
from support.kaggle_server import (
    EXPIRED,
    HTML,
    KEY,
    REFRESH_TOKEN,
    USER,
    Drop,
    Fault,
    Flip,
    KaggleServer,
    Short,
    Stall,
    Unheard,
    flat,
    nested,
)
from support.kaggle_site import LATER, NOTES, Done, Site, server
from support.kaggle_wire import Masked, Trouble

SLOWEST = 60.0
"""Seconds that a cell may take, with the patience of kaggle_site.YAML."""
NOWHERE = Fault(302, b"", "text/html", (("Location", " file:///etc/passwd?signed=secret"),))
PATIENT = "--set network.timeout_s=20"
"""For a run that must succeed, however busy the machine."""


def faults(request: str) -> dict[str, Trouble]:
    """What can go wrong with a request; half-way is a place in its reply."""
    storage = request == "storage"
    half = 40_000 if storage else 9
    return {
        "400": flat(400, "Bad request"),
        "401": flat(401, "Unauthenticated"),
        "403": flat(403, "You must accept this competition's rules"),
        "403, the day's limit": flat(403, "You have used all submissions per day"),
        "404": flat(404, "Not found"),
        "408": Fault(408, b"", "text/html"),
        "429, the day's limit": nested(429, "Daily submission limit reached"),
        "429, at once": nested(429, "Too many requests", ("Retry-After", "0")),
        "429, in an hour": nested(429, "Quota used up", ("Retry-After", "3600")),
        "500": Fault(500, b"<html>Oops</html>", "text/html"),
        "503": nested(503, "Overloaded"),
        "HTML": HTML,
        "JSON of another shape": Fault(200, b"[3]"),
        "cut before it is heard": Unheard(reset=True),
        "done, reply lost": Drop(),
        "done, a proxy says 408": Masked(Fault(408, b"", "text/html")),
        "done, a proxy says 403": Masked(Fault(403, b"<html>Blocked</html>", "text/html")),
        "done, a gateway says 504": Masked(Fault(504, b"<html>Gateway timeout</html>", "text/html")),
        "done, a login page answers": Masked(HTML),
        "cut half-way": Drop(half),
        "reset half-way": Drop(half, reset=True),
        "no reply comes": Stall(),
        "stalls half-way": Stall(half),
        "a byte is wrong": Flip(half if storage else 0),
        "short, length agrees": Short(half if storage else 1),
        **({"the address has expired": EXPIRED} if storage else {}),
        **({"an impossible address": NOWHERE} if request == "DownloadDataFile" else {}),
    }


@dataclass(frozen=True)
class Verb:
    """A command, the requests it makes, what must be there before it, and what must be true when it is done."""

    command: str
    requests: tuple[str, ...]
    prepare: Callable[[Site], object]
    check: Callable[[Site], None]
    again: str = ""
    """What an error of the second run may say, where the first one left nothing to do it with, or to do."""
    server: Callable[[], KaggleServer] = server
    site: Callable[[Path, KaggleServer], Site] = Site


def _nothing(_: Site) -> None:
    """Nothing to prepare, or to check."""


def _by_token(site: Site) -> None:
    site.credentials = {"KAGGLE_API_TOKEN": KEY}


def _by_login(site: Site) -> None:
    """As `kaggle auth login` leaves it."""
    site.credentials = {}
    (site.home / ".kaggle").mkdir()
    login = {"refresh_token": REFRESH_TOKEN, "username": USER, "scopes": []}
    (site.home / ".kaggle" / "credentials.json").write_text(json.dumps(login))


def _submitted_before(site: Site) -> None:
    site.put("sample_submission.csv")
    assert site.run("submit --file guess.csv --upload --yes --no-wait").code == 0
    site.server.calls.clear()


def _one_submission(site: Site) -> None:
    made = [s["fileName"] for s in site.server.submissions]
    assert len(made) == 1 and made[0].endswith("_guess.csv"), f"the host has the submissions {made}"


def _score_known(site: Site) -> None:
    _one_submission(site)
    entries = Ledger(site.folder / "submissions" / "leaderboard.jsonl").entries()
    assert [entry.status for entry in entries] == ["COMPLETE"], f"the log has {entries}"


VERBS = {
    "fetch": Verb(
        f"fetch train.7z test.zip sample_submission.csv '{NOTES}'",
        ("ListDataFiles", "DownloadDataFile", "storage"),
        _nothing,
        lambda site: site.check_files(all_there=True),
    ),
    "submit": Verb(
        "submit --file guess.csv --upload --yes",
        (
            "GetCompetition",
            "GetSubmissionLimits",
            "ListSubmissions",
            "StartSubmissionUpload",
            "upload",
            "CreateSubmission",
            "GetSubmission",
        ),
        lambda site: site.put("sample_submission.csv"),
        _one_submission,
        again="sent before",
    ),
    "leaderboard": Verb(
        "leaderboard --sync", ("ListSubmissions", "GetLeaderboard"), _submitted_before, _score_known
    ),
    "sign in by token": Verb("fetch --list", ("IntrospectToken",), _by_token, _nothing),
    "sign in by login": Verb(
        "fetch --list",
        ("GenerateAccessToken",),
        _by_login,
        _nothing,
        again="no credential found",  # the client removes a login that Kaggle refuses
    ),
    "doctor": Verb(
        "doctor",
        ("GetCompetition", "ListDataFiles", "GetSubmissionLimits"),
        _nothing,
        _nothing,
    ),
}


NOTEBOOK = "submit a notebook"
VERBS[NOTEBOOK] = Verb(
    notebook_site.SUBMIT,
    (
        "GetCompetition",
        "GetSubmissionLimits",
        "GetDataset",
        "ListDatasets",
        "StartBlobUpload",
        "upload",
        "CreateDataset",
        "GetDatasetStatus",
        "ListDatasetFiles",
        "GetKernel",
        "ListKernels",
        "SaveKernel",
        "GetKernelSessionStatus",
        "ListKernelSessionOutput",
        "storage",
        "ListSubmissions",
        "CreateCodeSubmission",
        "GetSubmission",
    ),
    _nothing,
    lambda site: site.check_submitted(),  # type: ignore[attr-defined]
    again="submitted before",
    server=notebook_site.server,
    site=notebook_site.NotebookSite,
)


class Cell(NamedTuple):
    """One verb with one fault in one of its requests: the first time only, or always."""

    verb: str
    request: str
    fault: str
    always: bool

    def __str__(self) -> str:
        return f"{self.verb}: {self.request}: {self.fault}, {'always' if self.always else 'once'}"

    @property
    def trouble(self) -> Trouble:
        return faults(self.request)[self.fault]


class Outcome(NamedTuple):
    """What came of it."""

    cell: Cell
    done: Done
    requests: int
    """Of the method that the fault was in."""


def cells(verb: str) -> Iterator[Cell]:
    """Every cell of a verb."""
    for request in VERBS[verb].requests:
        for fault in faults(request):
            yield Cell(verb, request, fault, always=False)
            yield Cell(verb, request, fault, always=True)


def run(cell: Cell, folder: Path) -> Outcome:
    """Run one cell in a new folder.

    Raises:
        AssertionError: it did not end as it must.
    """
    verb = VERBS[cell.verb]
    with verb.server() as kaggle:
        site = verb.site(folder, kaggle)
        verb.prepare(site)
        kaggle.faults[cell.request] = cell.trouble if cell.always else [cell.trouble]
        start = time.monotonic()
        done = site.run(verb.command)
        seconds = time.monotonic() - start
        requests = kaggle.calls.count(cell.request)
        assert requests, f"{cell.verb} makes no request {cell.request}: {done.err}"
        assert seconds < SLOWEST, f"it took {seconds:.1f} s"
        site.check_files()
        assert len(kaggle.submissions) <= 1, "it was sent twice"
        if done.code == 0:
            verb.check(site)
        kaggle.faults.clear()
        second = site.run(f"{verb.command} {PATIENT}", later=LATER)
        assert second.code == 0 or (verb.again and verb.again in second.message), f"then: {second.err}"
        verb.check(site)
        site.check_files()
        # a push whose reply is lost, and is not found, may be made again: it costs minutes, no submission
        pushes = [len(versions) for versions in kaggle.kernels.values()]
        assert sum(pushes) <= 1 + cell.always, f"it was pushed {pushes} times"
    return Outcome(cell, done, requests)


# --- the table ---


def write_table(path: Path, verbs: list[str]) -> int:
    """Run every cell and write what came of it; how many failed."""
    lines = [
        "# Kaggle's faults",
        "",
        "What kagglekit makes of each fault in each request. A verb ends with all done (files identical, one",
        "submission) or with one error and one hint, nothing half-written. Once the fault is gone, the same",
        "verb ends well, and no submission is made twice. Anything else would stand here as **FAILED**.",
        "",
        "Each cell says what comes of the fault in the first request, then in every one: ok, done all the",
        "same; error, in the words below the table. The real client, a loopback Kaggle. Made by",
        "`python tests/support/kaggle_matrix.py`; `tests/hosts/test_kaggle_faults.py` checks the same.",
    ]
    table, total, failed = grids(verbs)
    lines += [*table, "", f"{total} cells, {failed} failed."]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return failed


def grids(verbs: list[str]) -> tuple[list[str], int, int]:
    """Run every cell of some verbs; the lines of their tables, how many cells they have, and how many failed."""
    failed = total = 0
    lines: list[str] = []
    for verb in verbs:
        outcomes: dict[Cell, Outcome | AssertionError] = {}
        for cell in cells(verb):
            outcomes[cell] = _tried(cell)
            total += 1
            if isinstance(outcomes[cell], AssertionError):
                failed += 1
                print(f"FAILED {cell}: {outcomes[cell]}", file=sys.stderr)
        lines += ["", f"## {verb}", "", *_grid(verb, outcomes), "", *_words(outcomes)]
        print(f"{verb}: {len(outcomes)} cells, {failed} failed so far", file=sys.stderr)
    return lines, total, failed


def _tried(cell: Cell) -> Outcome | AssertionError:
    with TemporaryDirectory() as folder:
        try:
            return run(cell, Path(folder, "site"))
        except AssertionError as error:
            return error


def _grid(verb: str, outcomes: dict[Cell, Outcome | AssertionError]) -> list[str]:
    """A row a fault, a column a request."""
    requests = VERBS[verb].requests
    rows = [f"| fault | {' | '.join(requests)} |", "|---" * (len(requests) + 1) + "|"]
    for fault in dict.fromkeys(cell.fault for cell in outcomes):
        row = []
        for request in requests:
            both = [outcomes.get(Cell(verb, request, fault, always)) for always in (False, True)]
            row.append(" · ".join(_verdict(outcome) for outcome in both if outcome is not None))
        rows.append(f"| {fault} | {' | '.join(row)} |")
    return rows


def _verdict(outcome: Outcome | AssertionError) -> str:
    if isinstance(outcome, AssertionError):
        return "**FAILED**"
    return "ok" if outcome.done.code == 0 else "error"


def _words(outcomes: dict[Cell, Outcome | AssertionError]) -> list[str]:
    """Every error with the faults that lead to it."""
    words2faults: dict[tuple[str, str, str], list[str]] = {}
    for cell, outcome in outcomes.items():
        if isinstance(outcome, Outcome) and outcome.done.code:
            words = (cell.request, _cell(outcome.done.message), _cell(outcome.done.hint))
            words2faults.setdefault(words, []).append(cell.fault)
    rows = ["| request | fault | error | hint |", "|---|---|---|---|"]
    for (request, message, hint), faults in words2faults.items():
        rows.append(f"| {request} | {'; '.join(dict.fromkeys(faults))} | {message} | {hint} |")
    return rows


CHANGING = {
    r"127\.0\.0\.1:\d+": "127.0.0.1",
    r"\b\d{8}-\d{6}_": "TIME_",
    rf"train\.7z|test\.zip|sample_submission\.csv|{NOTES}": "FILE",
}
"""What is another at each run, and would make the table differ; files come in parallel."""


def _cell(text: str) -> str:
    for pattern, constant in CHANGING.items():
        text = re.sub(pattern, constant, text)
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", "<br>")


if __name__ == "__main__":
    table = Path(__file__).resolve().parents[2] / "docs" / "results" / "kaggle-faults.md"
    sys.exit(1 if write_table(table, sys.argv[1:] or [v for v in VERBS if v != NOTEBOOK]) else 0)
