"""Write docs/results/bad-inputs.md: the message of every case."""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from support.bad_inputs import CASES, Case, NotHereError
from support.outcome import Outcome


def rows(case: Case, shown: list[Outcome]) -> list[str]:
    """Return the lines of a case in the table."""
    lines: list[str] = []
    for one in shown:
        code = f"`kagglekit {one.command}`".replace("|", "\\|")
        answer = one.message or " · ".join(one.out.splitlines()[:3]) or one.err.splitlines()[0]
        lines.append(" | ".join(["", code, str(one.code), _cell(answer), _cell(one.hint)]) + " |")
    first, *others = dict.fromkeys(lines)
    return [f"| {case.what}{first}", *(f"| {other}" for other in others)]


CHANGING = {
    r"\b\d{8}-\d{6}_": "TIME_",
    r"\b[0-9a-f]{12}\b": "KEY",
    r"in \d+ s, ": "",
    r", [\d,]+ clips/s": "",
}
"""Texts that differ between runs."""


def _cell(text: str) -> str:
    for pattern, constant in CHANGING.items():
        text = re.sub(pattern, constant, text)
    text = html.escape(text, quote=False).replace("|", "\\|")
    return "<br>".join(line.strip() for line in text.splitlines())


def write_table(path: Path) -> None:
    """Run every case and write the messages as a table."""
    lines = [
        "# Bad inputs",
        "",
        "kagglekit's message for each, on a tiny competition of tones. In every case with exit 1",
    ]
    lines += ["all files of the workspace stay unchanged, and once the input is repaired the same command"]
    lines += [
        "continues. Written by `PYTHONPATH=tests python -m support.bad_inputs`; `tests/test_bad_inputs.py` checks the same."
    ]
    current = ""
    for number, case in enumerate(CASES):
        if case.section != current:
            current = case.section
            lines += [
                "",
                f"## {current}",
                "",
                "| what is wrong | command | exit | message | hint |",
                "|---|---|---|---|---|",
            ]
        with TemporaryDirectory() as folder:
            try:
                lines += rows(case, case.run(Path(folder, str(number))))
            except NotHereError as error:
                lines.append(f"| {case.what} | | | not run here: {error} | |")
        print(f"{number + 1}/{len(CASES)} {case.section}: {case.what}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for _variable in [v for v in os.environ if v.startswith("KAGGLE_")]:
        del os.environ[_variable]
    os.environ["HF_HUB_OFFLINE"] = "1"
    write_table(Path(__file__).resolve().parents[3] / "docs" / "results" / "bad-inputs.md")
