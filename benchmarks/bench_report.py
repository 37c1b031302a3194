"""How long the report takes and how large it is for a simulated competition of 160,000 clips.

    python benchmarks/bench_report.py [--clips 160000] [--runs 6] [--folder FOLDER]

Clips of one second at 16 kHz (5 GB of store) from tests/support/simulated.py; runs, a search, an ensemble.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import simulated

from kagglekit.report import build, source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=160_000)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--folder", type=Path, default=None, help="where there is room; by default /tmp")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        made = simulated.make(Path(folder), clips=args.clips, test=1000, rate=16_000, seconds=1.0)
        for k in range(args.runs):
            simulated.add_run(made, f"model{k}", f"{k:012x}", skill=0.8 + 0.1 * k, epochs=40, seed=k)
        simulated.add_study(made, "model0", 200)
        for served in (False, True):
            started = time.perf_counter()
            found = source.read(*made, "kagglekit")
            read = time.perf_counter() - started
            html = build.render(found, served=served)
            build.write(html, Path(folder) / "report.html")
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kB on Linux
            name, listed = "--serve" if served else "file", html.count('"loss":')
            took = f"{seconds:.1f} s, {read:.1f} s of it reading"
            size = f"{len(html.encode()) / 1e6:.1f} MB, {listed:,} clips to hear"
            print(f"{name}: {args.clips:,} clips, {args.runs} runs: {took}; {size}; peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
