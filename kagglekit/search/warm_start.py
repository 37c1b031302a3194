"""The first trials of a study: the recipe, and the best trials of other studies."""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from kagglekit.errors import MissingError, close_match
from kagglekit.search.storage import open_storage, studies_in
from kagglekit.search.study import ORIGIN, StudyHandle, completed_trials

WARM_TRIALS = 5  # best trials of another study that a warm start tries


def enqueue_first(handle: StudyHandle, sources: Sequence[str]) -> None:
    """Enqueue the recipe in an empty study, and the best trials of other studies that it has not tried.

    `sources` names studies, or architectures for all their studies.

    Raises:
        MissingError: there is no such study.
    """
    study = handle.study
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(handle.space.recipe())
    for source in sources:
        for name, trial in _best_trials(handle, source):
            tried = {t.user_attrs.get(ORIGIN) for t in study.get_trials(deepcopy=False)}
            origin = f"{name} trial {trial.number}"
            if origin not in tried:
                study.enqueue_trial(handle.space.nearest(trial.params), user_attrs={ORIGIN: origin})


def _best_trials(handle: StudyHandle, source: str) -> list[tuple[str, FrozenTrial]]:
    """Return (study, trial) of the best trials of a study, or of all studies of a model."""
    model = source.partition("-")[0] if "-" in source else source
    studies = {study.study_name: study for study in _studies(handle, model)}
    others = [name for name in studies if name != handle.study.study_name]
    names = [name for name in others if source in (name, name.rpartition("-")[0])]
    if not names:
        search = f"search it first: kagglekit tune --model {model}"
        raise MissingError(
            f"there is no other study '{source}' to start from",
            hint=close_match(source, studies) if studies else search,
        )
    best = [(name, trial) for name in names for trial in completed_trials(studies[name])[:WARM_TRIALS]]
    ranked = handle.prepared.task.metric.ranked(best, lambda pair: pair[1].values[0])
    return ranked[:WARM_TRIALS]


def _studies(handle: StudyHandle, model: str) -> list[optuna.Study]:
    workspace = handle.prepared.workspace
    if workspace.config.search.storage:
        return studies_in(handle.storage)
    journal = workspace.journal(model)  # each architecture has its own
    return studies_in(open_storage(workspace, model)) if journal.is_file() else []
