"""Every benchmark against peers, in turn, and docs/BENCHMARKS.md from what they found: `make bench`.

    python benchmarks/run_all.py [--render] [name ...]

Ends with 1 if a benchmark fails, or if a ratio has fallen since the last commit by more than its spread;
times are not compared, as machines differ. A row that misses what it must reach is shown, and is no failure
of this program.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable

from harness import HERE, MEASURED, ROOT, Figure, Row, parse, required, shown, value_of

ROWS = {
    "prepare": "bench_prepare.py",
    "decode": "bench_decode.py",
    "source": "bench_source.py",
    "logmel": "bench_logmel.py",
    "fbank": "bench_fbank.py",
    "epoch": "bench_epoch.py",
    "checksums": "bench_checksums.py",
    "training": "bench_training.py",
    "pretrained": "bench_pretrained.py",
    "embedder": "bench_embedder.py",
    "predict": "bench_predict.py",
    "growth": "bench_predict.py",
    "waveforms": "bench_waveforms.py",
    "ensemble": "bench_ensemble.py",
    "start": "bench_start.py",
    "rerun": "bench_rerun.py",
}
PAGE, NOTES = ROOT / "docs" / "BENCHMARKS.md", HERE / "notes.md"
HEAD = """\
# Benchmarks

Every benchmark measures a task of kagglekit and the same task in another library, its peer, in the same
run. `make bench` runs all of them and writes this page; `benchmarks/peers.txt` lists the peers'
versions. A figure is the median of its rounds, with the lowest and highest round in brackets. The two
sides take turns, and a ratio is computed for each round. Both sides use the same cores and threads, and
their outputs are compared. Import time counts only where whole commands are measured. No GPU was
available.
"""


def committed(name: str) -> Row | None:
    """The row as the last commit has it, if it does."""
    path = (MEASURED / f"{name}.json").relative_to(ROOT)
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True)
    return parse(done.stdout) if done.returncode == 0 else None


def measured(name: str) -> Row | None:
    """The row as it was measured here last."""
    path = MEASURED / f"{name}.json"
    return parse(path.read_text(encoding="utf-8")) if path.is_file() else None


def fallen(before: Row, now: Row) -> list[str]:
    """Ratios that are worse than before in their median, by more than either spread explains."""
    earlier = {figure.what: figure for figure in before.figures}
    return [
        f"{now.name}: {figure.what}: {value_of(figure)}, was {value_of(earlier[figure.what])}"
        for figure in now.figures
        if figure.unit == "x" and figure.what in earlier and is_worse(earlier[figure.what], figure)
    ]


def is_worse(before: Figure, now: Figure) -> bool:
    """Whether every round of now is on the wrong side of every round of before."""
    if now.most is not None:
        return min(now.values) > max(before.values)
    return max(now.values) < min(before.values)


def render(rows: Iterable[tuple[str, Row | None]], notes: dict[str, str]) -> str:
    """The page."""
    rows = list(rows)
    page = [HEAD, "| work | must reach | measured | |", "|---|---|---|---|"]
    for name, row in rows:
        page.append(summary_of(name, row))
    for name, row in rows:
        page += ["", *section_of(name, row, notes.get(name, ""))]
    return "\n".join(page) + "\n"


def summary_of(name: str, row: Row | None) -> str:
    """A line of the first table."""
    if row is None:
        return f"| {name} | | not measured yet | |"
    asked = [figure for figure in row.figures if figure.met is not None]
    must = "<br>".join(f"{figure.what}: {required(figure)}" for figure in asked)
    found = "<br>".join(value_of(figure) for figure in asked)
    return f"| [{row.work}](#{name}) | {must} | {found} | {'met' if row.met else '**missed**'} |"


def section_of(name: str, row: Row | None, note: str) -> list[str]:
    """A row in full."""
    lines = [f"## {name}", ""]
    if row is None:
        return [*lines, "Not measured yet.", *([note] if note else [])]
    rounds = max(len(figure.values) for figure in row.figures)
    lines += [f"{row.work}: `python benchmarks/{row.file}`, {rounds} rounds, {row.date}.", ""]
    lines += ["| figure | median | least | greatest | required | |", "|---|---|---|---|---|---|"]
    for figure in row.figures:
        low, high = shown(min(figure.values)), shown(max(figure.values))
        verdict = {True: "met", False: "missed", None: ""}[figure.met]
        median = f"{shown(figure.median)} {figure.unit}"
        lines.append(f"| {figure.what} | {median} | {low} | {high} | {required(figure)} | {verdict} |")
    lines += ["", *(f"- {remark}." for remark in row.remarks)]
    versions = ", ".join(f"{package} {version}" for package, version in row.versions.items())
    lines.append(f"- {row.machine}; {versions}.")
    return [*lines, *(["", note] if note else [])]


def read_notes() -> dict[str, str]:
    """What profiles said, by row: sections of notes.md."""
    found: dict[str, str] = {}
    for section in NOTES.read_text(encoding="utf-8").split("\n## ")[1:]:
        name, _, text = section.partition("\n")
        found[name.strip()] = text.strip()
    return found


def measure(names: list[str]) -> list[str]:
    """Run the benchmarks; those that failed."""
    failed = []
    for file in dict.fromkeys(ROWS[name] for name in names):
        started = time.perf_counter()
        print(f"== {file}", flush=True)
        if subprocess.run([sys.executable, HERE / file], check=False).returncode:
            failed.append(file)
        print(f"   {time.perf_counter() - started:.0f} s", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ROWS), metavar="name", help=", ".join(ROWS))
    parser.add_argument("--render", action="store_true", help="the page alone, from what was measured")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in ROWS]:
        parser.error(f"no benchmark is called {', '.join(unknown)}")
    failed = [] if args.render else measure(args.names)
    rows = {name: measured(name) for name in ROWS}
    PAGE.write_text(render(rows.items(), read_notes()), encoding="utf-8")
    worse = []
    for name, row in rows.items():
        before = committed(name)
        if row is not None and before is not None:
            worse += fallen(before, row)
    for line in worse:
        print(f"fell: {line}")
    for file in failed:
        print(f"failed: {file}")
    missed = [name for name, row in rows.items() if row is not None and not row.met]
    print(f"wrote {PAGE.relative_to(ROOT)}; missed: {', '.join(missed) or 'none'}")
    return 1 if failed or worse else 0


if __name__ == "__main__":
    sys.exit(main())
