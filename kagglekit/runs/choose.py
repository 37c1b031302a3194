"""Choose among the trained runs: all present ones, the best of a model, or those that names mean."""

from collections.abc import Callable, Sequence

from kagglekit import models
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError, MissingError, close_match, plural
from kagglekit.files.workspace import Workspace, folder_name
from kagglekit.runs.score import scored
from kagglekit.runs.store import Run, load_run
from kagglekit.terminal import console
from kagglekit.training.files import METRICS

Wanted = Callable[[Run], bool]
"""Whether a run may be chosen by its model's name."""


def _any(run: Run) -> bool:
    return True


def _finished(prepared: Prepared, model: str = "*", wanted: Wanted = _any) -> list[Run]:
    """Read every finished run that is wanted, or those of one model."""
    paths = sorted(prepared.workspace.runs.glob(f"{folder_name(model)}/*/{METRICS}"))
    return [run for run in (load_run(path.parent) for path in paths) if wanted(run)]


def present_runs(prepared: Prepared) -> tuple[list[Run], int]:
    """Return the finished runs on the present clips, folds and classes, and the number of other runs."""
    finished = _finished(prepared)
    present = (prepared.key, list(prepared.config.labels.all_classes))
    fitting = [run for run in finished if (run.metrics["clips_key"], run.metrics["classes"]) == present]
    return fitting, len(finished) - len(fitting)


def note_others(others: int) -> None:
    """Say how many runs are skipped, as `present_runs` counts them."""
    if others:
        console.note(f"skipping {plural(others, 'run')} trained on different clips, folds or classes")


def best_run(prepared: Prepared, model: str, wanted: Wanted = _any) -> Run:
    """Return the model's wanted run with the best CV score on the present clips, folds and prior.

    Raises:
        ConfigError: there is no such model.
        MissingError: none is trained, or only on other clips or folds.
    """
    models.info(model)
    runs = _finished(prepared, model, wanted)
    if not runs:
        raise MissingError(f"no trained run of {model}", hint=f"train one: kagglekit train --model {model}")
    fitting = [run for run in runs if run.metrics["clips_key"] == prepared.key]
    if not fitting:
        trained = f"run of {model} was" if len(runs) == 1 else f"{len(runs)} runs of {model} were"
        raise MissingError(
            f"the {trained} trained on other clips or folds than the present ones",
            hint=f"train it on these: kagglekit train --model {model}",
        )
    present = [scored(prepared, run) for run in fitting]
    return prepared.task.metric.ranked(present, lambda run: run.score.cv)[0]


def find_run(workspace: Workspace, name: str) -> Run:
    """Return the run `model/id` as it is stored.

    Raises:
        ConfigError: there is no such model.
        MissingError: there is no such run.
    """
    model, _, identity = name.partition("/")
    models.info(model)
    folders = {path.parent.name: path.parent for path in workspace.runs_of(model).glob(f"*/{METRICS}")}
    if identity not in folders:
        hint = close_match(identity, folders) if folders else f"train one: kagglekit train --model {model}"
        raise MissingError(f"there is no finished run {name}", hint=hint)
    return load_run(folders[identity])


def best_runs(prepared: Prepared, names: Sequence[str] | None, wanted: Wanted = _any) -> list[Run]:
    """Return the runs that names mean.

    Args:
        names: a model for its best run, `model/id` for that run, `all` (as None) for the best run of every
            model, `runs` for every run on the present clips and folds.
        wanted: what may be chosen without its id.

    Raises:
        KagglekitError: none is trained, or a named one is not.
    """
    names = names or ["all"]
    if not {"all", "runs"} & set(names):
        chosen = [
            scored(prepared, find_run(prepared.workspace, name))
            if "/" in name
            else best_run(prepared, name, wanted)
            for name in dict.fromkeys(names)
        ]
        return list({run.folder: run for run in chosen}.values())
    finished = _finished(prepared, wanted=wanted)
    if not finished:
        raise KagglekitError("no model is trained yet", hint="train one: kagglekit train --model tcresnet")
    fitting = [run for run in finished if run.metrics["clips_key"] == prepared.key]
    others = {run.model for run in finished} - {run.model for run in fitting}
    for model in sorted(others) if fitting else ():
        console.note(f"skipping {model}: it was trained on other clips or folds than the present ones")
    if "runs" in names and fitting:
        return best_runs(prepared, [f"{run.model}/{run.id}" for run in fitting])
    # Where none fits, best_run explains it.
    return [best_run(prepared, model, wanted) for model in sorted({run.model for run in fitting} or others)]
