"""A room like Kaggle's notebook image: read-only inputs, one folder to write to, no network, no credentials."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# $1: an empty folder for the new root; $2: inputs; $3: the folder to write to; the rest: the command
ENTER = """
set -e
new=$1 inputs=$2 working=$3
shift 3
mount -t tmpfs tmpfs "$new"
for path in /*; do
  name=${path#/}
  case $name in kaggle|tmp|proc) continue ;; esac
  if [ -L "$path" ]; then cp -P "$path" "$new/$name"
  elif [ -d "$path" ]; then mkdir "$new/$name"; mount --rbind "$path" "$new/$name"
  fi
done
mkdir -p "$new/tmp" "$new/proc" "$new/kaggle/input" "$new/kaggle/working"
mount -t tmpfs tmpfs "$new/tmp"
mount -t proc proc "$new/proc"
mount --bind "$inputs" "$new/kaggle/input"
mount -o remount,bind,ro "$new/kaggle/input"
mount --bind "$working" "$new/kaggle/working"
for kept in $KEPT; do mkdir -p "$new$kept"; mount --bind "$kept" "$new$kept"; done
cd /
exec chroot "$new" sh -c 'cd /kaggle/working; exec "$@"' sh "$@"
"""


def run(folder: Path, *command: str, timeout: float = 250) -> subprocess.CompletedProcess[str]:
    """Run a command in the room; its /kaggle/input is folder/input, and /kaggle/working folder/working."""
    for name in ("input", "working", "root"):
        (folder / name).mkdir(exist_ok=True)
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "sh", "-c"]
    places = [str(folder / name) for name in ("root", "input", "working")]
    kept = [str(path) for path in (ROOT, Path(sys.prefix)) if path.is_relative_to("/tmp")]
    environment = {
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "HOME": "/tmp/home",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
        "KAGGLE_URL_BASE": "https://www.kaggle.com",
        "KEPT": " ".join(kept),
    }
    return subprocess.run(
        [*unshare, ENTER, "sh", *places, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def skip_unless_possible(folder: Path) -> None:
    """Skip the test where this machine lets nobody make such a room."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing: no room without a network can be made")
    tried = run(folder, "true")
    if tried.returncode:
        pytest.skip(f"no room without a network can be made: {tried.stderr.strip()[-200:]}")
