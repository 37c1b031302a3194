"""A study in pictures: Optuna's plots in one HTML file that works offline, or its dashboard."""

from __future__ import annotations

import html
import warnings
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.trial import FrozenTrial

from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, KagglekitError, MissingError
from kagglekit.files.atomic import write_text
from kagglekit.search.importance import judged
from kagglekit.search.study import Desk, open_desk, whole
from kagglekit.terminal import console
from kagglekit.training.plan import resolve

HOST, PORT = "127.0.0.1", 8080
EXTRA = "pip install 'kagglekit[dashboard]'"


def write_plots(prepared: Prepared, chosen: Sequence[str], path: Path) -> list[str]:
    """Optuna's plots of each architecture's study, in one file.

    Returns:
        The names of the plots.

    Raises:
        MissingError: plotly is not installed, or no trial of a study has finished.
        ConfigError: the file cannot be an HTML file.
    """
    if path.suffix != ".html" or path.is_dir():
        raise ConfigError(f"--out {path}: not an HTML file", hint="for example --out study.html")
    figures: dict[str, Any] = {}
    for model in chosen:
        with open_desk(prepared, resolve(prepared.config, model)) as desk:
            if not whole(desk.study):
                raise MissingError(
                    f"no finished trial of {model}", hint=f"search first: kagglekit tune --model {model}"
                )
            figures |= {f"{model}: {name}": figure for name, figure in _figures(desk).items()}
    parts = [
        f"<h2>{html.escape(name)}</h2>\n" + figure.to_html(full_html=False, include_plotlyjs=index == 0)
        for index, (name, figure) in enumerate(figures.items())
    ]
    page = f'<!doctype html><meta charset="utf-8"><title>kagglekit tune</title>\n{"".join(parts)}\n'
    write_text(path, page)
    return list(figures)


def _figures(desk: Desk) -> dict[str, Any]:
    """Optuna's plots that say something about this study, by name."""
    try:
        import plotly  # noqa: F401 - Optuna's plots need it, and say so at greater length
    except ImportError as error:
        raise MissingError("the plots need plotly, which is not installed", hint=EXTRA) from error
    from optuna import visualization

    study = desk.study

    def score_of(trial: FrozenTrial) -> float:
        return float(trial.values[0])

    usual: dict[str, Any] = {"target": score_of, "target_name": "CV"} if len(study.directions) > 1 else {}
    varied = len({tuple(sorted(trial.params.items(), key=str)) for trial in whole(study)}) > 1
    figures = {"history": visualization.plot_optimization_history(study, **usual)}
    if varied:  # of one point nothing can be compared
        with warnings.catch_warnings():  # that a parameter which few trials have is judged by few
            warnings.simplefilter("ignore")
            figures["importance"] = visualization.plot_param_importances(
                study if usual else judged(study), **usual
            )
        figures["parallel coordinates"] = visualization.plot_parallel_coordinate(study, **usual)
        figures["slices"] = visualization.plot_slice(study, **usual)
    if usual:
        names: list[str] = list(desk.space.config.search.objectives)
        if len(names) <= 3:
            figures["Pareto front"] = visualization.plot_pareto_front(study, target_names=names)
    else:
        figures["learning curves"] = visualization.plot_intermediate_values(study)
    return figures


def serve_dashboard(prepared: Prepared, model: str) -> None:
    """Serve optuna-dashboard for an architecture's storage, on this machine alone, until Ctrl-C.

    Raises:
        MissingError: optuna-dashboard is not installed.
        KagglekitError: the port is taken.
    """
    try:
        import optuna_dashboard
    except ImportError as error:
        raise MissingError(
            "--dashboard needs optuna-dashboard, which is not installed", hint=EXTRA
        ) from error
    desk = open_desk(prepared, resolve(prepared.config, model))
    try:
        server = make_server(HOST, PORT, optuna_dashboard.wsgi(desk.storage), _Server, _Quiet)
    except OSError as error:
        raise KagglekitError(
            f"port {PORT} cannot be served: {error.strerror or error}", hint="end what uses it"
        ) from error
    with server:
        console.note(f"http://{HOST}:{PORT}/ shows {desk.study.study_name}; Ctrl-C ends it")
        server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: Ctrl-C finds the main one waiting, where wsgiref would take it for an error."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants a line for every request."""
