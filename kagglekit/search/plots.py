"""Optuna's plots of a study in one HTML file that works offline, and its dashboard."""

import html
import warnings
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, KagglekitError, MissingError
from kagglekit.files.atomic import write_text
from kagglekit.search.importance import with_pruned
from kagglekit.search.study import StudyHandle, completed_trials, open_study
from kagglekit.terminal import console
from kagglekit.training.plan import resolve

HOST, PORT = "127.0.0.1", 8080
EXTRA = "pip install 'kagglekit[dashboard]'"


def write_plots(prepared: Prepared, chosen: Sequence[str], path: Path) -> list[str]:
    """Write Optuna's plots of each architecture's study to one file, and return their names.

    Raises:
        MissingError: plotly is not installed, or no trial of a study has completed.
        ConfigError: `path` is not an HTML file.
    """
    if path.suffix != ".html" or path.is_dir():
        raise ConfigError(f"--out {path}: not an HTML file", hint="for example --out study.html")
    figures: dict[str, Any] = {}
    for model in chosen:
        with open_study(prepared, resolve(prepared.config, model)) as handle:
            if not completed_trials(handle.study):
                raise MissingError(
                    f"no finished trial of {model}", hint=f"search first: kagglekit tune --model {model}"
                )
            figures |= {f"{model}: {name}": figure for name, figure in _figures(handle).items()}
    parts = [
        f"<h2>{html.escape(name)}</h2>\n" + figure.to_html(full_html=False, include_plotlyjs=index == 0)
        for index, (name, figure) in enumerate(figures.items())
    ]
    page = f'<!doctype html><meta charset="utf-8"><title>kagglekit tune</title>\n{"".join(parts)}\n'
    write_text(path, page)
    return list(figures)


def _figures(handle: StudyHandle) -> dict[str, Any]:
    """Return Optuna's plots that apply to this study, by name."""
    try:
        import plotly  # noqa: F401 - Optuna's plots need it, and its own message is long
    except ImportError as error:
        raise MissingError("the plots need plotly, which is not installed", hint=EXTRA) from error
    from optuna import visualization

    study = handle.study
    usual: dict[str, Any] = {}
    if len(study.directions) > 1:
        usual = {"target": lambda trial: trial.values[0], "target_name": "CV"}
    varied = len({tuple(sorted(trial.params.items(), key=str)) for trial in completed_trials(study)}) > 1
    figures = {"history": visualization.plot_optimization_history(study, **usual)}
    if varied:  # a single point allows no comparison
        with warnings.catch_warnings():  # about parameters that few trials have
            warnings.simplefilter("ignore")
            figures["importance"] = visualization.plot_param_importances(
                study if usual else with_pruned(study), **usual
            )
        figures["parallel coordinates"] = visualization.plot_parallel_coordinate(study, **usual)
        figures["slices"] = visualization.plot_slice(study, **usual)
    if usual:
        names: list[str] = list(handle.prepared.config.search.objectives)
        if len(names) <= 3:
            figures["Pareto front"] = visualization.plot_pareto_front(study, target_names=names)
    else:
        figures["learning curves"] = visualization.plot_intermediate_values(study)
    return figures


def serve_dashboard(prepared: Prepared, model: str) -> None:
    """Serve optuna-dashboard for an architecture's storage, to this machine only, until Ctrl-C.

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
    handle = open_study(prepared, resolve(prepared.config, model))
    try:
        server = make_server(HOST, PORT, optuna_dashboard.wsgi(handle.storage), _Server, _Quiet)
    except OSError as error:
        raise KagglekitError(
            f"port {PORT} cannot be served: {error.strerror or error}", hint="end the program that uses it"
        ) from error
    with server:
        console.note(f"http://{HOST}:{PORT}/ shows {handle.study.study_name}; Ctrl-C ends it")
        server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    """Handles each request in a thread, so that Ctrl-C interrupts the main thread and not a request."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""
