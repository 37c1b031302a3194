"""What is found out about the folds and the test, as it is kept and shown. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups (speakers, authors, sites) of the clips that folds validate on."""

    clips: int
    groups: int
    """A clip without a group is its own."""
    named: bool
    """Whether clips have groups."""
    effective: float
    """Number of groups of one size that would vary as much: 1 / sum of squared shares of the clips."""
    alone: dict[str, int]
    """Classes all of whose clips are in one group, which no fold can train on and validate: their clips."""
    alone_share: float
    """Share of the validated clips that have such a class."""
    test_domain: bool
    """Whether the clips are annotations of the test's own domain (`domain: test`)."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A statistic in which test and training clips differ."""

    name: str
    unit: str
    auc: float
    """Share of pairs in which the test clip has the higher value; 0.5 where they do not differ."""
    train: float
    """Median of the validated clips, weighted as the score weights them."""
    test: float
    """Median of the test clips."""
    shift: float
    """Distance of the means, in standard deviations between the means of the training groups."""

    @property
    def text(self) -> str:
        """`background below 500 Hz -42 dB, in training -51 dB`"""
        form = ",.0f" if abs(self.test) >= 10 and abs(self.train) >= 10 else ".1f"
        return f"{self.name} {self.test:{form}} {self.unit}, in training {self.train:{form}} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class DomainGap:
    """How the test's clips differ from those that the folds validate on."""

    split: str
    """test, visible test (of a notebook competition, which may score another), or unlabelled where the test
    is hidden."""
    train_clips: int
    """Clips that were compared, at most `sampling.MOST` and a share of those that are only trained on."""
    test_clips: int
    auc: float
    """Of the domain classifier: 0.5 where test clips cannot be told from training clips, 1 where always."""
    auc_low: float
    """Lower end of its 95 % interval, by a bootstrap over groups."""
    auc_high: float
    fold_auc: float | None
    """The highest AUC by which one fold can be told from the others; None where the test's is so low that it
    does not matter."""
    far: float
    """AUC by which test clips have backgrounds further from all training clips of a fold than validation
    clips have: 0.5 where the folds hold out what is new in the test."""
    new_sounds: float
    """Share of test clips whose sounds, but not whose background, are further from all training clips than
    nearly all validation clips' are."""
    fold_new_sounds: float
    """The largest such share among the folds' validation clips."""
    shift: float
    """The largest of `differences` that models hear."""
    differences: list[Difference]
    """The statistic that separates most first; those of which models hear nothing come last."""
