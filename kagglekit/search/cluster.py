"""Search on a Ray cluster: the study stays here, and nodes train the folds of its trials.

A trial's first fold is trained alone, and its epochs are compared with other trials'. If it is not pruned,
its other folds are trained at once. Folds that are lost with their node are trained again elsewhere.
"""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import optuna
import polars as pl
import torch

from kagglekit import __version__
from kagglekit.data.prepare import Prepared
from kagglekit.data.shards import SplitFiles, fetch_files, put_files, select_splits
from kagglekit.files.keys import key_of
from kagglekit.parallel.cluster import TRIES, VersionError, check_version, connect
from kagglekit.scoring.cv import Score
from kagglekit.search.claim import Claim, claim_trial
from kagglekit.search.limits import SearchLimits
from kagglekit.search.study import StudyHandle
from kagglekit.search.trial import (
    Candidate,
    failure_reason,
    fold_jobs,
    folds_per_trial,
    is_outside_failure,
    score_folds,
)
from kagglekit.terminal import console
from kagglekit.training.loop import train_fold

POLL_S = 0.2  # between looks at the cluster
SPLITS = ("train", "silence")  # a search predicts no test clips


def search_on_cluster(
    handle: StudyHandle, limits: SearchLimits, address: str, show: Callable[[], None]
) -> None:
    """Train the folds of trials on a cluster (`auto`, `ray://host:port` or `local`) until the search is over.

    Raises:
        KagglekitError: there is no cluster, or a node has another version of kagglekit.
    """
    ray = connect(address)
    scheduler = Scheduler(ray, handle, limits)
    try:
        while not limits.out_of_time():
            complete = limits.complete(handle.study)
            if complete and not scheduler.running:
                break
            scheduler.step(start=not complete)
            show()
    finally:
        scheduler.close()
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
class RunningTrial:
    """A claimed trial whose folds are on the cluster."""

    claim: Claim
    refs: dict[Any, int] = field(default_factory=dict)
    """The fold of each pending result."""
    parts: dict[int, pl.DataFrame] = field(default_factory=dict)
    """OOF predictions by fold."""
    reported: int = 0
    """Number of folds, from the first, whose score the study has."""
    tries: dict[int, int] = field(default_factory=dict)
    """How often each fold was sent."""


