"""`kagglekit run` once more, when all of it is done already.

    python benchmarks/bench_rerun.py [--rounds N]

speech-mini with tcresnet, for one epoch; the first run, which is not timed, does the work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import HERE, ROOT, Figure, Row, arguments, need, report, timed

SOURCE = ROOT.parent / "shared" / "data" / "speech-mini"


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    need(SOURCE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "competition.yaml")
        copy.write_text((HERE / "speech_mini.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "kagglekit",
            "-C",
            str(copy),
            "--quiet",
            "run",
            "--model",
            "tcresnet",
        ]
        for setting in (
            f"competition.local.files={SOURCE}",
            f"competition.local.solution={SOURCE / 'solution-public.csv'}",
            "train.epochs=1",
        ):
            command += ["--set", setting]

        def run() -> str:
            done = subprocess.run(command, env=environment, text=True, capture_output=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            return done.stdout

        first, said = run(), set()
        seconds = [timed(lambda: said.add(run())) for _ in range(args.rounds)]
        assert all(again.splitlines()[0] == first.splitlines()[0] for again in said), said
    figures = [Figure("rerun of a finished `run`", seconds, "s", most=2)]
    remarks = ["a whole process, its imports included; it says what the first run said"]
    report(Row("rerun", "no-op rerun of a finished `run`", "bench_rerun.py", figures, remarks))


if __name__ == "__main__":
    main()
