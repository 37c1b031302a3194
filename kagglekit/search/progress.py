"""Show a running search: a row per ended trial, and a progress bar."""

import time
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from kagglekit.search.limits import SearchLimits
from kagglekit.search.results import StudySummary, summarize
from kagglekit.search.study import ENDED, REASON, SAME_AS, StudyHandle
from kagglekit.terminal import console
from kagglekit.terminal.progress import AdvanceBar

HEAD = f"{'trial':>5}  {'state':<8} {'score':>6}  {'best':>6}  {'saved':>5}  changes to the recipe"
SHOWN = 6  # parameters in a row


class TrialRows:
    """Shows each trial of a search once, in the order in which they end, whichever process ran it."""

    def __init__(self, handle: StudyHandle, limits: SearchLimits, advance: AdvanceBar) -> None:
        self.handle, self.trials, self.deadline = handle, limits.trials, limits.deadline
        self.recipe = handle.space.recipe()
        self.advance, self.started = advance, time.monotonic()
        self.shown = {trial.number for trial in self._ended()}  # by earlier calls
        self.before = len(self.shown)
        advance(min(self.before, self.trials or self.before))

    def show(self) -> None:
        """Show a row for each trial that has ended since the last call."""
        for trial in self._ended():
            if trial.number in self.shown:
                continue
            if len(self.shown) == self.before:
                console.note(HEAD)
            self.shown.add(trial.number)
            now = summarize(self.handle)
            best = "" if now.best is None else f"{now.value:.4f}"
            score = f"{trial.values[0]:.4f}" if trial.state == TrialState.COMPLETE else ""
            console.note(
                f"{trial.number:>5}  {state_of(trial):<8} {score:>6}  {best:>6}  {now.saved:>5.0%}  "
                f"{self._differences(trial)}"
            )
            console.event(self._event(trial, now))
            self.advance(1, text=f"best {best} (trial {now.best}), {now.pruned} pruned" if best else "")

    def _ended(self) -> list[FrozenTrial]:
        done = self.handle.study.get_trials(deepcopy=False, states=ENDED)
        return sorted(done, key=lambda t: (t.datetime_complete is None, t.datetime_complete, t.number))

    def _left(self) -> float | None:
        """Estimate the seconds until the search ends."""
        now = time.monotonic()
        new = len(self.shown) - self.before
        ends = [] if self.deadline is None else [self.deadline - now]
        if self.trials is not None and new:
            ends.append((self.trials - len(self.shown)) * (now - self.started) / new)
        return max(min(ends), 0.0) if ends else None

    def _differences(self, trial: FrozenTrial) -> str:
        """Return the parameters that differ from the recipe, or why the trial failed."""
        if REASON in trial.user_attrs:
            return str(trial.user_attrs[REASON])
        words = [
            f"{name.removeprefix('train.').removeprefix('augment.')}={short(value)}"
            for name, value in trial.params.items()
            if self.recipe.get(name) != value
        ]
        return " ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")

    def _event(self, trial: FrozenTrial, now: StudySummary) -> dict[str, Any]:
        left = self._left()
        return {
            "model": self.handle.plan.model,
            "trial": trial.number,
            "state": state_of(trial),
            "values": trial.values if trial.state == TrialState.COMPLETE else None,
            "reason": trial.user_attrs.get(REASON),
            "best": None if now.best is None else now.value,
            "saved": round(now.saved, 4),
            "seconds_left": left if left is None else round(left),
            "params": trial.params,
        }


def state_of(trial: FrozenTrial) -> str:
    """Return how a trial ended, in a word."""
    if REASON in trial.user_attrs:
        return "failed"
    if SAME_AS in trial.user_attrs:
        return "repeated"
    return "finished" if trial.state == TrialState.COMPLETE else "pruned"


def short(value: Any) -> str:
    """Format a parameter's value in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
