"""Write one HTML file: scores, confusions, searches, data, and the worst errors with their sound."""

import argparse

from kagglekit.commands import add_count, add_names, file_name, open_project
from kagglekit.errors import plural
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit report
  report.html: 9.8 MB, 4 runs, 204 misclassified clips with sound
  next: open report.html in a browser"""

PORT = 8600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "report.html by default; with --charts, the folder charts"
    parser.add_argument("--out", metavar="FILE", type=file_name, help=about)
    about = "write the main charts into the folder --out instead, as svg, png or both"
    add_names(parser, "--charts", about)
    parser.add_argument(
        "--serve", action="store_true", help="show it at a local address instead, with every error to hear"
    )
    add_count(parser, "--port", f"for --serve; {PORT} by default", default=PORT)


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    if args.charts:
        files = project.report_charts(args.out or "charts", charts=args.charts)
        return console.result({"files": files}, [f"wrote {path}" for path in files])
    if args.serve:
        with project.report_server(args.port) as server:
            address = f"http://127.0.0.1:{server.server_port}/"
            console.result({"address": address}, [f"{address}  (Ctrl-C ends it)"])
            return server.serve_forever()
    path, runs, clips = project.report(args.out or "report.html")
    size, sounds = path.stat().st_size, f"{plural(clips, 'misclassified clip')} with sound"
    console.result(
        {"file": path, "bytes": size, "runs": runs, "clips": clips},
        [
            f"{path}: {size / 1e6:.1f} MB, {plural(runs, 'run')}, {sounds}",
            f"next: open {path} in a browser",
        ],
    )
