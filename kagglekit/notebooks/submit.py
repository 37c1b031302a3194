"""Submit a built notebook: push it, wait for its run, submit it once, and wait for its score.

A sequence of steps. Whatever ends it, the same command goes on: steps that are done are kept in `state`, and
what the host may have done unheard is looked for there before it is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit.config import Config
from kagglekit.errors import SubmissionError
from kagglekit.files.json_shape import shaped
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.tables import read_table_file
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Host
from kagglekit.hosts.notebooks import notebooks_of, quota_note
from kagglekit.notebooks import waiting
from kagglekit.notebooks.compare import compare
from kagglekit.notebooks.dataset_push import DatasetPush
from kagglekit.notebooks.failures import failure_of
from kagglekit.notebooks.folder import MOST_OF_LIMIT, Built
from kagglekit.notebooks.kernel_push import QUEUE_S, KernelPush
from kagglekit.notebooks.source import kernel_spec
from kagglekit.notebooks.state import Progress
from kagglekit.notebooks.waiting import LONGEST_S, Patience
from kagglekit.submission.ledger import FIELDS, Entry, Ledger, git_commit, host_name, stamp
from kagglekit.submission.send import (
    UploadOptions,
    check_host,
    default_message,
    find_interrupted,
    send_once,
    wait_for_score,
)
from kagglekit.submission.sync import settle_seconds
from kagglekit.submission.write import NOT_SCORE
from kagglekit.terminal import console


def submit_built(
    built: Built,
    workspace: Workspace,
    host: Host,
    options: UploadOptions,
    sleep: Callable[[float], None] | None = None,
) -> Entry:
    """Bring a built notebook to the host and submit it, or go on where an earlier call was stopped.

    Args:
        options: with `force`, push and submit again what was submitted, has failed, or differs from the
            rehearsal.

    Raises:
        SubmissionError: it was submitted before, must not be now, was not confirmed, or has failed.
        HostError: the host refused or could not be reached.
    """
    config, ledger, sleep = workspace.config, Ledger(workspace.ledger_path), sleep or waiting.pause
    patience = Patience(config.network, sleep)
    with locked(built.path.with_name(f"{built.path.name}.push"), "this notebook"):
        progress = Progress.of(built, host_name(config), notebooks_of(host).account)
        minutes = config.competition.limits.minutes
        push = KernelPush(built, notebooks_of(host), progress, patience, minutes)
        entry = _sent_before(progress, config, host, ledger, workspace, options)
        if entry is None:
            _confirm(push, config, host, options)
            path = _pushed(push)
            _check_output(push, path, options)
            with locked(workspace.submissions / "upload", "an upload"):
                entry = _submit(push, config, host, ledger, options)
    if not options.wait:
        return entry
    give_up = minutes * 60 + QUEUE_S
    entry = wait_for_score(entry, host, ledger, sleep, give_up, LONGEST_S)
    if entry.status == "ERROR":
        raise _rejected(entry)
    return entry


def check_competition(built: Built, config: Config) -> None:
    """Raise a SubmissionError where a folder was built for another competition."""
    if built.record.competition != config.competition.slug:
        raise SubmissionError(
            f"{built.path} was built for {built.record.competition}, not for {config.competition.slug}",
            hint="name another folder, or another competition.yaml with -C",
        )


def rehearsed(built: Built) -> pl.DataFrame:
    """Return what the rehearsal of a build has written, for people to look at; no rows without one."""
    path = _rehearsed_path(built)
    return pl.DataFrame() if path is None else read_table_file(path, hint="rehearse it again").frame


def _rehearsed_path(built: Built) -> Path | None:
    """Return the file that a rehearsal has written from what the host shows of the test."""
    return next((path for path in (built.output("visible"), built.output("empty")) if path.is_file()), None)


def _sent_before(
    progress: Progress,
    config: Config,
    host: Host,
    ledger: Ledger,
    workspace: Workspace,
    options: UploadOptions,
) -> Entry | None:
    """Return the submission that an earlier call has made, to be waited for; None where there is none.

    Raises:
        SubmissionError: it was scored, or has failed, and `force` was not given.
    """
    name = host_name(config)
    entry = ledger.find(progress.steps.digest, name)
    if entry is None:
        return None
    if not options.force or entry.status == "sending":
        with locked(workspace.submissions / "upload", "an upload"):
            begun = find_interrupted(entry, host, ledger, settle_seconds(config))
        if begun is not None:
            return begun
        entry = ledger.find(progress.steps.digest, name) or entry
    is_sent = entry.ref is not None
    if is_sent and options.force:
        if progress.steps.kernel_version == entry.notebook_version:  # else it is being pushed again already
            progress.save(progress.steps.again())
    elif is_sent and entry.status == "ERROR":
        raise _rejected(entry)
    elif is_sent:
        score = "" if entry.public is None else f", public {entry.public:.5f}"
        raise SubmissionError(
            f"this notebook was submitted before: {entry.csv} ({entry.status}{score})",
            hint="kagglekit leaderboard shows it; --force pushes and submits the same again",
        )
    return None


def _confirm(push: KernelPush, config: Config, host: Host, options: UploadOptions) -> None:
    """Show what the host allows and what the rehearsal foretells, and ask.

    Raises:
        SubmissionError: the host takes no submission now, the rehearsal took too long, or the user said no.
    """
    built, limits = push.built, config.competition.limits
    notes = check_host(host, built.path, notebook=True)
    if kernel_spec(built, push.service.account, "").accelerator:
        notes += quota_note(push.service.gpu_quota())
    rehearsal = built.rehearsal()
    if rehearsal is None:
        notes.append("this notebook was not rehearsed: kagglekit notebook rehearse")
    else:
        words = f"expected on the host: {rehearsal.minutes:.0f} of {limits.minutes:.0f} minutes"
        if rehearsal.minutes > MOST_OF_LIMIT * limits.minutes and not options.force:
            raise SubmissionError(
                f"{words}, which is more than {MOST_OF_LIMIT:.0%}",
                hint="take fewer models, or push it all the same with --force",
            )
        notes.append(words)
    if push.progress.steps.failure and options.force:
        push.progress.save(push.progress.steps.again())
    if not options.confirm(notes):
        raise SubmissionError("not pushed", hint=f"{built.path} is kept; --yes skips the confirmation prompt")


def _pushed(push: KernelPush) -> Path:
    """Do all steps up to the file that the notebook has written, and return it."""
    dataset = DatasetPush(push.built, push.service, push.progress, push.patience)
    dataset.push()
    dataset.wait()
    push.push()
    push.run()
    return push.fetch_output()


def _check_output(push: KernelPush, path: Path, options: UploadOptions) -> None:
    """Compare the notebook's output with the rehearsal's; one that differs is fetched again by the next call.

    Raises:
        SubmissionError: they differ, and `force` was not given.
    """
    ours = _rehearsed_path(push.built)
    if ours is None or push.built.rehearsal() is None:
        return
    comparison = compare(path, ours)
    if not comparison.same and not options.force:
        push.progress.set(output="")  # the storage may have sent something else
        raise SubmissionError(
            comparison.words, hint=f"compare {path} with {ours}; --force submits it all the same"
        )
    console.note(comparison.words)


def _submit(push: KernelPush, config: Config, host: Host, ledger: Ledger, options: UploadOptions) -> Entry:
    """Submit the notebook's version once."""
    entry = _entry(push, config)
    entry = replace(entry, message=f"{options.message or default_message(entry)} {entry.mark}")
    steps = push.progress.steps
    assert steps.kernel_version is not None
    submit = partial(
        push.service.submit, steps.kernel, steps.kernel_version, push.built.record.output, entry.message
    )
    return send_once(entry, submit, host, ledger, config.network, push.patience.sleep)


