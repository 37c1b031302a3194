"""Write docs/results/field-cases.md: what becomes of every case of ../shared/field-cases."""

from __future__ import annotations

import html
import os
import re
import shlex
from pathlib import Path

import pytest

from support.field_case import CASES, FieldCase, case_of, kinds
from support.outcome import Outcome
from support.places import ROOT


class Seen:
    """Gathers what each test said about its case."""

    def __init__(self) -> None:
        self.outcome: dict[str, str] = {}
        self.why: dict[str, str] = {}
        self.shown: dict[str, list[Outcome]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        report: pytest.TestReport = yield
        name = case_of(item.name)
        if report.when == "call" or report.outcome != "passed":
            self.outcome[name] = report.outcome
            if isinstance(report.longrepr, tuple):
                self.why[name] = report.longrepr[2].removeprefix("Skipped: ")
        case = getattr(item, "funcargs", {}).get("case")
        if isinstance(case, FieldCase):
            self.shown[name] = case.shown
        return report


def row(name: str, seen: Seen) -> str:
    """Return a case's line: pass, fail or skipped, and what kagglekit said where it stopped."""
    shown = seen.shown.get(name, [])
    stopped = [f"`kagglekit {o.command}`: {_cell(o.message)} → {_cell(o.hint)}" for o in shown if o.code == 1]
    worked = ", ".join(dict.fromkeys(_verb(o) for o in shown if o.code == 0))
    said = [f"works: {worked}"] if worked else []
    said += [seen.why[name]] if name in seen.why else []
    outcome = seen.outcome.get(name, "no test")
    return f"| {name} | {outcome} | {'<br>'.join([*said, *dict.fromkeys(stopped)])} |"


def _verb(outcome: Outcome) -> str:
    words = shlex.split(outcome.command)
    verb = next((w for w, before in zip(words, ["", *words], strict=False) if before != "-C" and w[0] != "-"))
    return f"{verb} --upload" if "--upload" in words else verb


def _cell(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{12}\b", "KEY", text)
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("`", "'")


def write_table(path: Path) -> None:
    """Run every case's test, the slow ones too, and write what happened as a table."""
    seen = Seen()
    pytest.main(["-q", "-m", "", "-p", "no:cacheprovider", str(ROOT / "tests" / "field_cases")], [seen])
    passed = sum(seen.outcome.get(name) == "passed" for name in kinds())
    lines = [
        "# Inputs that people really have",
        "",
        f"What becomes of the {len(kinds())} inputs of ../shared/{CASES.name}, made from public bug reports: "
        f"{passed} pass.",
        "Each is a test in `tests/field_cases/`, which checks what its expected.md says. Written by",
        "`PYTHONPATH=tests python -m support.field_case_table`.",
    ]
    for kind in dict.fromkeys(kinds().values()):
        lines += ["", f"## {kind}", "", "| input | test | what happens |", "|---|---|---|"]
        lines += [row(name, seen) for name in kinds() if kinds()[name] == kind]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.chdir(ROOT)
    write_table(ROOT / "docs" / "results" / "field-cases.md")
