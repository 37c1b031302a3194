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


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit import console
    from kagglekit.commands import command_line, open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.report import build, source

    config, workspace = open_workspace(args)
    prepared = prepare(config, workspace)
    found = source.read(config, workspace, prepared, command_line(args))
    html = build.render(found, served=args.serve)
    if args.serve:
        return _serve(html, found, args.port)
    path = Path(args.out)
    build.write(html, path)
    size, heard = path.stat().st_size, html.count('"wav":')
    console.result(
        {"file": path, "bytes": size, "runs": len(found.runs), "clips": heard},
        [
            f"{path}: {size / 1e6:.1f} MB, {len(found.runs)} runs, {heard} misses to listen to",
            f"next: open {path} in a browser",
        ],
    )


def _serve(html: str, found: Source, port: int) -> None:
    """Serve until Ctrl-C."""
    from kagglekit import console
    from kagglekit.report.serve import make_server

    server = make_server(html, found, port)
    address = f"http://127.0.0.1:{server.server_port}/"
    console.result({"address": address}, [f"{address}  (Ctrl-C ends it)"])
    with server:
        server.serve_forever()
