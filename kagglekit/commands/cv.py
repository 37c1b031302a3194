"""Explain the CV score of trained runs: what it is made of, how sure it is, and how well it foretold."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kagglekit.commands import names

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared
    from kagglekit.runs.store import Run
    from kagglekit.scoring.parts import Explanation
    from kagglekit.submission.ledger import Entry

EXAMPLE = """example:
  $ kagglekit cv --models tcresnet --scatter cv.svg
  run                       plain      OOF   gain          CV   95 %
  tcresnet/1b107403f218    0.8857   0.8622   +0.0375   0.8997   0.8821 to 0.9172
  4 submissions: mean |CV - public| 1.1 points, rank correlation 0.80"""


class Explained(NamedTuple):
    """A run with what its score is made of."""

    run: Run
    why: Explanation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=names, default=None, metavar="A,B", help="all trained ones by default"
    )
    parser.add_argument(
        "--run",
        dest="run_names",
        action="append",
        default=None,
        metavar="ID",
        help="this run; may be repeated",
    )
    parser.add_argument(
        "--prior",
        choices=["stated", "estimated"],
        default="stated",
        help="score under validation.prior, or under each run's own estimate from its test predictions",
    )
    parser.add_argument("--scatter", metavar="FILE", default=None, help="draw CV against public as an SVG")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit.charts.cv_vs_lb import picture
    from kagglekit.charts.svg import save
    from kagglekit.commands import open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.submission.ledger import scored_entries
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    sent = scored_entries(workspace)
    if args.scatter:
        save(picture(sent), Path(args.scatter))
    prepared = prepare(workspace)
    runs = _chosen(prepared, args.models, args.run_names)
    if config.separator is not None:
        _show_ranks(prepared, runs, sent)
        return
    explained = [_explain(prepared, run, args.prior == "estimated") for run in runs]
    explained.sort(key=lambda one: -one.why.score.cv)
    detailed = explained if args.models or args.run_names else explained[:1]
    lines = _overview(explained, args.prior == "estimated")
    lines += [line for one in detailed for line in _details(one)] + _against(sent)
    if args.scatter:
        lines.append(f"wrote {args.scatter}")
    console.result(_data(explained, args.prior, sent), lines)


def _show_ranks(prepared: Prepared, runs: Sequence[Run], sent: Sequence[Entry]) -> None:
    """Each run's metric, where a clip may have several labels: there is neither prior nor part to explain."""
    from kagglekit.commands import table
    from kagglekit.runs.store import scored
    from kagglekit.terminal import console

    judged = (scored(prepared, run) for run in runs)
    runs = sorted(judged, key=lambda run: -run.score.cv)
    rows = [
        [
            f"{run.model}/{run.id}",
            run.score.cv,
            f"{run.score.low:.4f} to {run.score.high:.4f}",
            f"{min(run.metrics['folds']):.4f} to {max(run.metrics['folds']):.4f}",
        ]
        for run in runs
    ]
    best = sorted(runs[0].score.parts.items(), key=lambda pair: pair[1])
    data = [{"model": run.model, "run": run.id, **run.score.as_dict()} for run in runs]
    console.result(
        {"runs": data, "metric": prepared.config.competition.metric},
        [
            table("score", ["run", prepared.config.competition.metric, "95 %", "folds"], rows),
            "95 %: by a jackknife over sources; folds: the lowest and the highest",
            table(f"{rows[0][0]}, by class", ["class", "average precision"], [list(pair) for pair in best]),
            *_against(sent),
        ],
    )


