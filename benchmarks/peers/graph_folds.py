"""Recordings through a graph of all folds: graph_folds.py GRAPH RECORDINGS THREADS

Files are decoded ahead in threads, and their windows are batched across recordings; no torch is imported.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
from serve import serve

BATCH_SAMPLES = 2**20  # so that the spectra of a batch stay in the caches
AHEAD = 4  # recordings


def windows_of(path: Path, samples: int) -> np.ndarray[Any, Any]:
    """(windows, samples), float32 in [-1, 1]."""
    waveform, _ = soundfile.read(path, dtype="float32")
    return waveform[: len(waveform) // samples * samples].reshape(-1, samples)


def batches(paths: list[Path], samples: int, pool: ThreadPoolExecutor) -> Iterator[np.ndarray[Any, Any]]:
    """Yield batches of equal size, but for the last."""
    size, left = max(BATCH_SAMPLES // samples, 1), np.empty((0, samples), np.float32)
    waiting = [pool.submit(windows_of, path, samples) for path in paths[:AHEAD]]
    for number in range(len(paths)):
        windows = np.concatenate([left, waiting[number].result()])
        waiting[number] = None  # type: ignore[call-overload]
        if number + AHEAD < len(paths):
            waiting.append(pool.submit(windows_of, paths[number + AHEAD], samples))
        whole = len(windows) // size * size
        yield from np.split(windows[:whole], range(size, whole, size)) if whole else ()
        left = windows[whole:]
    if len(left):
        yield left


def main() -> None:
    import json

    graph, folder, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    samples = int(json.loads(session.get_modelmeta().custom_metadata_map["samples"]))
    paths = sorted(folder.iterdir())
    last: list[Any] = []

    def work() -> Any:
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as decoders, ThreadPoolExecutor(threads) as runners:
            parts = []
            for batch in batches(paths, samples, decoders):
                parts.append(runners.submit(session.run, None, {"waveform": batch}))
                if len(parts) > 2 * threads:
                    parts[-2 * threads].result()
            last[:] = [np.concatenate([part.result()[0] for part in parts])]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        if "torch" in sys.modules:
            raise SystemExit("torch was imported")
        np.save(folder.with_name("graph_logits.npy"), last[0])
        return {"seconds": time.perf_counter() - started, "peak_mb": peak}

    serve(work, warm_up=False)


if __name__ == "__main__":
    main()
