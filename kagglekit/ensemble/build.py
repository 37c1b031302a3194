"""Stored OOF and test logits of several runs -> one blend and its decision, with an honest score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import AUTO, Config
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble import decisions, methods, multilabel
from kagglekit.ensemble.blend import Ensemble, found, identity, keep, read_members, record_of
from kagglekit.ensemble.blends import Blend, Floats, log_of, softmax_of
from kagglekit.ensemble.decisions import Decision, measure_signs
from kagglekit.ensemble.methods import METHODS, Oof
from kagglekit.ensemble.nested_cv import Table, compare_decisions, compare_methods
from kagglekit.runs.store import Run, fold_logits
from kagglekit.scoring.calibration import Answers
from kagglekit.scoring.cv import clip_weights, score
from kagglekit.scoring.task import PARTS


def best(prepared: Prepared, runs: Sequence[Run]) -> Ensemble:
    """The best by nested CV: of every run blended, of each model's best run blended, and of any single run.

    Arguments and errors as those of `build`.
    """
    best_of = {run.model: run for run in sorted(runs, key=lambda run: run.score.oof)}
    sets = [list(best_of.values()), list(runs)] if len(best_of) < len(runs) else [list(runs)]
    built = [build(prepared, chosen, AUTO, AUTO) for chosen in sets]
    top = max(built, key=lambda one: one.score.oof)  # of equals the one of fewer runs
    single = max(runs, key=lambda run: run.score.oof)
    if len(runs) > 1 and single.score.oof > top.score.oof:
        return build(prepared, [single], AUTO, AUTO)
    return top


class Library(NamedTuple):
    """What the runs predicted, checked and in one order."""

    oof: Oof
    signs: Floats
    """(clips, 3), of the OOF logits: what tells words never heard."""
    clips: pl.DataFrame
    """Rows of the clips table, one for each OOF clip."""
    test_clips: pl.DataFrame
    """clip_id of each test clip."""

    @property
    def speaker(self) -> NDArray[Any]:
        """(clips,), who the bootstrap draws; a clip without a speaker is one of its own."""
        return self.clips.select(pl.coalesce("speaker", "clip_id")).to_series().to_numpy()


def build(
    prepared: Prepared,
    runs: Sequence[Run],
    method: str | None = None,
    decision: str | None = None,
) -> Ensemble:
    """Choose, fit and judge a blend on OOF, blend OOF and test predictions, and keep all of it.

    Args:
        config, workspace, prepared: the competition.
        runs: at least one finished run, each on the present clips and folds.
        method: how to blend, "auto" for what nested CV says; by default config.ensemble's.
        decision: what to do to the blend; likewise.

    Raises:
        KagglekitError: runs with other clips, folds or classes, or with logits that are not finite.
    """
    runs = sorted(runs, key=lambda run: (run.model, run.id))
    key = identity(prepared, runs, method, decision)
    if (made := found(prepared.workspace, runs, key)) is not None:
        return made
    if prepared.config.separator is not None:
        return multilabel.build(prepared, runs, method, decision, key)
    library = load(prepared, runs)
    judged = judge(prepared.config, library, method, decision)
    chosen = (judged[0].chosen, judged[1].chosen)
    blend, decide = fit(prepared.config, library, *chosen)
    tested = len(library.test_clips)
    share = np.full(tested, 1 / tested)
    folds = []
    for number in range(prepared.config.validation.folds):
        logits = np.stack([fold_logits(run.folder, number) for run in runs])
        folds.append(decide(blend(softmax_of(logits)), measure_signs(logits), share))
    limits = [most for run in runs if (most := run.metrics.get("shift_limit")) is not None]
    oof, weight = library.oof, library.oof.weight / library.oof.weight.sum()
    blended = log_of(decide(blend(oof.probs), library.signs, weight))
    honest, limit = log_of(judged[1].of(chosen[1]).honest), min(limits, default=None)
    result = score(honest, library.clips, prepared.config, folds, limit, fitted=blended)
    by_part = tuple(_by_part(table, library) for table in judged)
    record = record_of(key, runs, blend, judged, by_part, chosen, result)
    name, folder, test = keep(
        prepared.workspace,
        runs,
        library.clips,
        library.test_clips,
        blended,
        log_of(np.mean(folds, axis=0)),
        record,
    )
    weights = tuple(float(w) for w in blend.weights)
    return Ensemble(
        name, tuple(runs), weights, chosen[0], chosen[1], tuple(judged), by_part, result, folder, test
    )


def load(prepared: Prepared, runs: Sequence[Run]) -> Library:
    """Read the OOF predictions of runs, in the order given.

    Raises:
        KagglekitError: as `build`.
    """
    members = read_members(prepared, runs)
    logits, clips = members.logits, members.clips
    target = _class_index(clips["label"].to_list(), prepared.config)
    predicted = Oof(
        softmax_of(logits), target, clip_weights(clips, prepared.config), clips["fold"].to_numpy()
    )
    return Library(predicted, measure_signs(logits), clips, members.test_clips)


def judge(config: Config, library: Library, method: str | None, decision: str | None) -> list[Table]:
    """Tables of methods and of decisions, each with what is taken: what was asked for, or what is chosen."""
    settings = config.ensemble
    method, decision = method or settings.method, decision or settings.decision
    if len(library.oof.probs) == 1:
        method = methods.PLAIN  # there is nothing to blend
    if config.labels.filler is None:
        decision = decisions.PLAIN
    filler = len(config.labels.classes) - 1
    names = tuple(METHODS) if method == AUTO else (method,)
    first = compare_methods(library.oof, library.speaker, settings, names)
    why = "as there is one run" if len(library.oof.probs) == 1 else "as asked"
    first = first if method == AUTO else first._replace(chosen=method, why=why)
    names = tuple(decisions.DECISIONS) if decision == AUTO else (decision,)
    second = compare_decisions(
        library.oof, library.signs, filler, library.speaker, settings, first.chosen, names
    )
    return [first, second if decision == AUTO else second._replace(chosen=decision, why="as asked")]


def _by_part(table: Table, library: Library) -> dict[str, dict[str, float]]:
    """Weighted accuracy of each method or decision, by part of the clips."""
    part, weight, target = library.clips["part"].to_numpy(), library.oof.weight, library.oof.target
    found = {}
    for judged in table.judged:
        right = judged.honest.argmax(1) == target
        of_part = {name: part == name for name in PARTS}
        found[judged.name] = {
            name: float(weight[of] @ right[of] / weight[of].sum())
            for name, of in of_part.items()
            if weight[of].sum() > 0
        }
    return found


def fit(config: Config, library: Library, method: str, decision: str) -> tuple[Blend, Decision]:
    """The blend and the decision that the test clips get, fitted on every fold."""
    oof = library.oof
    blend = METHODS[method].fit(oof, config.ensemble)
    answers = Answers(log_of(blend(oof.probs)), oof.target, oof.weight)
    return blend, decisions.fit(decision, answers, library.signs, len(config.labels.classes) - 1)


def _class_index(labels: list[str], config: Config) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(config.labels.classes)}
    return np.array([index[label] for label in labels])
