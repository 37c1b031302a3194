"""Write one HTML file to look at: scores, confusions, searches, data, and the worst misses to hear."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kagglekit.report.source import Source

EXAMPLE = """example:
  $ kagglekit report
  report.html: 9.8 MB, 4 runs, 204 of 612 misses to listen to
  next: open report.html in a browser"""

PORT = 8600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", default="report.html", help="report.html by default")
    parser.add_argument(
        "--serve", action="store_true", help="show it at a local address instead, with every miss to hear"
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"for --serve; {PORT} by default")
    parser.add_argument(
        "--svg", metavar="FOLDER", default=None, help="write its main charts there instead, a file each"
    )
    parser.add_argument("--png", metavar="FOLDER", default=None, help="the same as PNG")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit.commands import command_line, open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.files.atomic import write_text
    from kagglekit.report import build, source
    from kagglekit.terminal import console

    _config, workspace = open_workspace(args)
    prepared = prepare(workspace)
    found = source.read(prepared, command_line(args))
    if args.svg or args.png:
        return _draw(found, args.svg, args.png)
    html = build.render(found, served=args.serve)
    if args.serve:
        return _serve(html, found, args.port)
    path = Path(args.out)
    write_text(path, html)
    size, heard = path.stat().st_size, html.count('"wav":')
    console.result(
        {"file": path, "bytes": size, "runs": len(found.runs), "clips": heard},
        [
            f"{path}: {size / 1e6:.1f} MB, {len(found.runs)} runs, {heard} misses to listen to",
            f"next: open {path} in a browser",
        ],
    )


def _draw(found: Source, svg_folder: str | None, png_folder: str | None) -> None:
    """Write the main charts.

    Raises:
        MissingError: there is nothing to draw, or what draws a PNG.
    """
    from pathlib import Path

    from kagglekit.charts import png, svg
    from kagglekit.errors import MissingError
    from kagglekit.report.pictures import pictures
    from kagglekit.terminal import console

    written = []
    for name, picture in pictures(found):
        for folder, kind in ((svg_folder, svg), (png_folder, png)):
            if folder is not None:
                path = Path(folder) / f"{name}.{kind.__name__.rpartition('.')[2]}"
                kind.save(picture, path)
                written.append(path)
    if not written:
        raise MissingError(
            "nothing to draw yet", hint="train a model first: kagglekit train --model tcresnet"
        )
    console.result({"files": written}, [f"wrote {path}" for path in written])


def _serve(html: str, found: Source, port: int) -> None:
    """Serve until Ctrl-C."""
    from kagglekit.report.serve import make_server
    from kagglekit.terminal import console

    server = make_server(html, found, port)
    address = f"http://127.0.0.1:{server.server_port}/"
    console.result({"address": address}, [f"{address}  (Ctrl-C ends it)"])
    with server:
        server.serve_forever()
