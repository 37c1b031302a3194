"""Optuna's journal file: locked by the kernel, mended after a kill, and quick to open however long it is.

A journal has a line for each parameter and each score: 320,000 for 10,000 trials, which take 4.3 s to
replay. So beside a long one lies `<model>.short.jsonl` with a line for each trial, which takes 1.6 s, and the
place in the journal where it ends; only what came later is replayed. It can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial

from kagglekit.files.atomic import write_text

TAIL = 65_536  # bytes of a journal's end that are looked at for a half-written line: a line is some hundred
LONG = 4_000_000  # bytes that are replayed before a new short form is written
PROOF = 4_096  # bytes before the short form's end by which the journal is known again


class _KernelLock:
    """A lock that the kernel lets go of when its process is killed; Optuna's own wait 30 s for that."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def open_journal(path: Path) -> JournalStorage:
    """The journal's studies; it is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _KernelLock(path)
    with lock.lock, path.open("a+b") as file:  # what was half written: Optuna would append to it
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(size - TAIL, 0))
        end = file.read().rfind(b"\n")
        if end >= 0 or start == 0:
            file.truncate(start + end + 1)
    backend = _Journal(path, lock)
    storage = JournalStorage(backend)
    if path.stat().st_size - backend.shortened > LONG:
        with lock.lock:  # nobody appends meanwhile
            backend.shorten(storage)
    return storage


class _Journal(JournalFileBackend):
    """A journal file whose beginning is read from its short form, where there is one.

    Optuna numbers what it has read, and asks for what follows. The numbers are this process's own, so
    that the short form's lines can stand for the many that they are made of.
    """

    def __init__(self, path: Path, lock: _KernelLock) -> None:
        super().__init__(str(path), lock_obj=lock)  # type: ignore[arg-type]
        self.path, self.short = path, path.with_suffix(".short.jsonl")
        self.shortened = 0
        """Bytes of the journal that the short form stands for."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Optuna's: the logs from a number on."""
        if log_number_from == 0:
            logs = self._short_logs()
            yield from logs
            log_number_from = len(logs)
            self._log_number_offset = {log_number_from: self.shortened}
        yield from super().read_logs(log_number_from)

    def _short_logs(self) -> list[dict[str, Any]]:
        """The short form's lines; none where it is absent, damaged, or another journal's."""
        try:
            head, *lines = self.short.read_text(encoding="utf-8").splitlines()
            about = json.loads(head)
            if about["optuna"] != optuna.__version__ or about["proof"] != self._proof(about["bytes"]):
                return []
            logs: list[dict[str, Any]] = [json.loads(line) for line in lines]
            self.shortened = int(about["bytes"]) if len(logs) == about["lines"] else 0
        except (OSError, ValueError, LookupError, TypeError):
            return []
        return logs if self.shortened else []

    def _proof(self, end: int) -> str:
        """Changes with what the journal holds before a place."""
        with self.path.open("rb") as file:
            file.seek(max(end - PROOF, 0))
            return hashlib.sha256(file.read(min(end, PROOF))).hexdigest()

    def shorten(self, storage: JournalStorage) -> None:
        """Write the short form of all that is in the journal, whose lock is held."""
        studies = storage.get_all_studies()
        trials = [
            (t, s._study_id) for s in studies for t in storage.get_all_trials(s._study_id, deepcopy=False)
        ]
        trials.sort(key=lambda pair: pair[0]._trial_id)
        numbered = [s._study_id for s in studies] == list(range(len(studies)))
        if not numbered or [t._trial_id for t, _ in trials] != list(range(len(trials))):
            return  # a study was deleted, by another program than ours: the numbers would shift
        logs = [log for study in studies for log in _study_logs(study)]
        logs += [_trial_log(trial, study) for trial, study in trials]
        end = self.path.stat().st_size
        about = {"bytes": end, "proof": self._proof(end), "lines": len(logs), "optuna": optuna.__version__}
        write_text(self.short, "".join(json.dumps(line) + "\n" for line in [about, *logs]))


def _study_logs(study: Any) -> list[dict[str, Any]]:
    """What makes a study, as Optuna writes it."""
    of = {"worker_id": "", "study_id": study._study_id}
    made = {"study_name": study.study_name, "directions": study.directions}
    return [
        {"op_code": JournalOperation.CREATE_STUDY, "worker_id": "", **made},
        *(
            {"op_code": JournalOperation.SET_STUDY_USER_ATTR, **of, "user_attr": {k: v}}
            for k, v in study.user_attrs.items()
        ),
        *(
            {"op_code": JournalOperation.SET_STUDY_SYSTEM_ATTR, **of, "system_attr": {k: v}}
            for k, v in study.system_attrs.items()
        ),
    ]


def _trial_log(trial: FrozenTrial, study: int) -> dict[str, Any]:
    """What makes a trial as it stands now, as Optuna writes one that it is given whole."""
    values = trial.values
    several = values is not None and len(values) > 1
    log: dict[str, Any] = {
        "op_code": JournalOperation.CREATE_TRIAL,
        "worker_id": "",
        "study_id": study,
        "state": trial.state,
        "value": None if several or values is None else values[0],
        "values": values if several else None,
        "datetime_start": trial.datetime_start and trial.datetime_start.astimezone().isoformat(),
        "distributions": {name: distribution_to_json(kind) for name, kind in trial.distributions.items()},
        "params": {
            name: kind.to_internal_repr(trial.params[name]) for name, kind in trial.distributions.items()
        },
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate_values": trial.intermediate_values,
    }
    if trial.datetime_complete is not None:
        log["datetime_complete"] = trial.datetime_complete.astimezone().isoformat()
    return log
