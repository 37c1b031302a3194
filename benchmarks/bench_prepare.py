"""The archives of speech-mini to clips that a model can read: `kagglekit fetch` and `prepare` against peers.

    python benchmarks/bench_prepare.py [--rounds N]

Ours is timed as two commands, starting Python included, and ends with the audio store, the silence clips, the
folds and the clips table; the peers end with the samples alone, and their imports are not counted.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import HERE, ROOT, Figure, Peer, Row, arguments, best_of, need, ratios, report, take_turns, timed

from kagglekit.data.store import open_store

SOURCE = ROOT.parent / "shared" / "data" / "speech-mini"
ARCHIVES = [SOURCE / f"{split}.7z" for split in ("train", "test")]
LOOP, HUGGING_FACE = "7z x + soundfile + numpy", "py7zr + datasets"


def commands(workspace: Path) -> None:
    """Fetch and prepare, as a user types them."""
    common = [sys.executable, "-m", "kagglekit", "-C", str(HERE / "speech_mini.yaml"), "--quiet"]
    common += ["--set", f"workspace={workspace}", "--set", f"competition.local.files={SOURCE}"]
    for verb in ("fetch", "prepare"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([*common, verb], check=True, stdout=subprocess.DEVNULL, env=environment)


def content(workspace: Path) -> tuple[int, int]:
    """Clips of both stores, and the sum of their samples."""
    stores = [open_store(path) for path in workspace.glob("audio/t*/store")]
    return sum(map(len, stores)), sum(
        int(part.sum(dtype=np.int64)) for s in stores for _, part in s.batches()
    )


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    need(SOURCE)
    if shutil.which("7z") is None:
        print("skipped: there is no 7z")
        return
    found: set[tuple[int, int]] = set()
    bare: list[float] = []
    with Peer("archives_7z.py", *ARCHIVES) as loop, Peer("archives_py7zr.py", *ARCHIVES) as hugging_face:

        def ours() -> float:
            with tempfile.TemporaryDirectory() as folder:
                seconds = timed(lambda: commands(Path(folder)))
                found.add(content(Path(folder)))
            return seconds

        def theirs() -> float:
            seconds = loop()
            bare.append(loop.facts["decompression"])
            found.add((int(loop.facts["clips"]), int(loop.facts["sum"])))
            return seconds

        seconds = take_turns({"kagglekit": ours, LOOP: theirs, HUGGING_FACE: hugging_face}, args.rounds)
        assert len(found) == 1, f"not the same clips: {found}"
        assert hugging_face.facts["clips"] == next(iter(found))[0]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    mine = seconds.pop("kagglekit")
    figures = [
        Figure("as fast as the better peer", ratios(seconds[best_of(seconds)], mine), least=1.5),
        Figure("of the bare decompression", ratios(mine, bare), most=1.1),
        Figure("kagglekit", mine, "s"),
        *(Figure(name, values, "s") for name, values in seconds.items()),
        Figure("bare `7z x`, one archive after the other", bare, "s"),
    ]
    remarks = [
        f"{next(iter(found))[0]:,} clips, the same samples in all; the better peer is {best_of(seconds)}",
        f"largest process of all, peers included: {peak:.0f} MB",
    ]
    assert statistics.median(bare) > 0
    report(Row("prepare", "speech-mini archives to ready store", "bench_prepare.py", figures, remarks))


if __name__ == "__main__":
    main()