class Mailbox:
    """A Ray actor where nodes leave scores until the search collects them."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, int, float]] = []

    def report(self, trial: int, step: int, score: float) -> None:
        """Leave a score."""
        self.reports.append((trial, step, score))

    def collect(self) -> list[tuple[int, int, float]]:
        """Return the scores since the last call."""
        reports, self.reports = self.reports, []
        return reports


class Scheduler:
    """Sends the folds of a study's trials to the cluster, and records their results."""

    def __init__(self, ray: Any, handle: StudyHandle, limits: SearchLimits) -> None:
        self.ray, self.limits = ray, limits
        self.handle = replace(handle, prepared=select_splits(handle.prepared, SPLITS))
        self.search = handle.prepared.config.search
        self.running: dict[int, RunningTrial] = {}
        self.files, self.shared = put_files(ray, self.handle.prepared), ray.put(self.handle.prepared)
        here = ray.get_runtime_context().get_node_id()  # the last node to be lost
        near = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=True)
        lasting: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self.mailbox = ray.remote(**lasting, scheduling_strategy=near)(Mailbox).remote()
        resources = {"num_cpus": self.search.cpus, "num_gpus": self.search.gpus}
        self.train = ray.remote(**resources, max_retries=0)(train_on_node)

    def step(self, *, start: bool) -> None:
        """Start the trials that there is room for, and record the results that have come."""
        while start and self._room() > 0 and self._start_trial():
            pass
        refs = [ref for running in self.running.values() for ref in running.refs]
        ready, _ = self.ray.wait(refs, num_returns=1, timeout=POLL_S) if refs else ([], [])
        if not refs:
            time.sleep(POLL_S)
        for number, step, score in self.ray.get(self.mailbox.collect.remote()):
            self._record_epoch(number, step, score)
        for ref in ready:
            self._record_fold(ref)

    def close(self) -> None:
        """Interrupt the running trials; the next search goes on with them."""
        for running in list(self.running.values()):
            running.claim.interrupt()
            self._end(running)

    def _room(self) -> int:
        """Return how many folds the cluster could start now."""
        resources = self.ray.cluster_resources()
        room = int(resources.get("CPU", 0) // self.search.cpus)
        if self.search.gpus:
            room = min(room, int(resources.get("GPU", 0) // self.search.gpus))
        return room - sum(len(running.refs) for running in self.running.values())

    def _start_trial(self) -> bool:
        """Claim a trial and send its first fold; False where no trial may begin."""
        claim = claim_trial(self.handle, self.limits)
        if claim is None:
            return False
        if claim.copy_result():
            claim.lock.close()
            return True
        running = self.running[claim.trial.number] = RunningTrial(claim)
        self._send(running, 0)
        return True

    def _send(self, running: RunningTrial, number: int) -> None:
        running.tries[number] = running.tries.get(number, 0) + 1
        candidate, trial = running.claim.candidate, running.claim.trial.number
        order = FoldOrder(candidate.model, candidate.params, self.handle.study.study_name, trial, number)
        running.refs[self.train.remote(order, self.shared, self.files, self.mailbox)] = number

    def _record_epoch(self, number: int, step: int, score: float) -> None:
        """Report an epoch of a trial's first fold to the study."""
        running = self.running.get(number)
        if running is None or running.reported:
            return
        try:
            running.claim.report(step, score)
        except optuna.TrialPruned:
            running.claim.prune()
            self._end(running)

    def _record_fold(self, ref: Any) -> None:
        """Record the predictions of a fold, or its failure."""
        running = next((r for r in self.running.values() if ref in r.refs), None)
        if running is None:  # the trial was stopped
            return
        number = running.refs.pop(ref)
        try:
            running.parts[number] = pl.read_parquet(io.BytesIO(self.ray.get(ref)))
            self._score(running)
        except optuna.TrialPruned:
            running.claim.prune()
            self._end(running)
        except Exception as error:
            self._handle_failure(running, number, error)

    def _score(self, running: RunningTrial) -> None:
        """Report the score of the folds so far; send the others after the first; end after the last."""
        claim, parts = running.claim, running.parts
        folds, epochs = folds_per_trial(self.handle.prepared.config), self.handle.plan.train.epochs
        while running.reported in parts and running.reported + 1 < folds:
            running.reported += 1
            scores = [score_folds(claim.candidate, [parts[k]]).score for k in range(running.reported)]
            claim.report(running.reported * epochs - 1, float(np.mean(scores)))
        if len(parts) == 1 and 0 in parts:
            for number in range(1, folds):
                self._send(running, number)
        if len(parts) == folds:
            claim.complete(score_folds(claim.candidate, [parts[k] for k in range(folds)]))
            self._end(running)

    def _handle_failure(self, running: RunningTrial, number: int, error: Exception) -> None:
        """Send a fold again that was lost with its node; fail the trial where the training failed."""
        trial, cause = running.claim.trial.number, getattr(error, "cause", None)
        lost = isinstance(error, self.ray.exceptions.RayError) and not isinstance(cause, Exception)
        if lost and running.tries[number] < TRIES:
            console.note(f"fold {number} of trial {trial} was lost with its node; training it again")
            self._send(running, number)
            return
        reason = cause if isinstance(cause, Exception) else error
        if isinstance(reason, VersionError) or is_outside_failure(reason):
            raise reason
        running.claim.fail(failure_reason(reason))
        self._end(running)

    def _end(self, running: RunningTrial) -> None:
        """Cancel a trial's pending folds and release it."""
        for ref in running.refs:
            self.ray.cancel(ref, force=True)
        running.claim.lock.close()
        del self.running[running.claim.trial.number]


def train_on_node(order: FoldOrder, prepared: Prepared, files: SplitFiles, mailbox: Any) -> bytes:
    """Train a fold on this node, and return its OOF predictions as a parquet file."""
    check_version(order.version)
    console.configure(quiet=True)
    torch.set_num_threads(prepared.config.search.cpus)
    prepared = fetch_files(prepared, files)
    folder = prepared.workspace.study_folder(order.study) / key_of(order.params)
    job = fold_jobs(Candidate(prepared, order.model, order.params, folder))[order.number]

    def report(epoch: int, now: Score) -> None:
        if order.number == 0:
            mailbox.report.remote(order.trial, epoch, now.cv)

    buffer = io.BytesIO()
    train_fold(job, report).write_parquet(buffer)
    return buffer.getvalue()
