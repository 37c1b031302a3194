"""A search on a Ray cluster: the study stays here, folds of its trials are trained wherever there is room.

A trial's first fold comes alone, and its epochs are compared with other trials'; what survives it gets its
other folds trained at once. What was on a node that is lost is trained again elsewhere.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import polars as pl
from optuna.trial import TrialState

from kagglekit import __version__
from kagglekit.data.prepare import Prepared
from kagglekit.data.shards import SplitFiles, fetch_files, put_files, select_splits
from kagglekit.files.keys import key_of
from kagglekit.parallel.cluster import TRIES, VersionError, check_version, connect
from kagglekit.scoring.cv import Score
from kagglekit.search.objectives import cost_of
from kagglekit.search.study import Desk, recover
from kagglekit.search.trial import Candidate, folds_of, judge, reason_of
from kagglekit.search.tune import Limits, answered, ask, draw, fail, noted, tell, watcher
from kagglekit.terminal import console

LOOK_S = 0.2  # between looks at the cluster
NEEDED = ("train", "silence")  # splits: a search predicts no test clips


def search_on_cluster(
    prepared: Prepared,
    desk: Desk,
    limits: Limits,
    address: str,
    show: Callable[[], None],
) -> None:
    """Search with the folds of trials on a cluster, until the search is over.

    Args:
        config, workspace, prepared: the competition, on this machine.
        desk, limits: the open study, and when to stop.
        address: `auto`, `ray://host:port`, or `local`.
        show: shows what has ended.

    Raises:
        KagglekitError: there is no cluster, or a node has another kagglekit.
    """
    ray = connect(address)
    conductor = Conductor(ray, prepared, desk, limits)
    try:
        while True:
            over = limits.done(desk.study) or limits.late()
            if over and (limits.late() or not conductor.running):
                break
            conductor.step(begin=not over)
            show()
    finally:
        conductor.close()
        ray.shutdown()
    show()


@dataclass(frozen=True)
class FoldOrder:
    """One fold for a node to train."""

    model: str
    params: Mapping[str, Any]
    study: str
    trial: int
    number: int
    version: str = __version__


@dataclass
class Running:
    """A trial that is being trained."""

    trial: optuna.Trial
    task: Candidate
    held: ExitStack
    """Its locks."""
    watch: Callable[[int, float], None]
    """Tells the study a score; may raise optuna.TrialPruned."""
    refs: dict[Any, int] = field(default_factory=dict)
    """The fold that each result on its way belongs to."""
    parts: dict[int, pl.DataFrame] = field(default_factory=dict)
    """OOF predictions by fold."""
    told: int = 0
    """Folds whose score the study knows."""
    tries: dict[int, int] = field(default_factory=dict)


class Mailbox:
    """An actor that nodes leave scores with until the search looks."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, int, float]] = []

    def report(self, trial: int, step: int, value: float) -> None:
        """Leave a score."""
        self.reports.append((trial, step, value))

    def take(self) -> list[tuple[int, int, float]]:
        """The scores that have come since."""
        taken, self.reports = self.reports, []
        return taken


