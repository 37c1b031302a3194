"""Teachers and students: pseudo-labels of test clips, and distillation of an ensemble."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.errors import ConfigError
from kagglekit.project.base import Names, ProjectBase, check_names, split_names

if TYPE_CHECKING:
    from kagglekit.distillation.compare import Gains
    from kagglekit.distillation.pseudo_labels import PseudoLabels
    from kagglekit.runs.store import Run


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

    def _teachers(self, names: Names) -> list[Run]:
        from kagglekit.runs.choose import best_runs

        runs = best_runs(self.prepared, split_names(names) or None)
        return sorted(runs, key=lambda run: (run.model, run.id))


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
