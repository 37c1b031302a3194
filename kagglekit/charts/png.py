"""Charts as PNG, for a forum post or a report that takes no SVG. resvg draws them."""

from __future__ import annotations

import os
from pathlib import Path

from kagglekit.charts.svg import Picture
from kagglekit.errors import MissingError

ZOOM = 2.0  # px of the file per px of the chart: sharp on today's screens
_EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'


def to_png(picture: Picture) -> bytes:
    """The picture as the bytes of a PNG, ZOOM times its size.

    Raises:
        MissingError: resvg is not installed, or this machine has no font.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingError(
            "PNG pictures need resvg-py", hint="pip install 'kagglekit[png]', or write SVG: --svg"
        ) from error
    letter = _EMPTY.format('<text x="2" y="16" font-family="sans-serif">M</text>')
    if resvg_py.svg_to_bytes(svg_string=letter) == resvg_py.svg_to_bytes(svg_string=_EMPTY.format("")):
        raise MissingError(
            "this machine has no font to write on a PNG with",
            hint="install one, e.g. apt-get install fonts-dejavu-core, or write SVG: --svg",
        )
    return bytes(resvg_py.svg_to_bytes(svg_string=picture.standalone(), zoom=ZOOM))


def save(picture: Picture, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    content = to_png(picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
