"""The leaderboard page: every submission, its CV score and the host's scores."""

from typing import Any

from kagglekit.charts.cv_vs_lb import picture
from kagglekit.report.source import Source
from kagglekit.scoring.forecast import cv_vs_lb, summary
from kagglekit.submission.ledger import best, cv_public_pairs
from kagglekit.submission.medals import zone


def page(source: Source) -> dict[str, Any]:
    """Compute what leaderboard.html shows."""
    metric = source.prepared.task.metric
    sent = [entry for entry in source.entries if entry.has_cv(metric) and entry.public is not None]
    by_cv, by_public = (best(source.entries, name, metric) for name in ("cv_score", "public"))
    rows = [
        {
            "entry": entry,
            "has_cv": entry.has_cv(metric),
            "models": "+".join(entry.models) or ("(elsewhere)" if entry.foreign else "(file)"),
            "best_cv": entry is by_cv,
            "best_public": entry is by_public,
            "zone": zone(entry.rank, entry.teams) if entry.rank and entry.teams else "",
        }
        for entry in reversed(source.entries)
    ]
    return {
        "rows": rows,
        "scatter": picture(sent, metric) if sent else None,
        "forecast": summary(cv_vs_lb(cv_public_pairs(sent)), metric) if sent else "",
    }
