"""Train trial after trial in one process."""

import shutil
import time
from collections.abc import Callable

import optuna

from kagglekit.search.claim import Claim, claim_trial
from kagglekit.search.limits import SearchLimits
from kagglekit.search.storage import is_storage_error
from kagglekit.search.study import StudyHandle
from kagglekit.search.trial import failure_reason, is_outside_failure, train_trial
from kagglekit.terminal import console

WAIT_S = 0.5  # between looks at the trials of other processes


class OutOfTime(Exception):
    """The deadline passed within a trial."""


def run_trials(handle: StudyHandle, limits: SearchLimits, show: Callable[[], None]) -> None:
    """Train trial after trial until the search is over."""
    show()
    while not limits.over(handle.study):
        claim = claim_trial(handle, limits)
        if claim is None:
            time.sleep(WAIT_S)  # others run the last trials: if one of them dies, its trial is left to us
        else:
            with claim.lock:
                run_trial(claim, limits)
        show()


def run_trial(claim: Claim, limits: SearchLimits) -> None:
    """Train a claimed trial, and end it with its score, as pruned, as failed, or as interrupted."""
    trial, folder = claim.trial, claim.candidate.folder

    def stop_if_late() -> None:
        if limits.out_of_time():
            raise OutOfTime

    def report(step: int, score: float) -> None:
        claim.report(step, score)
        if step + 1 < claim.handle.steps:
            stop_if_late()

    # one process at a time trains equal parameters
    with claim.handle.locks.hold(f"{folder.parent.name}/{folder.name}"):
        try:
            if not claim.copy_result():
                stop_if_late()
                claim.complete(train_trial(claim.candidate, report))
        except optuna.TrialPruned:
            claim.prune()
        except (OutOfTime, KeyboardInterrupt) as stop:
            claim.interrupt()  # keeps the folder: the next search goes on from it
            if isinstance(stop, KeyboardInterrupt):
                raise
            console.note(f"trial {trial.number} ran out of time; the next search goes on with it")
            return
        except Exception as error:
            if is_outside_failure(error) or is_storage_error(error):
                raise
            claim.fail(failure_reason(error))
        shutil.rmtree(folder, ignore_errors=True)
