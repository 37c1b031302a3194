"""Every kind of bad input, a file for each section, and what kagglekit says to it.

`PYTHONPATH=tests python -m support.bad_inputs` writes docs/results/bad-inputs.md.
"""

from __future__ import annotations

from importlib import import_module

from support.bad_inputs.case import CASES, Case, NotHereError

__all__ = ["CASES", "Case", "NotHereError"]

SECTIONS = (
    "competition_yaml",
    "competition_files",
    "archives",
    "clips",
    "models",
    "submissions",
    "kaggle",
    "full_disk",
    "processes",
    "workspace",
)
"""In the order of the table."""

for _name in SECTIONS:
    import_module(f"{__name__}.{_name}")
