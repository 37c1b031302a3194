"""Claim the trials of a study: the one routine for this process, for several, and for Ray.

A claim holds its trial's lock, so that no other process takes the trial for dead. A trial that a kill, Ctrl-C
or the deadline interrupted is tried again, once.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState

from kagglekit.files.keys import key_of
from kagglekit.search.limits import SearchLimits
from kagglekit.search.pruning import NOISE, STARTUP_TRIALS
from kagglekit.search.study import ENDED, REASON, RETRY_OF, SAME_AS, StudyHandle
from kagglekit.search.trial import Candidate, TrialResult, measure_costs
from kagglekit.terminal import console


@dataclass
class Claim:
    """A trial of this process: report its scores, end it in one of five ways, and close its lock."""

    handle: StudyHandle
    trial: optuna.Trial
    candidate: Candidate
    lock: ExitStack
    reported: set[int] = field(default_factory=set)
    """Steps whose score the study has, those of the interrupted trial that this one repeats included."""

    def report(self, step: int, score: float) -> None:
        """Report the score after an epoch.

        Raises:
            optuna.TrialPruned: the trial should stop.
        """
        if len(self.handle.study.directions) > 1:  # Optuna prunes by one objective only
            return
        if step not in self.reported:  # a fold that is trained again repeats its steps
            self.reported.add(step)
            self.trial.report(score, step)
        if step + 1 < self.handle.steps and self.trial.should_prune():
            raise optuna.TrialPruned

    def copy_result(self) -> bool:
        """End with the result of an earlier trial with equal parameters; False where there is none."""
        ended = self.handle.study.get_trials(deepcopy=False, states=ENDED)
        same = next((other for other in ended if other.params == self.trial.params), None)
        if same is None:
            return False
        self.trial.set_user_attr(SAME_AS, same.number)
        for name in (REASON, NOISE):
            if name in same.user_attrs:
                self.trial.set_user_attr(name, same.user_attrs[name])
        self._tell(list(same.values) if same.state == TrialState.COMPLETE else None)
        return True

    def complete(self, result: TrialResult) -> None:
        """End with a score; measure the other objectives."""
        self.trial.set_user_attr(NOISE, result.noise)
        objectives = self.handle.prepared.config.search.objectives
        self._tell([result.score, *measure_costs(self.candidate, objectives[1:])])

    def prune(self) -> None:
        """End a trial that stopped early."""
        self._tell(None)

    def fail(self, reason: str) -> None:
        """End a trial whose parameters failed, as pruned, so that Optuna's sampler learns to avoid them."""
        self.trial.set_user_attr(REASON, reason)
        console.note(f"trial {self.trial.number} failed: {reason}")
        self._tell(None)

    def interrupt(self) -> None:
        """Leave the trial to the next search, which tries its parameters again."""
        self.handle.study.tell(self.trial, state=TrialState.FAIL, skip_if_finished=True)

    def _tell(self, values: list[float] | None) -> None:
        """End the trial, as pruned without values; ignored where another process has taken it over."""
        state = TrialState.PRUNED if values is None else TrialState.COMPLETE
        ended = self.handle.study.tell(self.trial, values, state, skip_if_finished=True)
        if ended.state != state:
            console.note(f"another process took trial {self.trial.number} over; its result here is ignored")


def claim_trial(handle: StudyHandle, limits: SearchLimits) -> Claim | None:
    """Claim the next trial and draw its parameters; None where no trial may begin."""
    study = handle.study
    with ExitStack() as lock:
        with handle.locks.hold(study.study_name):  # without its lock, a running trial looks dead to others
            retry_interrupted(handle)
            if not limits.room(study):
                return None
            trial = study.ask()
            lock.enter_context(handle.locks.hold(handle.trial_lock(trial.number)))
        reported = _copy_scores(study, trial)
        params = draw_params(handle, trial)
        # named by the parameters, so that a trial goes on where the interrupted one stopped
        folder = handle.prepared.workspace.study_folder(study.study_name) / key_of(params)
        candidate = Candidate(handle.prepared, handle.plan.model, params, folder)
        return Claim(handle, trial, candidate, lock.pop_all(), reported)


def retry_interrupted(handle: StudyHandle) -> None:
    """Enqueue the parameters of interrupted trials again, each once; the study's lock must be held."""
    study = handle.study
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with handle.locks.hold(handle.trial_lock(trial.number), wait=False) as dead:
            if dead:
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for trial in trials:
        if trial.state != TrialState.FAIL or trial.number in retried:
            continue
        # an enqueued trial that was killed before it drew its parameters has them here
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        console.note(f"trial {trial.number} was interrupted; its parameters are tried again")
        study.enqueue_trial(params, user_attrs={RETRY_OF: trial.number})


def _copy_scores(study: optuna.Study, trial: optuna.Trial) -> set[int]:
    """Report the scores of the interrupted trial that this one repeats, and return their steps."""
    number = trial.user_attrs.get(RETRY_OF)
    if number is None or len(study.directions) > 1:
        return set()
    scores = study.get_trials(deepcopy=False)[number].intermediate_values
    for step, score in scores.items():
        trial.report(score, step)
    return set(scores)


def draw_params(handle: StudyHandle, trial: optuna.Trial) -> dict[str, Any]:
    """Draw parameters, seeded by the trial's number so that no other process or call draws the same."""
    seed = handle.prepared.config.search.seed + trial.number
    handle.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
    return handle.space.suggest(trial)