def _entry(push: KernelPush, config: Config) -> Entry:
    """Return the entry of the log, with what the build knows of its models and scores."""
    steps, record = push.progress.steps, push.built.record
    facts: dict[str, Any] = {"models": [], "runs": [], "weights": []}
    facts |= {name: value for name, value in record.facts.items() if name in FIELDS}
    facts |= {
        "time": stamp(datetime.now(UTC)),
        "csv": f"{steps.kernel} v{steps.kernel_version}",
        "sha256": steps.digest,
        "git_commit": git_commit(),
        "config_key": key_of(config.model_dump(mode="json", exclude=NOT_SCORE)),
        "host": steps.host,
        "status": "written",
        "notebook": f"{steps.account}/{steps.kernel}",
        "notebook_version": steps.kernel_version,
        "dataset_version": steps.dataset_version,
    }
    return shaped(Entry, facts)


def _rejected(entry: Entry) -> SubmissionError:
    """Return the error for a submission that has failed on the hidden test."""
    failure = failure_of(entry.error, "")
    known = failure.words if entry.error in failure.words else f"{failure.words} ({entry.error})"
    remedy = failure.remedy + ("" if "--force" in failure.remedy else "; --force submits the same again")
    return SubmissionError(f"the submission {entry.ref} of {entry.csv} failed: {known}", hint=remedy)
