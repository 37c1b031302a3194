"""`ensemble:`, how runs are blended and how the blend decides."""

from typing import Annotated

from kagglekit.config.base import Count, OneOf, Section
from kagglekit.config.names import ALL_DECISIONS, AUTO, METHODS, SMOOTHINGS


class Ensemble(Section):
    """How runs are blended and how the blend decides."""

    method: Annotated[str, OneOf((AUTO, *METHODS), "ensemble method")] = "caruana"
    """Blending method; auto: the one that nested cross-validation chooses in `kagglekit ensemble`."""
    smoothing: Annotated[str, OneOf((AUTO, *SMOOTHINGS), "smoothing")] = AUTO
    """Rule that joins the rows of a recording, where rows are windows of longer ones: neighbours (a weighted
    mean with those before and after), recording (times the recording's highest probability of the class, to
    a power), both, or none; auto: as for method."""
    decision: Annotated[str, OneOf((AUTO, *ALL_DECISIONS), "decision")] = AUTO
    """Rule that turns probabilities into labels; none: the largest probability, or all from 0.5 where a row
    may have several classes; auto: as for method."""
    rounds: Count = 25
    """Models that one selection picks, with replacement."""
    bags: Count = 20
    """Selections to average, each on a random half of the runs."""
    seed: int = 0
    """Random seed of the selections."""
