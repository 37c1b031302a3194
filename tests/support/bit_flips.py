"""Flip single bits in every kind of file that a finished workspace has, and use the file.

Fine is the undamaged result, a message with a hint, or a result that is the same once the file is made again.
Another result is a fault. `PYTHONPATH=tests python -m support.bit_flips` writes docs/results/bit-flips.md.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kagglekit.errors import DamagedCacheError, KagglekitError
from kagglekit.features.cache import cached_rows
from kagglekit.files import parquet
from kagglekit.files.atomic import building, write_json
from kagglekit.files.keys import key_of
from kagglekit.pipeline import _epochs
from kagglekit.project import Project
from kagglekit.report import ensembles, source
from kagglekit.runs import memory
from kagglekit.runs.setup import head_for, make_folds
from kagglekit.runs.store import read_thresholds
from kagglekit.scoring.thresholds import Thresholds
from kagglekit.terminal import console
from kagglekit.training import soft_targets
from kagglekit.training.distributed import SINGLE
from kagglekit.training.files import DECISION, MOVED, OOF, STATE
from kagglekit.training.plan import Plan, resolve
from kagglekit.training.soft_targets import FIELDS, table_path, training_set, write_facts
from kagglekit.training.state import start
from support.tiny import make, tone, wav_bytes

SPAWN = get_context("spawn")  # polars' threads do not live on in a fork, which then waits for them for ever


FLIPS = 30
TABLE = Path(__file__).parents[2] / "docs" / "results" / "bit-flips.md"
OUTCOMES = ("same", "made again", "refused", "different", "unexpected")
FAULTS = OUTCOMES[3:]
Use = Callable[[Project], object]
SETTINGS = ("jobs=1",)
SOURCE = "audio.store=source"


# --- a finished workspace ---


def prepared(folder: Path) -> Path:
    """Make a small competition and the files that need no training; return its folder."""
    make(folder)
    project = opened(folder)
    project.fetch()
    for use in (_source, _stores, _log_mels, _embeddings, _verdict):
        use(project)
    write_json(project.workspace.runs / "gru" / "epochs-0.json", {"epochs": 7})
    _write_soft_targets(project)
    _write_state(project)
    return folder


def finished(folder: Path) -> Path:
    """Make a small competition, and use every verb that leaves files; return its folder."""
    project = opened(prepared(folder))
    (folder / "word.wav").write_bytes(wav_bytes(tone(300, np.random.default_rng(1))))
    project.train("gru,tcresnet")
    project.ensemble("gru,tcresnet")
    project.tune("gru", trials=2, train=False)
    project.submit("gru", upload=True)
    run = project.best("gru").folder
    pair = Thresholds(0.5, 0.5)._asdict()
    write_json(run / DECISION, {"thresholds": pair, "of_folds": {"0": pair}}, bound=True)
    write_json(run / MOVED, {"batch_size": 16}, bound=True)
    return folder


def opened(folder: Path) -> Project:
    """Open the competition as a command does."""
    return Project(folder / "competition.yaml", *SETTINGS)


def _write_soft_targets(project: Project) -> None:
    key, clips = "soft", project.clips.filter(split="train").head(20)
    with building(soft_targets.folder_of(project.workspace, key), key) as folder:
        assert folder is not None
        targets = [[0.7, 0.1, 0.1, 0.1]] * len(clips)
        for fold in range(2):
            parquet.write(
                clips.with_columns(targets=np.float32(targets)).select(FIELDS), table_path(folder, fold)
            )
        write_facts(folder, "distill", {"a": -0.01}, {"method": "mean"})


def _plan(project: Project) -> Plan:
    return resolve(project.config, "gru")


def _write_state(project: Project) -> None:
    (fold,) = make_folds(project.prepared, _plan(project), project.workspace.runs / "gru" / "begun", [0])
    fold.folder.mkdir(parents=True)
    state = start(fold, SINGLE)
    state.history.append({"fold": 0, "epoch": 0, "loss": 1.0, "cv": 0.5})
    state.save(fold.folder / STATE, fold.plan.train.batch_size)


# --- how files are used ---


def _prepared(project: Project) -> object:
    prepared = project.prepared
    return prepared.clips.write_ndjson(), prepared.problems, prepared.noise_fold, prepared.key


def _stores(project: Project) -> object:
    prepared = project.prepared
    stores = [prepared.store(split) for split in sorted(prepared.folders)]
    return [
        [store[:].tobytes() for store in stores],
        [store.clip_ids for store in stores],
        [(name, piece.tobytes()) for name, piece in prepared.noise().items()],
    ]


def _source(project: Project) -> object:
    return _stores(project.with_settings(SOURCE))


def _other_folds(project: Project) -> object:
    return _prepared(project.with_settings("validation.seed=7"))


def _log_mels(project: Project) -> object:
    return project.log_mels(project.clips).numpy().tobytes()


def _embeddings(project: Project) -> object:
    rows = np.random.default_rng(0).normal(size=(100, 1, 32)).astype(np.float32)
    path = project.workspace.features / "0123456789ab" / "embeddings.npy"
    return cached_rows(path, len(rows), [rows], "embeddings")[:].tobytes()


def _runs(project: Project) -> object:
    return [
        (run.id, repr(run.score), project.oof(run).write_ndjson(), project.test(run).write_ndjson())
        for run in (project.best("gru"), project.best("tcresnet"))
    ]


def _blend(project: Project) -> object:
    blend = project.ensemble("gru,tcresnet")
    return blend.weights, repr(blend.score), blend.test.write_ndjson()


def _new_blend(project: Project) -> object:
    blend = project.ensemble("gru,tcresnet", method="geometric")
    return blend.weights, repr(blend.score), blend.test.write_ndjson()


def _predict(project: Project) -> object:
    return project.predict(project.config.workspace.parent / "word.wav", model="gru")


def _report(project: Project) -> object:
    report = source.read(project.prepared, "kagglekit")
    saved = ensembles.blends(report)
    folders = [report.workspace.ensembles / blend.name for blend in saved]
    probs = [
        source.read_probs(folder / OOF, report.clips, report.config, "blend again") for folder in folders
    ]
    return [(run.name, run.history().write_ndjson()) for run in report.runs], repr(saved), repr(probs)


def _submit(project: Project) -> object:
    result = project.submit("gru")
    assert result.path is not None
    return result.path.read_bytes(), result.entry


def _log(project: Project) -> object:
    return project.leaderboard().entries


def _host(project: Project) -> object:
    return project.host.submissions()


def _verdict(project: Project) -> object:
    return project.verdict()


def _study(project: Project) -> object:
    return project.best_settings("gru")


def _soft(project: Project) -> object:
    prepared, plan = project.prepared, _plan(project)
    folder = soft_targets.find(project.workspace, "soft")
    clips, head = prepared.clips.filter(split="train"), head_for(prepared, plan)
    made = [training_set(folder, fold, clips, head, prepared.task) for fold in range(2)]
    targets = [one.targets.numpy().tobytes() for one in made if one.targets is not None]
    return targets, soft_targets.shift_limit(folder)


def _resumed(project: Project) -> object:
    (fold,) = make_folds(project.prepared, _plan(project), project.workspace.runs / "gru" / "begun", [0])
    state = start(fold, SINGLE)
    if not state.history:
        raise DamagedCacheError("training starts again from the first epoch", hint="said in a note")
    return repr(list(state.model.state_dict().items())), repr(state.optimizer.state_dict()), state.history


def _thresholds(project: Project) -> object:
    return read_thresholds(project.workspace.runs / "gru" / project.best("gru").id)


def _moved(project: Project) -> object:
    return repr(memory.moved(project.best("gru").folder, _plan(project)))


def _chosen_epochs(project: Project) -> object:
    return _epochs(project.workspace.runs / "gru" / "epochs-0.json")


@dataclass(frozen=True)
class Kind:
    """A kind of file, and what uses it."""

    pattern: str
    """Below the competition's folder."""
    use: Use


