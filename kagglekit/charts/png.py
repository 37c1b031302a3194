"""Write charts as PNG, for a forum post or a report that takes no SVG. resvg draws them."""

from kagglekit.charts.svg import Picture
from kagglekit.errors import MissingError

ZOOM = 2.0  # pixels of the file per pixel of the chart: sharp on today's screens
# The font comes from a package, so that a machine without fonts can write a PNG, and all write the same one.
# Letters that Manrope lacks (Chinese, for example) are taken from the machine's fonts where it has them.
FONT = "Manrope"


def to_png(picture: Picture) -> bytes:
    """Render the picture as PNG bytes, ZOOM times its size.

    Raises:
        MissingError: resvg-py or font-manrope is not installed.
    """
    try:
        import font_manrope
        import resvg_py
    except ImportError as error:
        raise MissingError(
            "PNG pictures need resvg-py and font-manrope", hint="pip install 'kagglekit[png]', or write SVG"
        ) from error
    content = resvg_py.svg_to_bytes(
        svg_string=picture.standalone(),
        zoom=ZOOM,
        font_files=sorted(font_manrope.font_files.values()),
        style_sheet=f"text {{ font-family: {FONT} !important }}",
    )
    return bytes(content)
