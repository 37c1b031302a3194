"""The scatter, read back as XML."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kagglekit.charts.cv_vs_lb import Point, scatter
from kagglekit.charts.svg import LINE, Picture
from kagglekit.project.report import save_picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(points: list[Point], band: float = 0.015) -> ElementTree.Element:
    return ElementTree.fromstring(scatter(points, note="n", band=band).standalone())


def circles(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]


def texts(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    found = root.iter(f"{SVG}text")
    return {text.text or "": (float(text.attrib["x"]), float(text.attrib["y"])) for text in found}


def line(root: ElementTree.Element, kind: str) -> list[float]:
    found = next(e for e in root.iter(f"{SVG}line") if e.attrib["class"] == kind)
    return [float(found.attrib[name]) for name in ("x1", "y1", "x2", "y2")]


def test_equal_scores_lie_on_the_diagonal() -> None:
    root = drawn([Point(0.83, 0.83, "a"), Point(0.9, 0.9, "b")])
    x1, y1, x2, y2 = line(root, "equal")
    for x, y in circles(root):
        assert (x - x1) / (x2 - x1) == pytest.approx((y - y1) / (y2 - y1), abs=1e-3)


def test_a_dot_lies_where_the_ticks_say() -> None:
    root = drawn([Point(0.82, 0.88, "a"), Point(0.9, 0.86, "b")])
    ticks = [(float(text), at) for text, at in texts(root).items() if text.startswith("0.")]
    # each label stands twice, and the dict keeps the one left of the plot: 4 px below its line
    (low, (_, bottom)), (high, (_, top)) = min(ticks), max(ticks)
    expected = bottom - 4 + (0.88 - low) / (high - low) * (top - bottom)
    assert circles(root)[0][1] == pytest.approx(expected, abs=0.2)


def test_the_band_is_as_wide_as_said() -> None:
    narrow, wide = (drawn([Point(0.8, 0.9, "a")], band) for band in (0.01, 0.02))

    def rise(root: ElementTree.Element) -> float:
        corners = next(root.iter(f"{SVG}polygon")).attrib["points"].split()
        (_, y0), (_, y1) = (tuple(map(float, corner.split(","))) for corner in corners[:2])
        return y0 - y1

    assert rise(wide) == pytest.approx(2 * rise(narrow), abs=0.2)


def test_names_make_way_for_each_other() -> None:
    root = drawn([Point(0.85, 0.86 + k / 10_000, f"model {k}") for k in range(5)])
    heights = sorted(y for text, (_, y) in texts(root).items() if text.startswith("model"))
    assert len(heights) == 5
    assert min(b - a for a, b in pairwise(heights)) >= LINE - 0.1


def test_names_are_text_and_nothing_else() -> None:
    name = "<script>&" + "x" * 40
    root = drawn([Point(0.5, 0.6, name)])
    assert not list(root.iter(f"{SVG}script"))
    assert f"{name}: 0.5000, 0.6000" in [title.text for title in root.iter(f"{SVG}title")]
    assert any(text.startswith("<script>&x") and text.endswith("…") for text in texts(root))


@pytest.mark.parametrize("points", [[Point(0.0, 1.0, "far")], [Point(0.5, 0.5, "one")] * 3])
def test_all_dots_lie_in_the_plot(points: list[Point]) -> None:
    root = drawn(points)
    x1, y1, x2, y2 = line(root, "equal")
    assert len(circles(root)) == 1
    assert all(x1 < x < x2 and y2 < y < y1 for x, y in circles(root))


def test_save(tmp_path: Path) -> None:
    picture = Picture(10, 20, "<&", "")
    save_picture(picture, tmp_path / "new" / "cv.svg")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cv.svg"]
    assert (tmp_path / "new" / "cv.svg").read_text() == picture.standalone()