def _chosen(
    prepared: Prepared,
    models: list[str] | None,
    run_names: list[str] | None,
) -> list[Run]:
    """Every finished run on the present clips, folds and classes, or those of them that the options name.

    Raises:
        MissingError: there is none, or none of a name.
    """
    from kagglekit.errors import MissingError, close_match
    from kagglekit.models import info
    from kagglekit.runs.store import present_runs
    from kagglekit.terminal import console

    for model in models or ():
        info(model)
    fitting, others = present_runs(prepared)
    if others:
        console.note(f"{others} runs are left out: of other clips, folds or classes than the present")
    for name in run_names or ():
        if name not in {run.id for run in fitting}:
            known = close_match(name, [run.id for run in fitting]) if fitting else "none is trained"
            raise MissingError(f"no finished run {name} of the present clips and folds", hint=known)
    for model in models or ():
        if model not in {run.model for run in fitting}:
            raise MissingError(
                f"no run of {model} on the present clips", hint=f"train one: kagglekit train --model {model}"
            )
    if not fitting:
        raise MissingError("no model is trained yet", hint="train one: kagglekit train --model tcresnet")
    return [
        run
        for run in fitting
        if (models is None or run.model in models) and (run_names is None or run.id in run_names)
    ]


def _explain(prepared: Prepared, run: Run, estimated: bool) -> Explained:
    """Read a run's predictions and take its score apart, under the prior estimated from them if so wished.

    Raises:
        KagglekitError: its predictions are damaged.
    """
    import numpy as np

    from kagglekit.errors import KagglekitError
    from kagglekit.files import tables
    from kagglekit.runs.store import fold_probs, logits_of, rows_of, train_again
    from kagglekit.scoring.parts import explain
    from kagglekit.training.loop import OOF

    oof = tables.read(run.folder / OOF, train_again(run.folder))
    logits, clips = logits_of(oof), rows_of(oof, prepared.clips)
    if not np.isfinite(logits).all():
        raise KagglekitError(
            f"OOF predictions of {run.model}/{run.id} hold NaN or infinity", hint=train_again(run.folder)
        )
    test = [fold_probs(run.folder, number) for number in range(prepared.config.validation.folds)]
    limit = run.metrics.get("shift_limit")
    why = explain(logits, clips, prepared.config, test, limit)
    if estimated:
        validation = prepared.config.validation.model_copy(update={"prior": why.estimated})
        under = explain(
            logits, clips, prepared.config.model_copy(update={"validation": validation}), test, limit
        )
        why = under._replace(estimated=why.estimated)
    return Explained(run, why)


def _overview(explained: Sequence[Explained], estimated: bool) -> list[Any]:
    """Two tables: each run's score, and its parts."""
    from kagglekit.commands import table

    scores = [
        [
            _name(one),
            one.run.metrics.get("source", ""),
            score.plain,
            score.oof,
            f"{score.shift:+.4f}",
            f"{score.gain:+.4f}",
            score.cv,
            f"{score.low:.4f} to {score.high:.4f}",
            f"{min(why.folds):.4f} to {max(why.folds):.4f}",
            f"{100 * why.bias.gain:+.1f} ± {100 * why.bias.error:.1f}",
        ]
        for one in explained
        for why, score in [(one.why, one.why.score)]
    ]
    parts = list(explained[0].why.parts)
    first = explained[0].why.parts.values()
    rows: list[list[Any]] = [
        ["clips", *(f"{part.clips:,}" for part in first), "", ""],
        ["weight", *(f"{100 * part.weight:.1f} %" for part in first), "", ""],
        *([_name(one), *(one.why.parts[p].accuracy for p in parts), *_by_word(one.why)] for one in explained),
    ]
    columns = ["run", "source", "plain", "OOF", "shift", "gain", "CV", "95 %", "folds", "bias"]
    heads = [{"keyword": "keywords"}.get(part, part.replace("_", " ")) for part in parts]
    alarms = [
        f"ALARM: {_name(one)} hardly ever predicts, or always predicts: {', '.join(one.why.score.constant)}"
        for one in explained
        if one.why.score.constant
    ]
    return [
        table("score", columns, scores),
        "plain: each clip alike; OOF: weighed as the test is; shift: as models are less sure of test clips;",
        "gain: expected of averaging the folds; CV = OOF + shift + gain; folds: OOF of each; bias: points",
        "to gain by moving the decision, ± standard error",
        *(["scored under the prior that each run's own test predictions tell"] if estimated else []),
        *alarms,
        table("accuracy by part", ["", *heads, "95 % over words", "lowest to highest word"], rows),
    ]


def _name(one: Explained) -> str:
    return f"{one.run.model}/{one.run.id}"


