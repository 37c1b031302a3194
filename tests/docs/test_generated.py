"""The references of settings, commands and messages, and README's table of verbs, are what docs/generate.py writes."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import pytest

from kagglekit.cli import VERBS
from kagglekit.config import Config

ROOT = Path(__file__).resolve().parents[2]


@cache
def pages() -> dict[str, str]:
    written: dict[str, str] = runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]()
    return written


@pytest.mark.parametrize("name", ["docs/settings.md", "docs/cli.md", "docs/troubleshooting.md", "README.md"])
def test_the_page_is_what_the_code_says(name: str) -> None:
    there = (ROOT / name).read_text(encoding="utf-8")
    assert there == pages()[name], f"{name} is out of date: run python docs/generate.py"


def test_every_setting_has_a_row() -> None:
    page = pages()["docs/settings.md"]
    config = {f"{name}." for name in Config.model_fields} - {f"{name}." for name in TOP_LEVEL}
    assert all(f"| `{name}" in page or f"| **`{name}" in page for name in config)
    rows = (
        "| `train.lr` | number above 0 | `0.002` |",
        "| `train.augment.noise` | number from 0 to 1 | `0.15` |",
        "| **`competition.slug`** | text | required |",
        "| `models.<name>.checkpoint` | text or null | `null` |",
        "| `validation.prior` | name: number from 0 to 1 | `{}` |",
    )
    assert [row for row in rows if row not in page] == []


TOP_LEVEL = ("jobs", "processes", "workspace", "submissions")


def test_every_verb_has_its_options_and_an_example() -> None:
    page = pages()["docs/cli.md"]
    assert [verb for verb in VERBS if f"\n## {verb}\n" not in page] == []
    assert "| `--tuned` |" in page and "\n$ kagglekit train --model tcresnet,gru\n" in page


def test_messages_have_their_hints() -> None:
    page = pages()["docs/troubleshooting.md"]
    rows = (
        "| `there is no \u2026` | draft it with kagglekit init, go to its folder, or name the file: -C FILE |",
        "| `the daily limit of \u2026 is reached` | the limit resets at 00:00 UTC, in \u2026 h \u2026 min |",
        "### Searches",
    )
    assert [row for row in rows if row not in page] == []
    assert page.count("\n| `") > 300
