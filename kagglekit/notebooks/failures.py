"""Why a notebook has failed, in plain words, from what the host says and from the log."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

LAST_LINES = 15
MOST_CHARACTERS = 300
"""Of a line that is shown."""


class Failure(NamedTuple):
    """What went wrong, and what to do."""

    words: str
    remedy: str


REHEARSE = "kagglekit notebook rehearse"
MEMORY = Failure(
    "it needed more memory or disk than the host allows",
    f"{REHEARSE} shows the peak; take fewer models, or smaller ones",
)
TIME = Failure(
    "it ran longer than the host allows", f"{REHEARSE} shows the time of each stage; take fewer models"
)
NO_FILE = Failure("it ended without the submission file", f"its log says why; {REHEARSE} runs the same files")
SCORING = Failure(
    "the host cannot score the file that it wrote", "compare its rows and columns with the sample's"
)
THREW = Failure("it threw an exception", f"its log says where; {REHEARSE} runs the same files")
CANCELLED = Failure("its run was cancelled on the host", "--force pushes it again")
HOST_ERROR = Failure("the host itself failed", "--force submits it again")

KINDS = (
    (r"out of memory|allocate more memory|MemoryError|\bOOM\b|exit code:? 137|allowed compute", MEMORY),
    (r"time-?out|timed out|time limit|allowed runtime|maximum (run|execution) ?time", TIME),
    (r"submission (csv|file) not found|did not output", NO_FILE),
    (r"scoring error|evaluation exception", SCORING),
    (r"threw exception|unhandled error|exited with code|non-zero exit|\bTraceback\b", THREW),
    (r"cancel", CANCELLED),
    (r"kaggle error|system error|internal error", HOST_ERROR),
)
"""Kaggle's names for failures of code submissions, and what a run's failure message and log say."""


def failure_of(message: str, log: str) -> Failure:
    """Return the failure that the host's words name, or else the log; an exception with its last line."""
    for text in (message, log):
        for pattern, failure in KINDS:
            if re.search(pattern, text, re.IGNORECASE):
                return _with_exception(log) if failure is THREW else failure
    words = f"the host says: {message}" if message else "the host does not say why"
    return Failure(words, "its log may say more")


def _with_exception(log: str) -> Failure:
    """Name the exception in a log, as the last line of a traceback does."""
    raised = re.findall(r"^[\w.]+(?:Error|Exception|Interrupt|Exit|Warning)\b.*$", log, re.MULTILINE)
    last = f": {raised[-1][:MOST_CHARACTERS]}" if raised else ""
    return Failure(f"{THREW.words}{last}", THREW.remedy)


def text_of_log(log: str) -> str:
    """Return a log as text. Kaggle's is a JSON array of pieces, each with `data`; others are text already."""
    try:
        events = json.loads(log)
    except (ValueError, RecursionError):
        return log
    events = events if isinstance(events, list) else [events]
    pieces = [event.get("data", "") for event in events if isinstance(event, dict)]
    return "".join(piece for piece in pieces if isinstance(piece, str))


def last_lines(text: str, most: int = LAST_LINES) -> list[str]:
    """Return the last lines of a log that say anything."""
    return [line.rstrip()[:MOST_CHARACTERS] for line in text.splitlines() if line.strip()][-most:]