NEED_TRAINING = ("runs/gru/*/", "ensembles", "studies", "host", "submissions")
KINDS = [
    Kind(f".kagglekit/{pattern}" if not pattern.startswith("submissions/") else pattern, use)
    for pattern, use in (
        ("raw/train.zip", _prepared),
        ("raw/test.zip", _prepared),
        ("raw/sample_submission.csv", _prepared),
        ("fingerprints.json", _prepared),
        ("workspace.json", _prepared),
        ("verdict.json", _verdict),
        ("clips.parquet", _prepared),
        ("clips.json", _prepared),
        ("sample.json", _prepared),
        ("audio/*/done.json", _stores),
        ("audio/*/counts.json", _prepared),
        ("audio/*/facts.parquet", _other_folds),
        ("audio/train-*/store/*.arrow", _stores),
        ("audio/test-*/store/*.arrow", _source),
        ("audio/silence-*/store/*.arrow", _stores),
        ("audio/train-*/noise/*.arrow", _stores),
        ("audio/*/store/frame.json", _stores),
        ("audio/*/store/*_info.json", _stores),
        ("audio/*/store/state.json", _stores),
        ("features/*/log_mel.npy", _log_mels),
        ("features/*/embeddings.npy", _embeddings),
        ("features/*/done.json", _log_mels),
        ("runs/gru/*/fold_*/model.safetensors", _predict),
        ("runs/gru/*/fold_*/meta.json", _predict),
        ("runs/gru/*/fold_*/oof.parquet", _new_blend),
        ("runs/gru/*/fold_*/test.parquet", _new_blend),
        ("runs/gru/*/fold_*/last.safetensors", _resumed),
        ("runs/gru/*/oof.parquet", _runs),
        ("runs/gru/*/test.parquet", _runs),
        ("runs/gru/*/metrics.json", _runs),
        ("runs/gru/*/history.parquet", _report),
        ("runs/gru/*/config.yaml", _runs),
        ("runs/gru/*/decision.json", _thresholds),
        ("runs/gru/*/moved.json", _moved),
        ("runs/gru/epochs-*.json", _chosen_epochs),
        ("ensembles/*/weights.json", _report),
        ("ensembles/*/oof.parquet", _report),
        ("ensembles/*/test.parquet", _blend),
        ("studies/gru.journal", _study),
        ("soft_targets/*/fold_*.parquet", _soft),
        ("soft_targets/*/facts.json", _soft),
        ("soft_targets/*/done.json", _soft),
        ("host/*/submissions.jsonl", _host),
        ("submissions/leaderboard.jsonl", _log),
        ("submissions/*.csv", _submit),
    )
]
QUICK = [
    kind
    for kind in KINDS
    if "last.safetensors" in kind.pattern or not any(part in kind.pattern for part in NEED_TRAINING)
]
"""Those whose files need no training."""


