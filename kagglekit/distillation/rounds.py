"""Noisy students in rounds: each student learns from the pseudo-labels of the one before.

The first round's teachers are the runs that are named; a later round has one teacher, the student before. A
student better than its teacher would only be held back by the mean of both. Each round is an ordinary run,
named by a key of all that it depends on: a round that is finished is found, not trained again.

Fold k's student learns from fold k's teachers alone, so that no round passes fold k's labels on to the models
that they judge.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.distillation import soft_labels
from kagglekit.distillation.soft_labels import SoftAudit
from kagglekit.ensemble.members import read_oof
from kagglekit.ensemble.nested_cv import NOISE
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.scoring.jackknife import jackknife_error, leave_groups_out
from kagglekit.scoring.metrics import Metric
from kagglekit.scoring.numerics import SAME, Floats
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task
from kagglekit.training.plan import Plan, resolve

MIX = 0.5  # share of the labelled clips to which pseudo-labelled ones are added


SOURCE = "round {} of students, soft targets {}"
"""Where a student's settings come from, in its record."""


class RoundsRule(NamedTuple):
    """What the rounds have in common."""

    rounds: int
    """Largest number of rounds."""
    power: float
    """Exponent of the teachers' probabilities."""
    share: float
    """Share of an epoch's clips that are pseudo-labelled."""
    with_test: bool
    """Whether the test's clips teach, too."""
    keep_going: bool
    """Whether a round that gains nothing is followed by another."""


class Student(NamedTuple):
    """A round's student beside its teachers."""

    number: int
    teachers: tuple[str, ...]
    """`model/id` of each."""
    run: Run
    audit: SoftAudit
    base: float
    """OOF of the teachers' mean."""
    gain: float
    """OOF of the student over it; positive where the student is better."""
    error: float
    """Standard error of the gain, by a jackknife over groups."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the gain exceeds two standard errors."""
        return self.gain > NOISE * self.error + SAME

    @property
    def is_loss(self) -> bool:
        """Whether the student is worse by more than two standard errors."""
        return -self.gain > NOISE * self.error + SAME

    def summary(self, metric: Metric) -> str:
        """Return the gain with its error and what it means."""
        gain = metric.points(self.gain, self.error)
        meaning = (
            "more than" if self.beyond_noise else "a loss of more than" if self.is_loss else "not beyond"
        )
        return f"{gain} over its teachers, {meaning} {NOISE:g} standard errors"


class Students(NamedTuple):
    """All rounds, and the run to use."""

    rounds: list[Student]
    best: Run | None
    """The last student that gained beyond noise, or the last of all where no gain is asked for; None: the
    teachers are better."""


def plans(
    config: Config, models: Sequence[str], rule: RoundsRule, settings: Mapping[int, Mapping[str, Any]]
) -> list[Plan]:
    """Return each round's plan, as yet without pseudo-labels, so that a wrong setting fails at once.

    Args:
        models: the first round's, the second's ...; the last one is that of all further rounds.
        settings: dotted settings of the student from a round on, by round.

    Raises:
        ConfigError: there is no such model or setting.
    """
    resolved, params = [], dict[str, Any]()
    for number in range(1, rule.rounds + 1):
        params |= settings.get(number, {})
        model = models[min(number, len(models)) - 1]
        common = {"train.labels": "targets", "train.soft_share": rule.share, "train.soft_mix": MIX}
        resolved.append(resolve(config, model, {**common, **params}))
    return resolved


def run_rounds(
    prepared: Prepared,
    teachers: Sequence[Run],
    plans: Sequence[Plan],
    rule: RoundsRule,
    report: Callable[[Student], None],
) -> Students:
    """Train the students one after the other, until one gains nothing beyond noise.

    Args:
        report: called after each round.

    Raises:
        KagglekitError: nothing can be pseudo-labelled, or all of it alike.
    """
    joins = soft_labels.candidates(prepared.clips, rule.with_test)
    task, done = prepared.task, list[Student]()
    for number, plan in enumerate(plans, 1):
        oof = read_oof(prepared, teachers)
        audited = soft_labels.audit(oof, rule.power, task)
        facts = {"power": rule.power, "with_test": rule.with_test, "audit": audited._asdict()}
        key = soft_labels.make(prepared, teachers, rule.power, joins, facts)
        train = plan.train.model_copy(update={"soft_targets": key})
        run = train_run(prepared, replace(plan, train=train), source=SOURCE.format(number, key))
        learnt = read_oof(prepared, [run])
        base, gain, error = compare(oof, learnt, task)
        names = tuple(f"{one.model}/{one.id}" for one in teachers)
        done.append(Student(number, names, run, audited, base, gain, error))
        report(done[-1])
        if not (done[-1].beyond_noise or rule.keep_going):
            break
        teachers = [run]
    better = done if rule.keep_going else [one for one in done if one.beyond_noise]
    return Students(done, better[-1].run if better else None)


def may_begin(run: Run) -> bool:
    """Whether a run may teach the first round without being named by its id: it is no student of a round.

    Otherwise the same command, given again, would begin with a student that its last call had trained.
    """
    return re.fullmatch(SOURCE.format(r"\d+", r"\w+"), run.metrics.get("source", "")) is None


def compare(teachers: Oof, student: Oof, task: Task) -> tuple[float, float, float]:
    """Return the metric of the teachers' mean, the student's gain over it, and the gain's standard error."""
    metric, truth = task.metric, task.one_hot(teachers.target)
    weight = teachers.weight if metric.weighted else None

    def both(measure: Callable[[Floats], Any]) -> tuple[Any, Any]:
        return measure(teachers.probs.mean(0)), measure(student.probs.mean(0))

    base, value = both(lambda probs: metric(truth, probs, weight, teachers.known))
    apart = both(lambda probs: leave_groups_out(metric, truth, probs, teachers.group, weight, teachers.known))
    return base, metric.gain(value, base), jackknife_error(np.subtract(*apart))
