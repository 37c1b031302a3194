"""Preview a submission before it is sent: its rank on the leaderboard, and the rows that changed."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from kagglekit.errors import KagglekitError
from kagglekit.files.sample import PAIR
from kagglekit.files.tables import read_table
from kagglekit.hosts.base import Host
from kagglekit.scoring.forecast import Expected
from kagglekit.scoring.metrics import Metric
from kagglekit.scoring.metrics.base import THRESHOLD
from kagglekit.scoring.shapes import Shape, numbers
from kagglekit.submission.ledger import Ledger
from kagglekit.submission.medals import rank_of, zone


class Standing(NamedTuple):
    """The rank of a score on the host's current public leaderboard."""

    rank: int
    best: int
    """Rank at the better end of the interval."""
    worst: int
    teams: int
    zone: str
    """Medal zone of the public rank; medals go by the private rank."""


class Change(NamedTuple):
    """How a submission differs from an earlier one."""

    csv: str
    """File name of the earlier submission."""
    rows: int
    moves: list[tuple[str, str, int]]
    """(earlier label, new label, rows), the most common first."""


def standing(host: Host, forecast: Expected, metric: Metric) -> Standing | None:
    """Return the forecast's rank on the public leaderboard; None where no team has a score yet.

    Raises:
        HostError: the host does not show its leaderboard.
    """
    details, rows = host.details(), host.leaderboard()
    others = [row.score for row in rows if row.score is not None and row.rank != details.rank]
    if not others:
        return None
    teams = max(details.teams or 0, len(rows))
    rank, *ends = (rank_of(score, others, metric) for score in (forecast.score, forecast.low, forecast.high))
    return Standing(rank, min(ends), max(ends), teams, zone(rank, teams))


def change(
    frame: pl.DataFrame, ledger: Ledger, host: str, folder: Path, shape: Shape | None = None
) -> Change | None:
    """Compare with the last submission sent to this host; None where its CSV is missing or was edited."""
    for entry in sorted(ledger.entries(), key=lambda entry: entry.sent or "", reverse=True):
        if entry.host == host and entry.sent and not entry.foreign and (folder / entry.csv).is_file():
            break
    else:
        return None
    try:
        data = (folder / entry.csv).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return None
        earlier = read_table(data, entry.csv, hint="").frame
        frame, earlier = _labels(frame, shape), _labels(earlier.select(frame.columns), shape)
        pair = frame.join(earlier, on=frame.columns[0], how="inner", suffix="_before")
        before, now = pl.col(f"{frame.columns[1]}_before"), pl.col(frame.columns[1])
        moved = pair.filter(before != now).group_by(before.alias("from"), now.alias("to")).len()
    except (KagglekitError, ValueError, pl.exceptions.PolarsError):  # another host's table, or other columns
        return None
    moves = moved.sort(["len", "from", "to"], descending=[True, False, False]).rows()
    return Change(entry.csv, sum(count for *_, count in moves), moves)


def _labels(frame: pl.DataFrame, shape: Shape | None) -> pl.DataFrame:
    """Return id and label; from probabilities the likeliest class, or whether the row's one is likely."""
    if shape is not None and (shape.is_long or shape.name == "probability"):
        key = frame.columns[:-1]
        likely = numbers(frame.select(pl.last().cast(pl.String)), frame.columns[-1:])[:, 0] >= THRESHOLD
        answers = pl.Series("label", np.where(likely, "present", "absent"), dtype=pl.String)
        return frame.select(pl.concat_str(key, separator=PAIR).alias(key[0])).with_columns(answers)
    if frame.width == 2:
        return frame
    classes = frame.columns[1:]
    likeliest = frame.select(pl.concat_list(pl.col(classes).cast(pl.Float64)).list.arg_max()).to_series()
    return frame.select(frame.columns[0]).with_columns(label=pl.Series([classes[i] for i in likeliest]))
