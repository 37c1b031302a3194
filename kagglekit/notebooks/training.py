"""Train on the host's machines, and bring the runs into the workspace as if they had been trained here.

A sequence of steps, like `notebooks.submit`: whatever ends it, the same command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit.data.prepare import Prepared
from kagglekit.errors import ArchiveError, KagglekitError, SubmissionError
from kagglekit.files import archive
from kagglekit.files.atomic import building, read_json
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import locked
from kagglekit.files.workspace import folder_name
from kagglekit.hosts.base import Host
from kagglekit.hosts.notebooks import NotebookService, notebooks_of, quota_note
from kagglekit.notebooks import waiting
from kagglekit.notebooks.dataset_push import DatasetPush
from kagglekit.notebooks.folder import Built, sha256_of
from kagglekit.notebooks.kernel_push import KernelPush
from kagglekit.notebooks.source import kernel_spec
from kagglekit.notebooks.state import Progress
from kagglekit.notebooks.training_job import LIMIT_MINUTES, RESULT
from kagglekit.notebooks.waiting import Patience
from kagglekit.runs.adopt import adopt, adopted
from kagglekit.runs.store import Run
from kagglekit.submission.ledger import host_name
from kagglekit.training.files import METRICS
from kagglekit.training.plan import Plan

MOST_FILES = 100_000
MOST_BYTES = 20 * 2**30
"""Of the runs that a host's notebook may keep, as Kaggle does."""

Confirm = Callable[[Sequence[str]], bool]


@dataclass(frozen=True)
class Trained:
    """What result.json says of the training of a model."""

    code: int | None
    """Exit code; None where no time was left."""
    seconds: float


def train_there(
    built: Built,
    prepared: Prepared,
    plans: Sequence[Plan],
    host: Host,
    *,
    confirm: Confirm = lambda notes: True,
    force: bool = False,
    sleep: Callable[[float], None] | None = None,
) -> list[Run]:
    """Push a training and fetch its runs, or go on where an earlier call was stopped.

    Args:
        built: of `training_job.build_job`.
        plans: what it trains.
        confirm: called with what is known before anything is pushed; whether to push.
        force: train there again what has failed there.

    Raises:
        SubmissionError: it was not confirmed, or the week's quota is used up.
        KagglekitError: the training failed there, or what it wrote is not as it must be.
        HostError: the host refused or could not be reached.
    """
    service, config = notebooks_of(host), prepared.config
    with locked(built.path.with_name(f"{built.path.name}.push"), "this training"):
        progress = Progress.of(built, host_name(config), service.account)
        if force and (progress.steps.failure or progress.steps.output):
            progress.save(progress.steps.again())
        patience = Patience(config.network, sleep or waiting.pause)
        push = KernelPush(built, service, progress, patience, LIMIT_MINUTES)
        if progress.steps.kernel_version is None:
            _confirm(push, confirm)
        dataset = DatasetPush(built, service, progress, patience)
        dataset.push()
        dataset.wait()
        push.push()
        try:
            push.run()
            path = push.fetch_output()
        except SubmissionError as error:
            raise KagglekitError(
                str(error), hint=f"the log is in {progress.log_path}; --force trains there again"
            ) from error
        return _take_over(push, path, prepared, plans)


def all_here(prepared: Prepared, plans: Sequence[Plan]) -> list[Run]:
    """Return the runs of all plans where they are finished here; else none."""
    runs = [adopted(prepared, plan) for plan in plans]
    return [run for run in runs if run is not None] if all(runs) else []


def _confirm(push: KernelPush, confirm: Confirm) -> None:
    """Show the week's quota and what is pushed, and ask.

    Raises:
        SubmissionError: the quota is used up, or the user said no.
    """
    spec = kernel_spec(push.built, push.service.account, "")
    notes = _quota(push.service) if spec.accelerator else []
    size = f"{push.built.record.bytes / 1e6:,.1f} MB"
    where = f"{push.service.account}/{spec.slug}"
    on = f"with {spec.accelerator}" if spec.accelerator else "without an accelerator"
    notes.append(f"pushes {size} as the private data set {push.built.record.dataset}")
    notes.append(f"trains {push.built.record.blend} in the private notebook {where}, {on}, internet off")
    if not confirm(notes):
        raise SubmissionError(
            "not pushed", hint=f"{push.built.path} is kept; --yes skips the confirmation prompt"
        )


def _quota(service: NotebookService) -> list[str]:
    """Return the line about the week's quota.

    Raises:
        SubmissionError: it is used up.
    """
    quota = service.gpu_quota()
    lines = quota_note(quota)
    if quota is not None and quota.left_hours <= 0:
        raise SubmissionError(
            f"no hours of GPUs are left this week: {lines[0]}",
            hint="run the same command when the week is over, or with --accelerator none",
        )
    return lines


def _take_over(push: KernelPush, path: Path, prepared: Prepared, plans: Sequence[Plan]) -> list[Run]:
    """Copy the runs of an archive into the workspace, and say which models it lacks.

    Raises:
        KagglekitError: a model was not trained there; the others are kept.
    """
    steps = push.progress.steps
    folder = _unpacked(path, push.progress.folder)
    results = _results(folder / RESULT)
    origin = f"{steps.host}: {steps.account}/{steps.kernel} v{steps.kernel_version}"
    runs, lacking = [], []
    for plan in plans:
        finished = sorted((folder / "runs" / folder_name(plan.model)).glob(f"*/{METRICS}"))
        if not finished:
            lacking.append(f"{plan.model} ({_reason(results.get(plan.model))})")
            continue
        runs.append(adopt(prepared, plan, finished[0].parent, origin))
    if lacking:
        kept = f"; {', '.join(f'{run.model}/{run.id}' for run in runs)} is here" if runs else ""
        raise KagglekitError(
            f"not trained there: {', '.join(lacking)}{kept}",
            hint=f"the log is in {push.progress.log_path}; --force trains there again",
        )
    return runs


def _reason(result: Trained | None) -> str:
    if result is None:
        return "it was not begun"
    return "no time was left" if result.code is None else f"exit code {result.code}"


def _results(path: Path) -> dict[str, Trained]:
    """Read what the notebook says of each model; nothing where it cannot be read."""
    try:
        data: dict[str, Any] = read_json(path)
        return {name: shaped(Trained, one) for name, one in data["models"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _unpacked(path: Path, folder: Path) -> Path:
    """Unpack the archive of a training, whose names and sizes are checked.

    Raises:
        ArchiveError: it is damaged or unsafe, or has too many files.
    """
    target = folder / "runs"
    members = archive.listing(path)
    if len(members) > MOST_FILES or sum(member.size for member in members) > MOST_BYTES:
        raise ArchiveError(
            f"{path} has {len(members):,} files, more than runs can have", hint="train there again: --force"
        )
    with building(target, sha256_of(path)) as part:
        if part is not None:
            archive.copy_all(path, part)
    return target
