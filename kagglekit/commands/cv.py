"""Explain the CV score of trained runs: parts, uncertainty, and how well CV foretold public scores."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kagglekit.commands import add_names, alarm, file_name, open_project
from kagglekit.terminal import console
from kagglekit.terminal.table import MOST_ROWS, ResultTable, first_rows

if TYPE_CHECKING:
    from kagglekit.runs.explain import Explained
    from kagglekit.scoring.metrics import Metric
    from kagglekit.scoring.parts import Explanation
    from kagglekit.submission.ledger import Entry

EXAMPLE = """example:
  $ kagglekit cv --model tcresnet --out cv.svg
  run                      unweighted      OOF   gain          CV   95 %
  tcresnet/1b107403f218        0.8857   0.8622   +0.0375   0.8997   0.8821 to 0.9172
  4 submissions: mean |CV - public| 1.1 points, rank correlation 0.80
  verdict: trust: test clips differ from training clips no more than folds do (AUC 0.57)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--model", "all trained models by default")
    add_names(parser, "--run", "these runs; repeatable", metavar="ID", dest="run_ids", action="extend")
    parser.add_argument(
        "--prior",
        choices=["stated", "estimated"],
        default="stated",
        help="score under validation.prior, or under each run's own estimate from its test predictions",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=file_name, help="draw CV against public score as .svg or .png"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit.scoring.forecast import cv_vs_lb
    from kagglekit.submission.ledger import cv_public_pairs

    project = open_project(args)
    runs, sent, verdict = project.cv(args.model, args.run_ids, prior=args.prior, out=args.out)
    scores = cv_public_pairs(sent)
    data: dict[str, Any] = {"runs": [one.as_dict() for one in runs]}
    lines: list[object] = []
    data["submissions"] = [
        {"csv": entry.csv, "models": entry.models, "cv": cv, "public": public}
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    data["cv_vs_lb"] = cv_vs_lb(scores)._asdict() if scores else None
    data["verdict"] = verdict and verdict.as_dict()
    if project.prepared.task.multi:
        data["metric"] = metric = project.config.competition.metric
        lines += _ranking(runs, metric, decided=project.metric.answer == "set")
    else:
        data["prior"] = args.prior
        lines += _overview(runs, args.prior == "estimated")
        lines += [
            line for one in (runs if args.model or args.run_ids else runs[:1]) for line in _details(one)
        ]
    lines += _against_public(sent, scores, project.metric)
    lines += [f"verdict: {verdict.sentence}", *(f"  {note}" for note in verdict.notes)] if verdict else []
    lines += [f"wrote {args.out}"] if args.out else []
    console.result(data, lines)


def _ranking(explained: Sequence[Explained], metric: str, *, decided: bool) -> list[object]:
    """Return the tables of a competition with several labels per clip; answers where they are `decided`."""
    runs = [one.run for one in explained]
    rows = [
        [
            f"{run.model}/{run.id}",
            run.score.cv,
            f"{run.score.low:.4f} to {run.score.high:.4f}",
            f"{min(run.metrics['folds']):.4f} to {max(run.metrics['folds']):.4f}",
        ]
        for run in runs
    ]
    columns = [
        "class",
        "clips",
        "average precision",
        *(["answered", "precision", "recall"] if decided else []),
    ]
    classes = [[name, *part][: len(columns)] for name, part in explained[0].classes.items()]
    return [
        *first_rows(ResultTable("score", ["run", metric, "95 %", "folds"], rows), "runs"),
        "95 %: by a jackknife over groups; folds: the lowest and the highest",
        *runs[0].score.notes,
        *first_rows(ResultTable(f"{rows[0][0]}, by class", columns, classes), "classes"),
        *(["answered: from probability 0.5; kagglekit ensemble fits thresholds"] if decided else []),
    ]


def _overview(explained: Sequence[Explained], estimated: bool) -> list[object]:
    """Return the tables of the runs' scores and of their accuracy by part."""
    pairs = [(one, one.why) for one in explained if one.why is not None]
    scores = [
        [
            one.name,
            one.run.metrics.get("source", ""),
            why.score.plain,
            why.score.oof,
            f"{why.score.shift:+.4f}",
            f"{why.score.gain:+.4f}",
            why.score.cv,
            f"{why.score.low:.4f} to {why.score.high:.4f}",
            f"{min(why.folds):.4f} to {max(why.folds):.4f}",
            f"{100 * why.bias.gain:+.1f} ± {100 * why.bias.error:.1f}",
        ]
        for one, why in pairs
    ]
    first = pairs[0][1].parts
    rows: list[list[Any]] = [
        ["clips", *(f"{part.clips:,}" for part in first.values()), "", ""],
        ["weight", *(f"{100 * part.weight:.1f} %" for part in first.values()), "", ""],
        *([one.name, *(why.parts[part].accuracy for part in first), *_by_word(why)] for one, why in pairs),
    ]
    columns = ["run", "source", "unweighted", "OOF", "shift", "gain", "CV", "95 %", "folds", "bias"]
    heads = [{"keyword": "keywords"}.get(part, part.replace("_", " ")) for part in first]
    by_word = ["95 % over words", "lowest to highest word"] if "unseen" in first else ["", ""]
    by_part = ResultTable("accuracy by part", ["", *heads, *by_word], rows)
    alarms = [f"{one.name}: {alarm(why.score)}" for one, why in pairs if why.score.constant]
    return [
        *first_rows(ResultTable("score", columns, scores), "runs"),
        "unweighted: accuracy of all clips alike; OOF: weighted to the test prior; shift: test shift (models",
        "are less certain of test clips); gain: by averaging the folds' models; CV = OOF + shift + gain;",
        "folds: lowest and highest OOF; bias: points that a decision bias would gain, ± standard error",
        *(["scored under the prior estimated from each run's test predictions"] if estimated else []),
        *alarms,
        *(first_rows(by_part, "runs") if len(first) > 1 else []),
    ]


def _by_word(why: Explanation) -> tuple[str, str]:
    """Format interval and range over unseen words: `0.64 to 0.88`, `two 0.25 of 4 to six 1.00 of 7`."""
    if not why.words:
        return "", ""
    words = list(why.words.items())
    (worst, low), (best, high) = words[0], words[-1]
    ends = f"{worst} {low.accuracy:.2f} of {low.clips} to {best} {high.accuracy:.2f} of {high.clips}"
    return "{:.2f} to {:.2f}".format(*why.unseen_interval), ends


def _details(one: Explained) -> list[object]:
    """Return a run's tables by class and unseen word, and the gain of a decision bias."""
    why = one.why
    assert why is not None
    classes: list[list[Any]] = [
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
    if len(classes) > MOST_ROWS:
        classes.sort(key=lambda row: row[2])
    by_word = ResultTable(f"{one.name}, unseen words", ["word", "clips", "accuracy", "weight"], words)
    advice = (
        "beyond noise: worth using" if why.bias.beyond_noise else "within noise: leave the decision as it is"
    )
    columns = ["class", "clips", "accuracy", "prior", "estimated", "bias"]
    return [
        *first_rows(ResultTable(f"{one.name}, by class", columns, classes), "classes, of higher accuracy"),
        "prior: in use; estimated: from the test predictions by EM, used with --prior estimated alone",
        *(first_rows(by_word, "words") if words else []),
        f"decision bias, fitted on the other folds: {100 * why.bias.gain:+.2f} points, "
        f"standard error {100 * why.bias.error:.2f}: {advice}",
    ]


def _against_public(
    sent: Sequence[Entry], scores: Sequence[tuple[float, float]], metric: Metric
) -> list[object]:
    """Return the table of CV and public scores of the submissions that have both."""
    from kagglekit.scoring.forecast import cv_vs_lb, summary

    if not sent:
        return ["no submission has both a CV and a public score yet"]
    rows = [
        ["+".join(entry.models) or entry.csv, cv, public, metric.difference(cv - public)]
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    return [
        *first_rows(
            ResultTable("CV as submitted, against public", ["models", "CV", "public", "CV-public"], rows),
            "submissions",
        ),
        summary(cv_vs_lb(scores), metric),
    ]
