"""`kagglekit fetch` against the official client's own download, over loopback: time and peak memory.

    python benchmarks/bench_fetch.py [--mb 500] [--repeats 3]

Both are told to fetch one zip of stored members from tests/support/kaggle_server.py,
alternately, each in a new
process that imports the client; once as fast as loopback goes, once at the speed of a fast line. Ours
also compares the size, proves the bytes by MD5 or by every member's CRC, and takes the SHA-256. Memory
is flat if a file of a tenth of the size needs as much. Prints the medians as text and as one JSON line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.kaggle_server import SLUG, KaggleServer

MEMBER = 32_000  # bytes, as a clip of a second
YAML = f"""\
competition: {{slug: {SLUG}, host: kaggle}}
labels: {{targets: ["yes", "no"]}}
"""
THEIRS = (
    f"from kaggle import api; api.competition_download_file({SLUG!r}, 'big.zip', path='theirs', quiet=True)"
)


def make_zip(path: Path, megabytes: float) -> None:
    """A zip of clips that do not compress."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(int(megabytes * 1e6 / MEMBER)):
            archive.writestr(f"audio/{index:06d}.wav", os.urandom(MEMBER))


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and MB of peak memory, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"failed: {' '.join(command)}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return time.perf_counter() - start, peak / 1e6


def serve(big: Path, rate: float | None, parent: Connection) -> None:
    """Serve a file until the parent says stop; tell it how to come here."""
    with KaggleServer(files={big.name: big}, bytes_per_second=rate) as server:
        parent.send(server.environment(str(big.parent)))
        parent.recv()


def compare(big: Path, rate: float | None, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Fetch a file by both, alternately, at so many bytes a second."""
    folder = big.parent
    (folder / "competition.yaml").write_text(YAML)
    ours = [sys.executable, "-m", "kagglekit", "--quiet", "fetch", big.name]
    theirs = [sys.executable, "-c", THEIRS]
    results: dict[str, list[tuple[float, float]]] = {"theirs": [], "ours": []}
    # A process of its own: what it maps into memory would count as its children's peak, too.
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(big, rate, there), daemon=True)
    server.start()
    environment = {**os.environ, **here.recv()}
    for _ in range(repeats):
        for name, command, made in (("theirs", theirs, "theirs"), ("ours", ours, ".kagglekit")):
            results[name].append(run(command, folder, environment))
            (got,) = (folder / made).rglob(big.name)
            if got.stat().st_size != big.stat().st_size:
                raise RuntimeError(f"{got} is not whole")
            shutil.rmtree(folder / made)
    here.send("stop")
    server.join()
    return results


def medians(results: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """What comes into the summary."""
    client, ours = (statistics.median(s for s, _ in results[who]) for who in ("theirs", "ours"))
    return {
        "client_s": round(client, 2),
        "ours_s": round(ours, 2),
        "ratio": round(ours / client, 3),
        "client_peak_mb": round(max(mb for _, mb in results["theirs"])),
        "ours_peak_mb": round(max(mb for _, mb in results["ours"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=500, help="size of the file")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    text = "client {client_s} s, ours {ours_s} s: ratio {ratio}; peak {client_peak_mb} and {ours_peak_mb} MB"
    summary: dict[str, object] = {"mb": args.mb, "repeats": args.repeats, "cpus": os.cpu_count()}
    with TemporaryDirectory() as folder:
        big = Path(folder, "big.zip")
        for name, megabytes, rate, repeats in (
            ("a tenth", args.mb / 10, None, 1),
            ("loopback", args.mb, None, args.repeats),
            ("1 Gbit/s", args.mb, 125e6, args.repeats),
        ):
            make_zip(big, megabytes)
            found = medians(compare(big, rate, repeats))
            summary[name] = found
            print(f"{name}, {megabytes:.0f} MB: {text.format(**found)}")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
