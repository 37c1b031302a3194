"""The HTML report, its charts as files, and its server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.errors import ConfigError, MissingError
from kagglekit.project.base import Names, ProjectBase, split_names

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

    from kagglekit.charts.svg import Picture
    from kagglekit.report.source import Source


class Report(NamedTuple):
    """An HTML report on disk."""

    path: Path
    runs: int
    clips: int
    """Clips to listen to."""


class ReportMethods(ProjectBase):
    """The part of `Project` that reports."""

    def report(self, out: str | Path = "report.html") -> Report:
        """Write the HTML report."""
        from kagglekit.files.atomic import write_text
        from kagglekit.report import build

        source, path = self._source(), Path(out)
        html = build.render(source)
        write_text(path, html)
        return Report(path, len(source.runs), html.count('"wav":'))

    def report_charts(self, out: str | Path = "charts", *, charts: Names = "svg") -> list[Path]:
        """Write the report's main charts, as svg, png or both, to a folder; return their paths.

        Raises:
            MissingError: there is nothing to draw, or no package that draws a PNG.
        """
        from kagglekit.report.pictures import pictures

        paths = []
        for name, picture in pictures(self._source()):
            for kind in split_names(charts):
                paths.append(Path(out) / f"{name}.{kind}")
                save_picture(picture, paths[-1])
        if not paths:
            raise MissingError(
                "nothing to draw yet", hint="train a model first: kagglekit train --model tcresnet"
            )
        return paths

    def report_server(self, port: int = 8600) -> ThreadingHTTPServer:
        """Return a server of the report on this machine; its `serve_forever` runs until Ctrl-C."""
        from kagglekit.report import build
        from kagglekit.report.serve import make_server

        source = self._source()
        return make_server(build.render(source, served=True), source, port)

    def _source(self) -> Source:
        from kagglekit.report import source

        return source.read(self.prepared, self.command())


def save_picture(picture: Picture, path: Path) -> None:
    """Write a chart in the format that its file's ending names.

    Raises:
        ConfigError: neither .svg nor .png.
    """
    from kagglekit.charts.png import to_png
    from kagglekit.files.atomic import write_bytes

    if path.suffix not in (".svg", ".png"):
        raise ConfigError(f"--out {path}: not a picture", hint="end its name in .svg or .png")
    write_bytes(path, to_png(picture) if path.suffix == ".png" else picture.standalone().encode())
