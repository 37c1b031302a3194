"""A search as it goes: a row for each trial that ends, and a bar with the time left."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from kagglekit.search.study import FINISHED, REASON, SAME, Desk, outcome
from kagglekit.terminal import console, progress

HEAD = f"{'trial':>5}  {'state':<8} {'score':>6}  {'best':>6}  {'saved':>5}  parameters unlike the recipe's"
SHOWN = 6  # parameters in a row


class Rows:
    """Shows each trial once, in the order they end, whichever process ran it.

    Args:
        desk: the study.
        trials: how many are wanted; None: nobody knows.
        deadline: time.monotonic() at which the search ends, or None.
    """

    def __init__(self, desk: Desk, trials: int | None, deadline: float | None) -> None:
        self.desk, self.trials, self.deadline = desk, trials, deadline
        self.shown: set[int] = set()
        self.recipe = desk.space.recipe()
        self.stack = ExitStack()
        self.started = time.monotonic()
        self.before = 0

    def __enter__(self) -> Rows:
        self.advance = self.stack.enter_context(
            progress.bar(f"tune {self.desk.plan.model}", self.trials, "trials")
        )
        done = self._ended()
        self.before = len(done)
        self.shown = {trial.number for trial in done}  # those of earlier calls are not shown again
        self.advance(min(len(done), self.trials or len(done)))
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def show(self) -> None:
        """A row for each trial that has ended since."""
        for trial in self._ended():
            if trial.number in self.shown:
                continue
            if len(self.shown) == self.before:
                console.note(HEAD)
            self.shown.add(trial.number)
            now = outcome(self.desk)
            best = "" if now.best is None else f"{now.value:.4f}"
            score = f"{trial.values[0]:.4f}" if trial.state == TrialState.COMPLETE else ""
            left = self._left()
            console.note(
                f"{trial.number:>5}  {state_of(trial):<8} {score:>6}  {best:>6}  {now.saved:>5.0%}  "
                f"{self._unlike(trial)}"
            )
            console.event(self._event(trial, left))
            behind = f"best {best} (trial {now.best}), {now.pruned} pruned" if best else ""
            self.advance(1, text=behind)

    def _ended(self) -> list[FrozenTrial]:
        done = self.desk.study.get_trials(deepcopy=False, states=FINISHED)
        return sorted(done, key=lambda t: (t.datetime_complete is None, t.datetime_complete, t.number))

    def _left(self) -> float | None:
        """Seconds that the search will still take."""
        now = time.monotonic()
        by_clock = None if self.deadline is None else self.deadline - now
        new = len(self.shown) - self.before
        by_count = None
        if self.trials is not None and new:
            by_count = (self.trials - len(self.shown)) * (now - self.started) / new
        ends = [max(end, 0.0) for end in (by_clock, by_count) if end is not None]
        return min(ends) if ends else None

    def _unlike(self, trial: FrozenTrial) -> str:
        if REASON in trial.user_attrs:
            return str(trial.user_attrs[REASON])
        unlike = {n: v for n, v in trial.params.items() if self.recipe.get(n) != v}
        words = [
            f"{name.removeprefix('train.').removeprefix('augment.')}={short(v)}" for name, v in unlike.items()
        ]
        return " ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")

    def _event(self, trial: FrozenTrial, left: float | None) -> dict[str, Any]:
        now = outcome(self.desk)
        return {
            "model": self.desk.plan.model,
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
    """How a trial ended, in a word."""
    if REASON in trial.user_attrs:
        return "failed"
    if SAME in trial.user_attrs:
        return "known"
    return "finished" if trial.state == TrialState.COMPLETE else "pruned"


def short(value: Any) -> str:
    """A parameter's value in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