class Conductor:
    """Keeps the cluster busy with a study's folds, and the study with what comes of them."""

    def __init__(self, ray: Any, prepared: Prepared, desk: Desk, limits: Limits) -> None:
        self.ray, self.config, self.workspace = ray, prepared.config, prepared.workspace
        self.desk, self.limits = desk, limits
        self.prepared = select_splits(prepared, NEEDED)
        self.running: dict[int, Running] = {}
        self.files, self.sent = put_files(ray, self.prepared), ray.put(self.prepared)
        here = ray.get_runtime_context().get_node_id()  # the node that is lost last
        near = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=True)
        lasting: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self.mailbox = ray.remote(**lasting, scheduling_strategy=near)(Mailbox).remote()
        cpus, gpus = prepared.config.search.cpus, prepared.config.search.gpus
        self.train = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(train_on_node)

    def step(self, *, begin: bool) -> None:
        """Begin what there is room for, and take in what has come."""
        while begin and self._room() > 0 and self._begin():
            pass
        refs = [ref for running in self.running.values() for ref in running.refs]
        ready, _ = self.ray.wait(refs, num_returns=1, timeout=LOOK_S) if refs else ([], [])
        if not refs:
            time.sleep(LOOK_S)
        for number, step, value in self.ray.get(self.mailbox.take.remote()):
            self._reported(number, step, value)
        for ref in ready:
            self._arrived(ref)

    def close(self) -> None:
        """Give up what is running; the next search goes on with it."""
        for running in list(self.running.values()):
            self._end(running)
            self.desk.study.tell(running.trial, state=TrialState.FAIL, skip_if_finished=True)

    def _room(self) -> int:
        """Folds that could be begun now."""
        have = self.ray.cluster_resources()
        room = int(have.get("CPU", 0) // self.config.search.cpus)
        if self.config.search.gpus:
            room = min(room, int(have.get("GPU", 0) // self.config.search.gpus))
        return room - sum(len(running.refs) for running in self.running.values())

    def _begin(self) -> bool:
        """Begin a trial; False where there is none to begin."""
        with ExitStack() as held:
            with self.desk.locks.hold(self.desk.study.study_name):
                recover(self.desk)
                if self.limits.room(self.desk.study) <= 0:
                    return False
                trial = ask(self.desk)
                held.enter_context(self.desk.locks.hold(self.desk.trial_lock(trial.number)))
            params = draw(self.desk, trial)
            if answered(self.desk, trial):
                return True
            folder = self.workspace.studies / self.desk.study.study_name / key_of(params)
            task = Candidate(self.prepared, self.desk.plan.model, params, folder)
            running = Running(trial, task, held.pop_all(), watcher(self.desk, trial))
        self.running[trial.number] = running
        self._send(running, 0)
        return True

    def _send(self, running: Running, number: int) -> None:
        running.tries[number] = running.tries.get(number, 0) + 1
        task, study = running.task, self.desk.study.study_name
        order = FoldOrder(task.model, task.params, study, running.trial.number, number)
        running.refs[self.train.remote(order, self.sent, self.files, self.mailbox)] = number

    def _reported(self, number: int, step: int, value: float) -> None:
        """An epoch of a trial's first fold."""
        running = self.running.get(number)
        if running is None or running.told:
            return
        try:
            running.watch(step, value)
        except optuna.TrialPruned:
            self._end(running)
            tell(self.desk, running.trial, None)

    def _arrived(self, ref: Any) -> None:
        """A fold that is done, or that failed."""
        running = next((r for r in self.running.values() if ref in r.refs), None)
        if running is None:  # of a trial that was stopped
            return
        number = running.refs.pop(ref)
        try:
            running.parts[number] = pl.read_parquet(io.BytesIO(self.ray.get(ref)))
            self._judge(running)
        except optuna.TrialPruned:
            self._end(running)
            tell(self.desk, running.trial, None)
        except Exception as error:
            self._failed(running, number, error)

    def _judge(self, running: Running) -> None:
        """Tell the study the mean of the folds so far, and send the others after the first."""
        folds, epochs = folds_of(self.config), self.desk.plan.train.epochs
        while running.told in running.parts and running.told + 1 < folds:
            running.told += 1
            done = [judge(running.task, [running.parts[k]]).score for k in range(running.told)]
            running.watch(running.told * epochs - 1, float(np.mean(done)))
        if len(running.parts) == 1 and 0 in running.parts:
            for number in range(1, folds):
                self._send(running, number)
        if len(running.parts) == folds:
            result = judge(running.task, [running.parts[k] for k in range(folds)])
            self._end(running)
            costs = cost_of(running.task, self.config.search.objectives[1:])
            tell(self.desk, running.trial, [*noted(running.trial, result), *costs])

    def _failed(self, running: Running, number: int, error: Exception) -> None:
        """A fold that was lost with its node is trained again; one that failed by itself fails its trial."""
        cause = getattr(error, "cause", None)
        lost = isinstance(error, self.ray.exceptions.RayError) and not isinstance(cause, Exception)
        if lost and running.tries[number] < TRIES:
            console.note(
                f"fold {number} of trial {running.trial.number} was lost with its node; it is sent again"
            )
            self._send(running, number)
            return
        self._end(running)
        reason = cause if isinstance(cause, Exception) else error
        if isinstance(reason, VersionError):
            raise reason
        fail(self.desk, running.trial, reason_of(reason))

    def _end(self, running: Running) -> None:
        """Let go of a trial, and of what is still on its way."""
        for ref in running.refs:
            self.ray.cancel(ref, force=True)
        running.held.close()
        del self.running[running.trial.number]


def train_on_node(order: FoldOrder, prepared: Prepared, files: SplitFiles, mailbox: Any) -> bytes:
    """Train a fold on this node: its OOF predictions as a parquet file."""
    import torch

    from kagglekit.search.trial import fold_jobs
    from kagglekit.training.loop import train_fold

    check_version(order.version)
    console.configure(quiet=True)
    torch.set_num_threads(prepared.config.search.cpus)
    prepared = fetch_files(prepared, files)
    folder = prepared.workspace.studies / order.study / key_of(order.params)
    task = Candidate(prepared, order.model, order.params, folder)
    job = fold_jobs(task)[order.number]

    def report(epoch: int, now: Score) -> None:
        if order.number == 0:
            mailbox.report.remote(order.trial, epoch, now.cv)

    buffer = io.BytesIO()
    train_fold(job, report).write_parquet(buffer)
    return buffer.getvalue()
