"""Join the pages into one HTML file that loads nothing from the network."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kagglekit import __version__
from kagglekit.charts.svg import DARK, LIGHT, STYLE
from kagglekit.errors import listed
from kagglekit.report import data, ensembles, leaderboard, listening, overview, runs, studies
from kagglekit.report.source import Source
from kagglekit.scoring.metrics import Metric

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("pages.js", "charts.js", "sound.js", "listening.js")
LARGEST = 15_000_000  # bytes of the file
MOST_SOUND = 9_000_000  # bytes of embedded sound
FRAME = 500_000  # bytes kept for the style, the scripts and the frame around the pages

PAGES = {
    "overview": "Overview",
    "leaderboard": "Leaderboard",
    "runs": "Runs",
    "studies": "Searches",
    "ensembles": "Ensembles",
    "data": "Data",
    "listening": "Listening",
}


def render(source: Source, *, served: bool = False) -> str:
    """Render the report as HTML, whose sounds are embedded or loaded from kagglekit.report.serve."""
    searches = studies.read(source)
    pages: dict[str, dict[str, Any]] = {
        "overview": overview.page(source, searches),
        "leaderboard": leaderboard.page(source),
        "runs": runs.page(source),
        "studies": studies.page(searches),
        "ensembles": ensembles.page(source),
        "data": data.page(source),
    }
    environment = _environment(source.prepared.task.metric)
    bodies = {name: _body(environment, name, source, page) for name, page in pages.items()}
    left = LARGEST - FRAME - sum(len(body.encode()) for body in bodies.values())
    clips = listening.page(source, None if served else max(min(MOST_SOUND, left), 0))
    bodies["listening"] = _body(environment, "listening", source, clips)
    style = _style()
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return environment.get_template("report.html").render(
        title=source.config.competition.slug,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        names=PAGES,
        bodies={name: Markup(bodies[name]) for name in PAGES},
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script, served=served),
        data=_json({**clips["data"], "served": served}),
    )


def _environment(metric: Metric) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # clip ids, words and the host's messages come from others
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chart"] = lambda picture: Markup(picture.inline())  # charts/ escapes its texts
    environment.filters["difference"] = metric.difference
    environment.filters["listed"] = listed
    environment.globals["unit"] = metric.unit
    return environment


def _body(environment: Environment, name: str, source: Source, page: dict[str, Any]) -> str:
    return environment.get_template(f"{name}.html").render(**page, kagglekit=source.kagglekit)


def _style() -> str:
    """Return the palettes, the charts' style and the page's style."""
    light, dark = (
        f"color-scheme: {name}; " + " ".join(f"--{key}: {colour};" for key, colour in palette.items())
        for name, palette in (("light", LIGHT), ("dark", DARK))
    )
    chart_style = re.sub(r"^(?=\S)|(?<=, )(?=\.)", ".chart ", STYLE, flags=re.MULTILINE)
    return "\n".join(
        [
            f":root {{ {light} }}",
            f":root[data-theme=dark] {{ {dark} }}",
            f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}",
            chart_style,
            (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        ]
    )


def _policy(style: str, script: str, *, served: bool) -> str:
    """Return a content security policy that allows nothing but the file's own style and script."""
    sources = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "img-src": "data:",
        "media-src": "'self'" if served else "data:",
        "connect-src": "'self'" if served else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> Markup:
    """Encode as JSON that cannot close the <script> element around it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
