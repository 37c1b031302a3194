"""Count the groups that folds are made of, and the classes that have no second one."""

from __future__ import annotations

import polars as pl

from kagglekit.data.clips import LEFT_OUT
from kagglekit.scoring.oof import group_of
from kagglekit.scoring.task import Task
from kagglekit.verdict.facts import Groups


def count_groups(clips: pl.DataFrame, task: Task, *, test_domain: bool = False) -> Groups:
    """Count the groups of a clips table."""
    trained = clips.filter((pl.col("split") == "train") & (pl.col("fold") != LEFT_OUT))
    trained = trained.with_columns(group=pl.Series(group_of(trained)))
    judged = trained.filter(pl.col("fold") >= 0)
    share = judged.group_by("group").len()["len"].to_numpy() / max(len(judged), 1)
    each = trained.with_columns(label=task.each(trained["label"])).explode("label")
    each = each.filter(pl.col("label").is_in(task.targets))
    by_class = each.group_by("label").agg(pl.col("group").n_unique().alias("groups"), pl.len())
    alone = dict(by_class.filter(pl.col("groups") == 1).sort("label").select("label", "len").iter_rows())
    own = task.each(judged["label"]).list.eval(pl.element().is_in(list(alone))).list.any()
    return Groups(
        clips=len(judged),
        groups=len(share),
        named=bool(len(judged)) and judged["speaker"].null_count() < len(judged),
        effective=float(1 / (share @ share)) if len(share) else 0.0,
        alone=alone,
        alone_share=float(own.fill_null(False).mean() or 0.0) if alone else 0.0,  # type: ignore[arg-type]
        test_domain=test_domain,
    )
