"""`kagglekit fetch` and `prepare` against `7z x` of the same archives: time and peak memory.

    python benchmarks/bench_prepare.py [../shared/data/speech-mini] [--repeats 3]

Runs the two alternately, each in a new process, and prints the medians as text and as one JSON line.
`7z x` takes one archive after the other; `prepare` takes both at once, in threads of one process, and
ends with the audio store, the silence clips and the clips table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech-mini"
YAML = Path(__file__).with_name("speech_mini.yaml")


def ours(source: Path, workspace: Path) -> list[list[str]]:
    """The two commands as a user types them, on archives in `source`."""
    common = [sys.executable, "-m", "kagglekit", "-C", str(YAML), "--quiet"]
    common += ["--set", f"workspace={workspace}", "--set", f"competition.local.files={source}"]
    return [[*common, "fetch"], [*common, "prepare"]]


def run(commands: list[list[str]]) -> tuple[float, float]:
    """Seconds for all commands, and MB of the largest."""
    start = time.perf_counter()
    peak = 0
    for command in commands:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"failed: {' '.join(command)}")
        peak = max(peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return time.perf_counter() - start, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", default=SOURCE, help="with train.7z and test.7z")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    source = args.source.resolve()
    if shutil.which("7z") is None or not all((source / f"{s}.7z").is_file() for s in ("train", "test")):
        print(f"skipped: 7z is not installed, or train.7z and test.7z are not in {source}")
        return
    results: dict[str, list[tuple[float, float]]] = {"7z": [], "ours": []}
    for _ in range(args.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            unpack = [["7z", "x", "-y", f"-o{scratch}", str(source / f"{s}.7z")] for s in ("train", "test")]
            results["7z"].append(run(unpack))
        with tempfile.TemporaryDirectory() as scratch:
            results["ours"].append(run(ours(source, Path(scratch))))
    seconds = {name: statistics.median(s for s, _ in runs) for name, runs in results.items()}
    summary = {
        "seven_zip_s": round(seconds["7z"], 2),
        "ours_s": round(seconds["ours"], 2),
        "ratio": round(seconds["ours"] / seconds["7z"], 3),
        "ours_peak_mb": round(max(mb for _, mb in results["ours"])),
        "repeats": args.repeats,
        "cpus": os.cpu_count(),
    }
    print("7z x {seven_zip_s} s, ours {ours_s} s: ratio {ratio}, peak {ours_peak_mb} MB".format(**summary))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
