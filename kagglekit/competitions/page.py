"""Read the example of a submission on a competition's page about evaluation."""

import csv
import html
import re

import polars as pl

_TAG = re.compile(r"<[^<>]*>")
_NAME = re.compile(r"[^\W\d]\w{0,39}")
LEAST_ROWS = 2
MOST_CHARACTERS = 10**6


def example_of(page: str) -> pl.DataFrame | None:
    """Return the first lines of a page that are a CSV: a header of names, and at least two rows.

    Args:
        page: its text, HTML or Markdown.
    """
    lines = [line.strip() for line in html.unescape(_TAG.sub("\n", page[:MOST_CHARACTERS])).splitlines()]
    for number, line in enumerate(lines):
        names = _cells(line)
        if len(names) < 2 or len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            continue
        rows = []
        for below in lines[number + 1 :]:
            if len(cells := _cells(below)) != len(names):
                break
            rows.append(cells)
        if len(rows) >= LEAST_ROWS:
            return pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
    return None


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error:
        return []
