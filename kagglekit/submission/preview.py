"""What to show before a submission is sent: where it would stand, and what changed since the last."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from kagglekit.errors import KagglekitError
from kagglekit.files.sample import parse
from kagglekit.hosts.base import Host
from kagglekit.scoring.forecast import Expected
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.medals import rank_of, zone


class Standing(NamedTuple):
    """Where a score would stand on the host's public leaderboard of today."""

    rank: int
    best: int
    """Rank at the upper end of the interval."""
    worst: int
    teams: int
    zone: str
    """Of the medals, by public rank; the private one decides."""


class Change(NamedTuple):
    """How a submission differs from an earlier one."""

    csv: str
    """The earlier one's file name."""
    rows: int
    moves: list[tuple[str, str, int]]
    """(from, to, rows), the most common first."""


def standing(host: Host, hope: Expected) -> Standing | None:
    """Where it would stand; None where nobody has a score yet.

    Raises:
        HostError: the host does not show its leaderboard.
    """
    details, rows = host.details(), host.leaderboard()
    others = [row.score for row in rows if row.score is not None and row.rank != details.rank]
    if not others:
        return None
    teams = max(details.teams or 0, len(rows))
    rank, best, worst = (rank_of(score, others) for score in (hope.score, hope.high, hope.low))
    return Standing(rank, best, worst, teams, zone(rank, teams))


def change(frame: pl.DataFrame, ledger: Ledger, host: str, folder: Path) -> Change | None:
    """What is other than in the last submission sent to this host; None where its CSV is not here.

    Args:
        frame: id and label, or probabilities, of every row.
        ledger: the log.
        host: as the log has it.
        folder: where the CSVs lie.
    """
    for entry in sorted(ledger.entries(), key=_sent, reverse=True):
        if entry.host == host and entry.sent and not entry.foreign and (folder / entry.csv).is_file():
            break
    else:
        return None
    try:
        earlier = parse((folder / entry.csv).read_bytes(), entry.csv, hint="")
        frame, earlier = _answers(frame), _answers(earlier.select(frame.columns))
        pair = frame.join(earlier, on=frame.columns[0], how="inner", suffix="_before")
        before, now = pl.col(f"{frame.columns[1]}_before"), pl.col(frame.columns[1])
        moved = pair.filter(before != now).group_by(before.alias("from"), now.alias("to")).len()
    except (KagglekitError, pl.exceptions.PolarsError):  # somebody has changed the file: nothing to compare
        return None
    moves = moved.sort(["len", "from", "to"], descending=[True, False, False]).rows()
    return Change(entry.csv, sum(count for *_, count in moves), moves)


def _answers(frame: pl.DataFrame) -> pl.DataFrame:
    """Id and label; of probabilities, the likeliest class."""
    if frame.width == 2:
        return frame
    classes = frame.columns[1:]
    likeliest = frame.select(pl.concat_list(pl.col(classes).cast(pl.Float64)).list.arg_max()).to_series()
    return frame.select(frame.columns[0]).with_columns(label=pl.Series([classes[i] for i in likeliest]))


def _sent(entry: Entry) -> str:
    return entry.sent or ""
