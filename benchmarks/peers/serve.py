"""One round of a peer's work for each line on stdin; what it took as a line of JSON on stdout.

`run` does a round, `save PATH` keeps what the last one made as .npy. Whatever the peer itself prints goes to
stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def serve(work: Callable[[], Any], *, warm_up: bool = True) -> None:
    """Serve until stdin ends.

    Args:
        work: a round; it gives an array, or a dict of facts, whose `seconds` count instead of the round's.
        warm_up: do one round that nobody times.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    result = work() if warm_up else None
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        facts: dict[str, Any] = {}
        if command == "save":
            np.save(path, np.asarray(result))
        else:
            started = time.perf_counter()
            result = work()
            facts = {"seconds": time.perf_counter() - started}
            if isinstance(result, dict):
                facts |= result
        print(json.dumps(facts), file=replies, flush=True)
