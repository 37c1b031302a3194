"""The elements of every chart: shapes, axes with round numbers, legends, and the two palettes."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

LINE, LETTER = 14, 7.2  # px: height of a line of text, width of an average letter of a wide font at 12 px
INLINE = 1.2  # scale on a page: the chart's text is then as large as the page's
SERIES = 7  # colours; the eighth series has the first colour again, dashed

# Series: the palette of Okabe and Ito, which people with any kind of colour vision can distinguish
# (https://jfly.uni-koeln.de/color/); in DARK its dark colours are lightened.
LIGHT = {
    "ink": "#1c2430", "muted": "#5a6675", "grid": "#e2e6eb", "paper": "#ffffff", "accent": "#0072b2",
    "c0": "#0072b2", "c1": "#d55e00", "c2": "#009e73", "c3": "#b8588f", "c4": "#b87f00", "c5": "#3d9bd1",
    "c6": "#5a6675",
}  # fmt: skip
DARK = {
    "ink": "#e6eaf0", "muted": "#9aa6b5", "grid": "#2c3542", "paper": "#171d26", "accent": "#5ab0e8",
    "c0": "#5ab0e8", "c1": "#f08a45", "c2": "#3cc79f", "c3": "#e39ac6", "c4": "#eab340", "c5": "#9ad4f5",
    "c6": "#9aa6b5",
}  # fmt: skip

STYLE = """\
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink) }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 10px }
.tiny { font-size: 8px }
.muted { fill: var(--muted) }
.strong { fill: var(--paper) }
.paper { fill: var(--paper) }
.grid { stroke: var(--grid) }
.axis, .leader { stroke: var(--muted) }
.leader { stroke-width: .7 }
.whisker { stroke: var(--ink); stroke-width: 1.4 }
.band { fill: var(--accent); fill-opacity: .1 }
.equal { stroke: var(--accent); stroke-dasharray: 5 4 }
.cell { fill: var(--accent); stroke: var(--grid); stroke-width: .5 }
.off { fill: var(--c1) }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.dot { stroke: var(--paper) }
.dash { stroke-dasharray: 4 3 }
.faint { fill: none; stroke: var(--muted); stroke-opacity: .35 }
""" + "".join(
    f".line.s{k}, .error.s{k} {{ stroke: var(--c{k}) }}\n"
    f".dot.s{k}, .bar.s{k}, .key.s{k} {{ fill: var(--c{k}) }}\n"
    for k in range(SERIES)
)


class Picture(NamedTuple):
    """A chart as SVG elements."""

    width: float
    height: float
    title: str
    """A one-line description; also read by screen readers."""
    body: str

    def inline(self) -> str:
        """Return the SVG for a page that has the palette and `STYLE`."""
        name = escape(self.title, {'"': "&quot;"})
        size = f'width="{INLINE * self.width:.0f}" height="{INLINE * self.height:.0f}"'
        return f'<svg class="chart" {size} {self._box()} role="img" aria-label="{name}">{self.body}</svg>'

    def standalone(self) -> str:
        """Return the SVG for a file: on white paper, with its own style."""
        style = re.sub(r"var\(--(\w+)\)", lambda name: LIGHT[name[1]], STYLE)
        paper = f'<rect class="paper" width="{self.width:g}" height="{self.height:g}"/>'
        size = f'width="{self.width:g}" height="{self.height:g}"'
        start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {self._box()} role="img">'
        title = f"<title>{escape(self.title)}</title>"
        return f"{start}\n{title}\n<style>\n{style}</style>\n{paper}\n{self.body}\n</svg>\n"

    def _box(self) -> str:
        return f'viewBox="0 0 {self.width:g} {self.height:g}"'


class Scale:
    """A linear map from values to px that begins and ends at round numbers.

    Args:
        start, end: px of its two ends.
        most: the largest number of steps between ticks.
        whole: put ticks on whole numbers only.
    """

    def __init__(
        self, low: float, high: float, start: float, end: float, *, most: int = 7, whole: bool = False
    ) -> None:
        if high - low < 1e-6:  # the smallest step: values that are equal but for rounding
            low, high = low - 0.5, high + 0.5
        steps = (digit * 10.0**power for power in range(0 if whole else -6, 9) for digit in (1, 2, 5))
        self.step = next((step for step in steps if (high - low) / step <= most), high - low)
        self.low = math.floor(low / self.step + 1e-9) * self.step
        self.high = math.ceil(high / self.step - 1e-9) * self.step
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        """Return the px of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return the round numbers from end to end."""
        return [self.low + k * self.step for k in range(round((self.high - self.low) / self.step) + 1)]

    def label(self, value: float) -> str:
        """Format a value with as many digits as the ticks need."""
        return f"{value:,.{max(math.ceil(-math.log10(self.step) - 1e-9), 0)}f}"


def axes(x: Scale, y: Scale, x_name: str, y_name: str) -> list[str]:
    """Draw the grid, the ticks and the names of two scales; `y.start` is the bottom."""
    drawn = []
    for tick in x.ticks():
        drawn.append(line((x(tick), y.start), (x(tick), y.end), "grid"))
        drawn.append(text(x(tick), y.start + 18, x.label(tick), anchor="middle"))
    for tick in y.ticks():
        drawn.append(line((x.start, y(tick)), (x.end, y(tick)), "grid"))
        drawn.append(text(x.start - 8, y(tick) + 4, y.label(tick), anchor="end"))
    drawn.append(text((x.start + x.end) / 2, y.start + 40, x_name, "muted", anchor="middle"))
    longest = max(len(y.label(tick)) for tick in y.ticks())
    return [*drawn, upright(x.start - 22 - LETTER * longest, (y.start + y.end) / 2, y_name)]


def legend(names: Sequence[str], x: float, y: float, width: float) -> tuple[list[str], float]:
    """Draw the keys of series 0, 1, ... from (x, y) on, in lines of at most `width` px.

    In the report, clicking a key hides and shows everything drawn with the same `data-series`.

    Returns:
        The elements, and the baseline of the last line in px.
    """
    drawn, left = [], x
    for k, name in enumerate(names):
        wide = 26 + LETTER * len(name)
        if left > x and left + wide > x + width:
            left, y = x, y + 18
        key = f'<rect class="key {series(k)}" x="{left:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2"/>'
        drawn.append(f'<g class="legend" data-series="{k}">{key}{text(left + 15, y, name)}</g>')
        left += wide
    return drawn, y


def series(k: int) -> str:
    """Return the CSS class of the k-th series: a colour, and a dash from the eighth series on."""
    return f"s{k % SERIES}" + (" dash" if k >= SERIES else "")


def group(k: int, marks: Iterable[str]) -> str:
    """Group the elements of the k-th series, so that its legend key can hide them."""
    return f'<g data-series="{k}">{"".join(marks)}</g>'


def line(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    """Draw a straight line."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Iterable[tuple[float, float]], kind: str, tip: str = "") -> str:
    """Draw a broken line."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}">{_tip(tip)}</path>'


def rect(x: float, y: float, width: float, height: float, kind: str, tip: str = "", more: str = "") -> str:
    """Draw a rectangle; `more` holds further attributes."""
    box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect class="{kind}" {box}{more and " " + more}>{_tip(tip)}</rect>'


def dot(x: float, y: float, kind: str, tip: str, radius: float = 5) -> str:
    """Draw a dot with a tooltip."""
    return f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{_tip(tip)}</circle>'


def text(x: float, y: float, words: str, kind: str = "label", anchor: str = "start") -> str:
    """Write text; `y` is its baseline."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def upright(x: float, y: float, words: str) -> str:
    """Write the name of a vertical axis, from bottom to top."""
    turned = f'<g transform="translate({x:.1f} {y:.1f}) rotate(-90)">'
    return turned + text(0, 0, words, "muted", anchor="middle") + "</g>"


def shortened(name: str, letters: int) -> str:
    """Shorten a name to at most `letters` letters."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
