"""A command that kills itself at a file operation that it is about to do.

Whether it is about to open, make or rename something is known exactly, where a look from outside comes too early
or too late.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

SUICIDE = """
import os, signal, sys
points = sys.argv[1].split(",")

def hook(event, args):
    if event not in ("open", "os.rename", "os.mkdir"):
        return
    path = str(args[1] if event == "os.rename" else args[0])
    if f"{event}:{path}".startswith(points[0].split("*")[0]) and path.endswith(points[0].split("*")[1]):
        points.pop(0)
        if not points:
            os.kill(os.getpid(), signal.SIGKILL)

from kagglekit.cli import main
sys.addaudithook(hook)
sys.exit(main(sys.argv[2:]))
"""
"""`os.rename:*/a.csv,open:*b` dies where it is about to open b, after it was about to rename to a.csv."""


def killed(yaml: Path, points: str, *argv: str) -> None:
    """Run until it kills itself."""
    command = [sys.executable, "-c", SUICIDE, points, "--quiet", "-C", str(yaml), *argv]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert child.returncode == -signal.SIGKILL, f"it lived past {points}: {child.stderr}"
