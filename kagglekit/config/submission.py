"""Columns of the submission CSV."""

from __future__ import annotations

from kagglekit.config.base import Section


class Submission(Section):
    """Columns of the submission CSV."""

    id: str = "fname"
    label: str = "label"
