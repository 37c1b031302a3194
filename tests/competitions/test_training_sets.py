"""Training sets that a draft describes."""

from __future__ import annotations

import re

import polars as pl
import pytest

from kagglekit.competitions.answers import ShownSample
from kagglekit.competitions.recordings import Group
from kagglekit.competitions.training_sets import _outer_folder

PATHS = [
    f"data/{name}/day_{day}/{number}.wav"
    for name in ("hungry", "tired")
    for day in (1, 2)
    for number in (0, 1)
]


def sample(*cells: str) -> ShownSample:
    frame = pl.DataFrame({"id": [str(place) for place, _ in enumerate(cells)], "label": cells})
    return ShownSample("sample.csv", frame, "id", ["label"])


@pytest.mark.parametrize(
    ("cells", "label"),
    [
        (("hungry", "hungry"), "hungry"),
        (("tired,hungry,burping",), "hungry"),
        (("day_1", "day_2"), None),
        (("cat",), None),
        (("0", "1"), None),
    ],
)
def test_an_outer_folder_is_the_label_where_the_sample_answers_so(
    cells: tuple[str, ...], label: str | None
) -> None:
    pattern = _outer_folder(Group("data/*/*/*.wav", PATHS, ""), sample(*cells))
    assert (pattern and re.search(pattern, PATHS[0])[1]) == label  # type: ignore[index]
    assert _outer_folder(Group("data/*/*/*.wav", PATHS, ""), None) is None