def _by_word(why: Explanation) -> tuple[str, str]:
    """`0.64 to 0.88`, `two 0.25 of 4 to six 1.00 of 7`"""
    if not why.words:
        return "", ""
    words = list(why.words.items())
    (worst, low), (best, high) = words[0], words[-1]
    ends = f"{worst} {low.accuracy:.2f} of {low.clips} to {best} {high.accuracy:.2f} of {high.clips}"
    return "{:.2f} to {:.2f}".format(*word_interval(why)), ends


def word_interval(why: Explanation) -> tuple[float, float]:
    """95 % interval of the never-heard accuracy, each word a single draw from all words."""
    words, total = why.words.values(), sum(word.weight for word in why.words.values())
    if not total:
        return 0.0, 1.0
    mean = sum(word.weight * word.accuracy for word in words) / total
    error = sum((word.weight / total * (word.accuracy - mean)) ** 2 for word in words) ** 0.5
    return max(mean - 1.96 * error, 0.0), min(mean + 1.96 * error, 1.0)


def _details(one: Explained) -> list[Any]:
    """One run: by class, by never-heard word, and what a decision bias would be worth."""
    from kagglekit.commands import table

    why = one.why
    classes = [
        [
            name,
            part.clips,
            part.accuracy,
            f"{100 * part.weight:.1f} %",
            f"{100 * why.estimated[name]:.1f} %" if why.estimated else "",
            f"{why.bias.by_class[name]:+.2f}",
        ]
        for name, part in why.classes.items()
    ]
    words = [
        [name, part.clips, part.accuracy, f"{100 * part.weight:.1f} %"] for name, part in why.words.items()
    ]
    by_word = [table(f"{_name(one)}, never heard", ["word", "clips", "accuracy", "weight"], words)]
    advice = (
        "beyond noise: worth using" if why.bias.beyond_noise else "within noise: leave the decision as it is"
    )
    return [
        table(
            f"{_name(one)}, by class", ["class", "clips", "accuracy", "prior", "estimated", "bias"], classes
        ),
        "prior: in use; estimated: told by the test predictions (EM), used with --prior estimated alone",
        *(by_word if words else []),
        f"decision bias, fitted on the other folds: {100 * why.bias.gain:+.2f} points, "
        f"standard error {100 * why.bias.error:.2f}: {advice}",
    ]


def _against(sent: Sequence[Entry]) -> list[Any]:
    """CV beside public, for every submission."""
    from kagglekit.commands import table
    from kagglekit.scoring.forecast import cv_vs_lb, told
    from kagglekit.submission.ledger import cv_public_pairs

    if not sent:
        return ["no submission has both a CV and a public score yet"]
    scores = cv_public_pairs(sent)
    rows = [
        ["+".join(entry.models) or entry.csv, cv, public, f"{100 * (cv - public):+.1f}"]
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    return [
        table("CV as submitted, against public", ["models", "CV", "public", "CV-public"], rows),
        told(cv_vs_lb(scores)),
    ]


def _data(explained: Sequence[Explained], prior: str, sent: Sequence[Entry]) -> dict[str, Any]:
    """For JSON."""
    from kagglekit.scoring.forecast import cv_vs_lb
    from kagglekit.submission.ledger import cv_public_pairs

    scores = cv_public_pairs(sent)
    runs = [
        {
            "model": run.model,
            "run": run.id,
            "source": run.metrics.get("source"),
            **why.score.as_dict(),
            "oof": why.score.oof,
            "folds": why.folds,
            **{
                kind: {name: part._asdict() for name, part in getattr(why, kind).items()}
                for kind in ("parts", "classes", "words")
            },
            "unseen_interval": word_interval(why) if why.words else None,
            "estimated_prior": why.estimated,
            "bias": {**why.bias._asdict(), "beyond_noise": why.bias.beyond_noise},
        }
        for run, why in explained
    ]
    submissions = [
        {"csv": entry.csv, "models": entry.models, "cv": cv, "public": public}
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    return {
        "runs": runs,
        "prior": prior,
        "submissions": submissions,
        "agreement": cv_vs_lb(scores)._asdict() if scores else None,
    }
