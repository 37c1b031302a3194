"""Take over a run that was trained elsewhere with the same plan on the same clips, as if trained here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit import models
from kagglekit.data.clips import validation_rows
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError
from kagglekit.files import parquet
from kagglekit.files.atomic import write_json, write_text
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.runs.memory import moved
from kagglekit.runs.score import assemble, measure, scored
from kagglekit.runs.store import Run, RunMetrics, load_run, plan_of, read_meta
from kagglekit.runs.train import run_id
from kagglekit.scoring.predictions import read_predictions, write_predictions
from kagglekit.terminal import console
from kagglekit.training import checkpoint
from kagglekit.training.dataset import training_view
from kagglekit.training.files import HISTORY, META, METRICS, MOVED, OOF, SETTINGS, TEST, WEIGHTS
from kagglekit.training.plan import Plan

MOST_SETTINGS = 2**20
"""Bytes of config.yaml, which nothing reads again."""


def adopted(prepared: Prepared, plan: Plan) -> Run | None:
    """Return the run of a plan where it is finished here, with its present score; else None."""
    folder = prepared.workspace.runs_of(plan.model) / run_id(prepared, plan)
    if smaller := moved(folder, plan):
        return adopted(prepared, smaller)
    return scored(prepared, load_run(folder)) if (folder / METRICS).is_file() else None


def adopt(prepared: Prepared, plan: Plan, source: Path, origin: str) -> Run:
    """Copy a run into the workspace, each file checked, and score it on the clips here.

    Its id and its clips' key may be others than there, as a host unpacks archives; the clips themselves, and
    the folds that they are in, must be the same.

    Args:
        plan: what the run was trained with; its batches may be smaller than planned, for want of memory, and
            bf16 is as the machine there has it.
        source: its folder, which has the name that it was trained under, as its files are bound to it.
        origin: where it was trained, for metrics.json.

    Raises:
        MissingError: a file is absent or damaged.
        KagglekitError: it was trained with other settings or on other clips.
    """
    planned = prepared.workspace.runs_of(plan.model) / run_id(prepared, plan)
    metas = [read_meta(source / f"fold_{n}") for n in range(prepared.config.validation.folds)]
    trained = _same_plan(plan, metas, source)
    folder = planned.with_name(run_id(prepared, trained))
    with locked(folder, f"run {plan.model}/{folder.name}"):
        if (folder / METRICS).is_file():
            run = scored(prepared, load_run(folder))
        else:
            run = _copy(prepared, trained, source, folder, metas, origin)
    if folder != planned:
        _note_moved(planned, trained, plan)
    return run


def _copy(
    prepared: Prepared, plan: Plan, source: Path, folder: Path, metas: list[dict[str, Any]], origin: str
) -> Run:
    theirs, again = load_run(source), _again(source)
    tests = prepared.clips.filter(pl.col("split") == "test")["clip_id"]
    view = training_view(prepared.clips, plan.train, prepared.config.labels.silence)
    for number in range(len(metas)):  # before a fold is written, which training here would go on from
        fold = source / f"fold_{number}"
        _check_ids(fold / OOF, validation_rows(view, number)["clip_id"], f"fold {number}", again)
        _check_ids(fold / TEST, tests, "the test", again)
    for number, meta in enumerate(metas):
        if "checkpoint" in meta["params"]:
            meta["params"]["checkpoint"] = plan.params.get("checkpoint")
        _copy_fold(source, folder, number, meta, len(prepared.task.classes))
    for name in (OOF, TEST):
        write_predictions(read_predictions(source / name, again), folder / name)
    history = parquet.read(source / HISTORY, again, bound=True)
    parquet.write(history, folder / HISTORY, bound=True)
    if (source / SETTINGS).is_file() and (source / SETTINGS).stat().st_size < MOST_SETTINGS:
        write_text(folder / SETTINGS, (source / SETTINGS).read_text(encoding="utf-8", errors="replace"))
    assemble(prepared, folder)
    return measure(prepared, folder, _facts(prepared, theirs, plan, folder, origin))


def _note_moved(folder: Path, replaced_by: Plan, plan: Plan) -> None:
    """Note in the folder of the run that was planned that another one replaces it."""
    small = replaced_by.train.batch_size
    if small != plan.train.batch_size:
        console.note(f"{plan.model} was trained there with batches of {small} clips, for want of memory")
    write_json(folder / MOVED, {"batch_size": small, "bf16": replaced_by.train.bf16}, bound=True)


def _same_plan(plan: Plan, metas: list[dict[str, Any]], source: Path) -> Plan:
    """Return the plan with the batch size and the precision that the machine there had to take or chose.

    Raises:
        KagglekitError: another setting differs.
    """
    trained = [plan_of(meta) for meta in metas]
    of_machine = {name: getattr(trained[0].train, name) for name in ("batch_size", "bf16")}
    plan = replace(plan, train=plan.train.model_copy(update=of_machine))
    wanted = _comparable(plan)
    for other in map(_comparable, trained):
        if differing := [name for name in wanted | other if wanted.get(name) != other.get(name)]:
            raise KagglekitError(
                f"{source.parent.name}/{source.name} was trained with another {' and '.join(differing)}",
                hint="train again, with the settings of now",
            )
    return plan


def _comparable(plan: Plan) -> dict[str, Any]:
    """Return a plan's settings by name, but for the place of a checkpoint, which is another there."""
    params = models.configure(plan.model, plan.params).model_dump(mode="json", exclude={"checkpoint"})
    return {
        f"{section}.{name}": value
        for section, settings in {**plan.as_dict(), "params": params}.items()
        for name, value in (settings if isinstance(settings, dict) else {"name": settings}).items()
    }


def _copy_fold(source: Path, folder: Path, number: int, meta: dict[str, Any], classes: int) -> None:
    """Write the files of a fold anew, as they are bound to the run that they belong to."""
    theirs, ours = source / f"fold_{number}", folder / f"fold_{number}"
    ours.mkdir(parents=True, exist_ok=True)
    if (theirs / WEIGHTS).is_file() or meta["train"]["labels"] != "zero_shot":
        tensors, state = checkpoint.load(theirs / WEIGHTS, _again(source))
        checkpoint.save(ours / WEIGHTS, tensors, state)
    for name in (OOF, TEST):
        write_predictions(read_predictions(theirs / name, _again(source), classes), ours / name)
    write_json(ours / META, meta, bound=True)


def _check_ids(path: Path, expected: pl.Series, what: str, again: str) -> None:
    """Check that a prediction table has the clips that it has here.

    Raises:
        KagglekitError: others.
    """
    found = set(read_predictions(path, again)["clip_id"])
    if different := found ^ set(expected):
        raise KagglekitError(
            f"{what} has other clips there than here: {len(different):,} differ, such as '{min(different)}'",
            hint="compare the competition's files there and here: kagglekit fetch, then kagglekit prepare",
        )


def _facts(prepared: Prepared, theirs: Run, plan: Plan, folder: Path, origin: str) -> dict[str, Any]:
    """Return what metrics.json holds besides scores: what was measured there, and the keys of here."""
    only = sorted(plan.train.only)
    measured = {name: value for name, value in theirs.metrics.items() if name in RunMetrics.__annotations__}
    return {
        **measured,
        "finished": theirs.metrics.get("finished", ""),
        "run": folder.name,
        "origin": origin,
        "clips_key": key_of(prepared.key, only) if only else prepared.key,
        "classes": list(prepared.config.labels.all_classes),
    }


def _again(source: Path) -> str:
    return f"{source.name} arrived damaged: run the same command again, with --force"
