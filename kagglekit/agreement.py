"""How well CV scores foretold the public ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.errors import KagglekitError
from kagglekit.ledger import Entry, Ledger, host_name

if TYPE_CHECKING:
    from kagglekit.charts.svg import Picture
    from kagglekit.config import Config
    from kagglekit.workspace import Workspace

BAND = 0.015
"""Half the width of the band in the picture: how far CV may be from public."""


class Agreement(NamedTuple):
    """How well CV scores foretold the public ones."""

    pairs: int
    mean_abs: float
    """Mean of |CV - public|."""
    mean: float
    """Mean of CV - public."""
    rank: float | None
    """Spearman's rank correlation; None for fewer than three pairs, or where all of one side are equal."""


def comparable(config: Config, workspace: Workspace) -> list[Entry]:
    """Submissions to this host with a CV and a public score, oldest first."""
    entries = sorted(Ledger(workspace.ledger_path).entries(), key=lambda entry: entry.time)
    here = [entry for entry in entries if entry.host == host_name(config)]
    return [entry for entry in here if entry.cv_score is not None and entry.public is not None]


def scores_of(sent: Sequence[Entry]) -> list[tuple[float, float]]:
    """(CV, public) of comparable submissions."""
    return [(e.cv_score, e.public) for e in sent if e.cv_score is not None and e.public is not None]


def agreement(scores: Sequence[tuple[float, float]]) -> Agreement:
    """How far CV was from public, over at least one (CV, public), and whether it ranked alike."""
    differences = [cv - public for cv, public in scores]
    ranks = [_ranks(side) for side in zip(*scores, strict=True)]
    middle = (len(scores) + 1) / 2
    across, up = ([rank - middle for rank in side] for side in ranks)
    spread = sum(a * a for a in across) * sum(b * b for b in up)
    together = sum(a * b for a, b in zip(across, up, strict=True))
    return Agreement(
        pairs=len(scores),
        mean_abs=sum(map(abs, differences)) / len(scores),
        mean=sum(differences) / len(scores),
        rank=together / spread**0.5 if len(scores) >= 3 and spread > 0 else None,
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    return [sum(v < value for v in values) + (values.count(value) + 1) / 2 for value in values]


def told(found: Agreement) -> str:
    """In a line."""
    rank = "too few to rank" if found.rank is None else f"rank correlation {found.rank:.2f}"
    return f"{found.pairs} submissions: mean |CV - public| {100 * found.mean_abs:.1f} points, {rank}"


def picture(sent: Sequence[Entry]) -> Picture:
    """CV against public, a dot a submission.

    Raises:
        KagglekitError: nothing to draw.
    """
    from kagglekit.charts.scatter import Point, scatter

    if not sent:
        raise KagglekitError(
            "no submission has both a CV and a public score, so there is nothing to draw",
            hint="send one (kagglekit submit --upload), or fetch late scores: kagglekit leaderboard --sync",
        )
    scores = scores_of(sent)
    points = [
        Point(cv, public, "+".join(entry.models) or entry.csv)
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    return scatter(
        points,
        title="CV against public score",
        note=told(agreement(scores)),
        x_name="CV",
        y_name=f"public (band: CV ± {100 * BAND:g} points)",
        band=BAND,
    )
