"""What the verdict knows of the clips; computed once, and kept in the workspace with a checksum."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.faults import unless_refused
from kagglekit.files.json_shape import shaped
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.verdict.facts import DomainGap, Groups

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared

FILE = "verdict.json"
VERSION = 1  # part of the key: raise it when groups.py, sampling.py, classifier.py or distance.py change


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the clips say of the folds."""

    groups: Groups
    compared: DomainGap | None
    """None where the test is hidden and there are no unlabelled recordings, or too few clips."""
    problem: str = ""
    """Why nothing could be compared, where that is no lack of clips."""


def evidence_of(prepared: Prepared) -> Evidence:
    """Return what the clips say, computed at the first call for these clips.

    Clips that cannot be compared are no error: the groups are counted all the same.
    """
    from kagglekit.verdict.groups import count_groups
    from kagglekit.verdict.sampling import compare_splits

    workspace = prepared.workspace
    if (saved := saved_evidence(workspace)) is not None:
        return saved
    test_domain = any(train.domain == "test" and train.judged for train in prepared.config.data.train)
    groups = count_groups(prepared.clips, prepared.task, test_domain=test_domain)
    try:
        evidence = Evidence(groups=groups, compared=compare_splits(prepared))
    except KagglekitError as error:
        return Evidence(groups=groups, compared=None, problem=str(error))
    with unless_refused():
        write_json(workspace.root / FILE, {"key": _key(workspace), "evidence": asdict(evidence)})
    return evidence


def saved_evidence(workspace: Workspace) -> Evidence | None:
    """Return what an earlier call has computed for the present clips; None where there is nothing."""
    try:
        saved: Any = read_json(workspace.root / FILE)
        if saved["key"] != _key(workspace):
            return None
        return shaped(Evidence, saved["evidence"])
    except (OSError, ValueError, LookupError, TypeError):  # not there, or damaged: it is made again
        return None


def _key(workspace: Workspace) -> str:
    config, facts = workspace.config, workspace.clips_facts()
    validation = config.validation
    return key_of(
        VERSION,
        [facts.get(name) for name in ("inputs", "key", "keys")],
        config.audio.model_dump(),
        (dict(validation.prior), validation.never_heard, config.competition.delivery),
    )
