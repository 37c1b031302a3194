"""Store which runs taught, beside the soft targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kagglekit.files.atomic import write_json
from kagglekit.runs.store import Run
from kagglekit.training.soft_targets import FACTS


def write_facts(folder: Path, kind: str, teachers: Sequence[Run], facts: Mapping[str, Any]) -> None:
    """Write the teachers, the mean of their scores' test shifts, and other facts."""
    shift = sum(run.score.shift for run in teachers) / len(teachers)
    write_json(folder / FACTS, {"kind": kind, "runs": [run.id for run in teachers], "shift": shift, **facts})
