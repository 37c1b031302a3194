"""Try inputs, and write docs/results/fuzz.md: `PYTHONPATH=tests python -m support.fuzz 20000`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
for _name in [name for name in os.environ if name.startswith("KAGGLE_")]:
    del os.environ[_name]

from support.fuzz import bases, runner  # noqa: E402 - they import what reads these variables
from support.fuzz.kinds import KINDS  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "results" / "fuzz.md"


def preload() -> None:
    """Import what forked processes would each import; nothing that starts threads."""
    for path in sorted((ROOT / "kagglekit").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.endswith("__main__"):
            import_module(name)
    for read in (bases.recordings, bases.archives, bases.tables, bases.yamls):
        read()


def rows(results: dict[str, list[runner.Tried]]) -> list[str]:
    """Return the table: a line for each kind."""
    lines = [
        "| kind | inputs | accepted | explained, exit 1 | usage, exit 2 | faults | longest | most memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, tried in results.items():
        s = runner.summary(tried)
        lines.append(
            f"| {KINDS[name].what} | {len(tried):,} | {s['accepted']:,} | {s['explained']:,} | {s['usage']:,} | {s['fault']:,} | {s['seconds']:.1f} s | {s['mb']:.0f} MB |"
        )
    return lines


def kept(path: Path | None) -> dict[str, list[runner.Tried]]:
    """Return the results of earlier calls in a file; a long run may so be made in pieces."""
    results: dict[str, list[runner.Tried]] = {name: [] for name in KINDS}
    for line in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else ():
        tried = runner.Tried(*json.loads(line))
        results[tried.kind].append(tried)
    return results


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m support.fuzz", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200, help="inputs of all kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of the kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add to the results in this file")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="one input, in this process")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="kagglekit-fuzz-") as folder:
        os.environ["HOME"] = folder
        preload()
        names = [args.only[0]] if args.only else args.kinds.split(",")
        if {"used", "arguments", "host", "workspace"} & set(names):
            bases.make_boxes(Path(folder, "boxes"))
        if args.only:
            work = Path(folder, "work")
            work.mkdir()
            os.chdir(work)
            print(*runner.try_one(KINDS[args.only[0]], int(args.only[1]), args.seed, work), sep="\n")
            return 0
        results = kept(args.keep)
        shares = sum(KINDS[name].share for name in names)
        with args.keep.open("a", encoding="utf-8") if args.keep else nullcontext() as file:
            for name in names:
                count = max(round(args.count * KINDS[name].share / shares), 1)
                numbers = {*range(args.first, args.first + count)} - {t.number for t in results[name]}
                for tried in runner.run(name, sorted(numbers), args.seed):
                    results[name].append(tried)
                    if file:
                        print(json.dumps(tried), file=file, flush=True)
                    if tried.outcome == "fault":
                        print(f"--- {tried.kind} {tried.number}: {tried.detail}", flush=True)
        results = {name: tried for name, tried in results.items() if tried}
        print("\n".join(rows(results)))
    if args.write:
        PAGE.write_text("\n".join([*HEAD, *rows(results)]) + "\n", encoding="utf-8")
    return int(any(tried.outcome == "fault" for each in results.values() for tried in each))


HEAD = (
    "# Fuzzed inputs",
    "",
    "Inputs of every kind, damaged at random from seed 0. A fault is a traceback, an error that kagglekit calls unexpected or",
    "gives no hint for, a message of more than 20,000 characters, an exit code other than 0, 1 or 2, a password on the screen,",
    "more than 20 s, more than 1 GB, or a process that dies. Written by `PYTHONPATH=tests python -m support.fuzz 20000 --write`;",
    "`tests/test_fuzz.py` tries the first of them.",
    "",
)

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.exit(130)
