"""Teachers and students: pseudo-labels of test clips, and distillation of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.errors import ConfigError, plural
from kagglekit.project.base import Names, ProjectBase, check_names, split_names

if TYPE_CHECKING:
    from kagglekit.distillation.compare import Gains
    from kagglekit.distillation.pseudo_labels import PseudoLabels
    from kagglekit.distillation.rounds import RoundsRule, Student, Students
    from kagglekit.runs.store import Run

MOST_ROUNDS = 20


class PseudoLabelled(NamedTuple):
    """Pseudo-labels, and the student that was trained with them."""

    labels: PseudoLabels
    gains: Gains | None
    """The student beside the same model without them; None where `train` was off."""


class Distilled(NamedTuple):
    """A student and its teachers' blend."""

    run: Run
    soft_targets: str
    """Key of the soft targets."""
    method: str
    """How the teachers were blended."""
    ensemble_oof: float
    """OOF of that blend."""


class DistillationMethods(ProjectBase):
    """The part of `Project` that learns from ensembles."""

    def pseudo(
        self,
        teachers: Names = (),
        *,
        model: str = "tcresnet",
        agree: int | None = None,
        precision: float = 0.97,
        share: float = 0.25,
        seeds: int = 1,
        train: bool = True,
        audited: Callable[[PseudoLabels], None] = lambda labels: None,
    ) -> PseudoLabelled:
        """Train on pseudo-labelled test clips, after an audit of the same rule on OOF.

        Args:
            audited: called with the audit before training begins.

        Raises:
            ConfigError: an argument is invalid.
            KagglekitError: the audit fails.
        """
        from kagglekit.distillation import pseudo_labels
        from kagglekit.distillation.compare import gains
        from kagglekit.distillation.rules import PseudoLabelRule
        from kagglekit.ensemble.members import read_oof
        from kagglekit.models import info

        self.workspace.check_writable("workspace")
        info(model)
        runs = self._teachers(teachers)
        rule = PseudoLabelRule(_agreeing(agree, len(runs)), *_shares(precision, share))
        if seeds < 1:
            raise ConfigError(f"--seeds {seeds}: must be at least 1", hint="for example --seeds 3")
        labels = pseudo_labels.make(self.prepared, runs, read_oof(self.prepared, runs), rule)
        audited(labels)
        return PseudoLabelled(labels, gains(self.prepared, model, labels.key, seeds) if train else None)

    def distill(
        self, teachers: Names = (), *, method: str | None = None, model: str = "tcresnet"
    ) -> Distilled:
        """Train one student on an ensemble's probabilities; by default blended as competition.yaml says."""
        from kagglekit.distillation import distill
        from kagglekit.ensemble.build import compare
        from kagglekit.ensemble.members import read_oof
        from kagglekit.models import info
        from kagglekit.runs.train import train_run
        from kagglekit.training.plan import resolve

        self.workspace.check_writable("workspace")
        info(model)
        check_names(method, None)
        runs = self._teachers(teachers)
        oof = read_oof(self.prepared, runs)
        methods = compare(self.prepared, oof, method, "none")[0]
        key = distill.make(self.prepared, runs, oof, methods.chosen)
        plan = resolve(self.config, model, {"train.soft_targets": key, "train.labels": "targets"})
        student = train_run(self.prepared, plan, source=f"soft targets {key}")
        return Distilled(student, key, methods.chosen, methods.result(methods.chosen).accuracy)

    def distill_rounds(
        self,
        teachers: Names = (),
        *,
        rounds: int,
        model: Names = "tcresnet",
        power: float = 1.5,
        share: float = 0.5,
        test: bool | None = None,
        from_round: Sequence[str] = (),
        keep_going: bool = False,
        done: Callable[[Student], None] = lambda student: None,
    ) -> Students:
        """Train students in rounds, each on pseudo-labels by the one before; finished rounds are found again.

        Args:
            teachers: as elsewhere; a student of earlier rounds only where it is named by its id.
            model: the student of the first round, of the second ...; the last is that of all further rounds.
            power: exponent of the teachers' probabilities.
            share: share of an epoch's clips that are pseudo-labelled.
            test: whether the test's clips are pseudo-labelled, too; None: unless a notebook predicts it.
            from_round: `ROUND:SETTING=VALUE`, settings of the students from a round on.
            keep_going: go on after a round that gains nothing on OOF.
            done: called after each round.

        Raises:
            ConfigError: an argument is invalid.
            KagglekitError: nothing can be pseudo-labelled, or all of it alike.
        """
        from kagglekit.distillation import rounds as in_rounds
        from kagglekit.distillation.round_settings import parse_settings

        self.workspace.check_writable("workspace")
        with_test = self.config.competition.delivery == "csv" if test is None else test
        rule = in_rounds.RoundsRule(rounds, power, share, with_test, keep_going)
        students = split_names(model)
        _check_rounds(rule, students)
        plans = in_rounds.plans(self.config, students, rule, parse_settings(from_round, rounds))
        chosen = self._teachers(teachers, in_rounds.may_begin)
        return in_rounds.run_rounds(self.prepared, chosen, plans, rule, done)

    def _teachers(self, names: Names, wanted: Callable[[Run], bool] = lambda run: True) -> list[Run]:
        from kagglekit.runs.choose import best_runs

        runs = best_runs(self.prepared, split_names(names) or None, wanted)
        return sorted(runs, key=lambda run: (run.model, run.id))


def _check_rounds(rule: RoundsRule, students: Sequence[str]) -> None:
    """Raise a ConfigError for an argument of the rounds that is not possible."""
    if not 1 <= rule.rounds <= MOST_ROUNDS:
        raise ConfigError(
            f"--rounds {rule.rounds}: must be from 1 to {MOST_ROUNDS}", hint="for example --rounds 4"
        )
    if not students or len(students) > rule.rounds:
        raise ConfigError(
            f"--model names {plural(len(students), 'student')} for {plural(rule.rounds, 'round')}",
            hint="name one for each round, or one for all",
        )
    if not 0.1 <= rule.power <= 10:
        raise ConfigError(f"--power {rule.power:g}: must be from 0.1 to 10", hint="for example --power 1.5")
    if not 0 < rule.share <= 0.95:
        raise ConfigError(
            f"--share {rule.share:g}: must be above 0 and at most 0.95", hint="for example --share 0.5"
        )


def _agreeing(agree: int | None, teachers: int) -> int:
    """Return how many teachers must agree, or raise a ConfigError for a number that is not possible."""
    if agree is not None and agree > teachers:
        raise ConfigError(
            f"--agree {agree} exceeds the number of teachers ({teachers})",
            hint=f"name a number from 1 to {teachers}",
        )
    if agree is not None and agree < 1:
        raise ConfigError(f"--agree {agree}: must be at least 1", hint=f"name a number from 1 to {teachers}")
    return teachers if agree is None else agree


def _shares(precision: float, share: float) -> tuple[float, float]:
    """Return --precision and --share, or raise a ConfigError for one that is not between 0 and 1."""
    for name, value in (("precision", precision), ("share", share)):
        if not 0 < value < 1:
            raise ConfigError(
                f"--{name} {value:g}: must be between 0 and 1", hint=f"for example --{name} 0.5"
            )
    return precision, share
