"""Odd names in archives come out alike in every version of Python."""

from __future__ import annotations

import json
import subprocess
import sys

from support.places import ROOT


def test_names_are_read_as_by_other_versions_of_python() -> None:
    script = ROOT / "tests" / "support" / "archive_names.py"
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    expected = json.loads((ROOT / "docs" / "results" / "archive-names.json").read_text(encoding="utf-8"))
    results = json.loads(run.stdout)["results"]
    assert results == expected["results"] and len(results) == 96
    assert results["tar '../x'"] == "ArchiveError: a.tar contains an unsafe path: '../x'"