# --- a trial ---


def flip(path: Path, rng: random.Random) -> None:
    """Flip a bit; every second time without a trace in the file's time, as a disk does."""
    data, status = bytearray(path.read_bytes()), path.stat()
    at = rng.randrange(8 * len(data))
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(data)
    if rng.random() < 0.5:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def digest_of(result: object) -> str:
    """Return a key of a result."""
    return key_of(repr(result))


def outcome(folder: Path, kind: Kind, expected: str) -> str:
    """Use a damaged file: one of OUTCOMES."""
    try:
        try:
            return "same" if digest_of(kind.use(opened(folder))) == expected else "different"
        except DamagedCacheError:
            return "made again" if digest_of(kind.use(opened(folder))) == expected else "different"
    except KagglekitError as error:
        return "refused" if error.hint else "unexpected"
    except Exception:
        return "unexpected"


def trials(template: Path, kind: Kind, flips: int, seed: int = 0) -> Counter[str]:
    """Flip a bit in a fresh copy of the template as often as told; count the outcomes."""
    counts: Counter[str] = Counter()
    rng = random.Random(f"{seed} {kind.pattern}")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "copy")
        expected = ""
        for number in range(-1, flips):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(template, folder)
            if number < 0:
                expected = digest_of(kind.use(opened(folder)))
                continue
            paths = [path for path in sorted(folder.glob(kind.pattern)) if path.stat().st_size]
            flip(rng.choice(paths), rng)
            counts[outcome(folder, kind, expected)] += 1
    return counts


def write_table(path: Path, flips: int) -> int:
    """Run all trials, side by side in processes, and write the table; return the number of faults."""
    rows, total = [], Counter[str]()
    with TemporaryDirectory() as folder, ProcessPoolExecutor(mp_context=SPAWN) as pool:
        template = finished(Path(folder, "tiny"))
        for kind, counts in zip(
            KINDS, pool.map(partial(_trials, template, flips), range(len(KINDS))), strict=True
        ):
            total += counts
            rows.append(_row(f"`{kind.pattern.removeprefix('.kagglekit/')}`", counts))
            print(rows[-1], flush=True)
    lines = [
        "# Bit flips",
        "",
        f"{flips} seeded single-bit flips in each of {len(KINDS)} kinds of file of a finished workspace, and the use of the file after",
        "each: the result is the same, or the same once the file is made again, or is refused with a message.",
        f"Written by `PYTHONPATH=tests python -m support.bit_flips` on {datetime.now(UTC):%Y-%m-%d}.",
        "",
        f"| file | {' | '.join(OUTCOMES)} |",
        f"|---|{'---:|' * len(OUTCOMES)}",
        *rows,
        _row("all", total),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sum(total[name] for name in FAULTS)


def _trials(template: Path, flips: int, number: int) -> Counter[str]:
    console.configure(quiet=True)
    return trials(template, KINDS[number], flips)


def _row(name: str, counts: Counter[str]) -> str:
    return f"| {name} | {' | '.join(str(counts[each]) for each in OUTCOMES)} |"


def main(argv: list[str]) -> Any:
    """Write the table: with an argument, so many flips a kind."""
    console.configure(quiet=True)
    return write_table(TABLE, int(argv[0]) if argv else FLIPS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
