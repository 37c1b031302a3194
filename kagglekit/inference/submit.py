"""From the host's hidden test to submission.csv: find, predict, blend, write.

The script that `kagglekit notebook build` writes calls it. It prints what it does, and leaves kagglekit.json
beside the submission: the seconds of each stage, and what could not be read.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.cuts import Cutter, test_cutter
from kagglekit.data.expected_rows import expected_by, sample_table
from kagglekit.errors import KagglekitError, SubmissionError, plural
from kagglekit.files.atomic import write_bytes
from kagglekit.files.sample import Sample
from kagglekit.files.tables import Table, read_table_file
from kagglekit.files.workspace import Workspace
from kagglekit.inference.clock import Stages
from kagglekit.inference.graphs import open_graphs
from kagglekit.inference.manifest import SAMPLE, Manifest, read_manifest
from kagglekit.inference.predict import PredictedRows, predict_files
from kagglekit.scoring.oof import recordings_of
from kagglekit.scoring.shapes import Shape
from kagglekit.submission.check import check
from kagglekit.submission.table import build, to_csv
from kagglekit.terminal import console

Floats64 = NDArray[np.float64]

FACTS = "kagglekit.json"
SHOWN = 20  # recordings that cannot be read, of which the log names so many


class Outcome(NamedTuple):
    """What the notebook has done."""

    rows: int
    recordings: int
    unread: list[str]
    seconds: dict[str, float]
    """Of each stage."""
    work: dict[str, float]
    """Summed over threads."""
    audio_seconds: float
    """The commonest length of a recording."""
    peak_gb: float
    """Largest memory of this process, in GB."""


def main(folder: Path, out: Path, started: float | None = None) -> int:
    """Write the submission of the data set in `folder`; the exit code.

    Args:
        out: submission.csv.
        started: time.perf_counter() when the script began.
    """
    try:
        outcome = submit(folder, out, time.perf_counter() if started is None else started)
    except KagglekitError as error:
        print(f"error: {error}" + f"\nhint:  {error.hint}" * bool(error.hint), file=sys.stderr, flush=True)
        return 1
    text = json.dumps(outcome._asdict(), indent=1, ensure_ascii=False)
    out.with_name(FACTS).write_text(text + "\n", encoding="utf-8")
    return 0


def submit(folder: Path, out: Path, started: float) -> Outcome:
    """Predict the test, and write the submission.

    Raises:
        KagglekitError: the data set is damaged, or the test cannot be read.
    """
    console.Mode.send = _say  # notes without rich
    stages = Stages()
    stages.seconds["start"] = time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix="kagglekit-") as work:
        return _submit(folder, out, Path(work), stages)


def _submit(folder: Path, out: Path, work: Path, stages: Stages) -> Outcome:
    with stages.stage("start"):
        manifest = read_manifest(folder, work)
        workspace, classes = Workspace(manifest.config), manifest.task.classes
        graphs = open_graphs(folder, manifest.members, classes, manifest.task.kind)
    with stages.stage("find"):
        files, cutter = test_cutter(Workspace(_hidden(workspace.config)))
        sample = _sample(workspace, folder)
        print(f"{plural(len(files), 'test recording')}, {plural(len(graphs), 'graph')}", flush=True)
    if not files:
        with stages.stage("write"):
            frame = _nothing(manifest, sample)
            _write(out, frame)
        return _outcome(len(frame), 0, None, stages)
    with stages.stage("predict"):
        predicted = predict_files(workspace, files, cutter, graphs, stages)
    with stages.stage("blend"):
        ids, probs = _rows(manifest, predicted, cutter)
    with stages.stage("write"):
        frame = _table(manifest, sample, ids, probs)
        _write(out, frame)
    return _outcome(len(frame), len(files), predicted, stages)


def _hidden(config: Config) -> Config:
    """Return the settings of a competition whose test is hidden, whatever it takes: it may be empty here."""
    competition = config.competition.model_copy(update={"delivery": "notebook"})
    return config.model_copy(update={"competition": competition})


def _say(message: tuple[str, Any]) -> None:
    """Print a note; bars are not shown in a log."""
    kind, text = message[0], message[1]
    if kind == "note":
        print(console.visible(str(text)), flush=True)


def _sample(workspace: Workspace, folder: Path) -> Table | None:
    """Return the sample submission that is mounted, else the one of the data set; None without either."""
    try:
        return sample_table(workspace)
    except KagglekitError:
        path = folder / SAMPLE
        return read_table_file(path, hint="build the notebook again") if path.is_file() else None


def _nothing(manifest: Manifest, sample: Table | None) -> pl.DataFrame:
    """Return the submission where there is no test recording: the sample's rows, or a header alone."""
    if sample is not None:
        print("no test recordings: writing the rows of the sample submission", flush=True)
        return sample.frame
    print("no test recordings and no sample submission: writing a header", flush=True)
    empty = expected_by(manifest.config, None, [])
    columns = [empty.id_column, *filter(None, [empty.class_column]), *empty.columns]
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _rows(manifest: Manifest, predicted: PredictedRows, cutter: Cutter) -> tuple[list[str], Floats64]:
    """Blend the members fold by fold, and return the rows' ids, sorted, and probabilities (rows, classes).

    The rows of a recording that cannot be read have the prior. Where rows are windows, it has as many as the
    commonest recording.
    """
    task = manifest.task
    ids = [cut.clip_id for cut in predicted.cuts]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)  # as `submit` has them
    probs = np.empty((0, len(task.classes)))
    if ids:
        clips = pl.DataFrame(
            {
                "clip_id": ids,
                "path": predicted.paths,
                "start": pl.Series([cut.start for cut in predicted.cuts], dtype=pl.Float64),
                "row": range(len(ids)),
            }
        )
        place = recordings_of(clips[order])
        members = [predicted.logits[run][order] for run in manifest.members]
        folds = (_fold(members, number) for number in range(manifest.folds))
        mean = np.mean(manifest.fitted.test_probs(folds, place), axis=0)
        probs = task.probs(manifest.fitted.logits(mean).astype(np.float32))
    read = [ids[number] for number in order]
    lost = [cut.clip_id for path in predicted.unread for cut in cutter(path, predicted.seconds)]
    if predicted.unread:
        shown = ", ".join(predicted.unread[:SHOWN]) + ", ..." * (len(predicted.unread) > SHOWN)
        print(
            f"{plural(len(predicted.unread), 'recording')} cannot be read, {plural(len(lost), 'row')} by the "
            f"classes' shares: {shown}",
            flush=True,
        )
    return read + lost, np.concatenate([probs, _prior(manifest, len(lost))])


def _fold(members: Sequence[NDArray[np.float32]], number: int) -> NDArray[np.float32]:
    """Return the logits of a fold, (members, rows, classes); of a member whose folds are averaged, those."""
    return np.stack([logits[:, number if logits.shape[1] > 1 else 0] for logits in members])


def _prior(manifest: Manifest, rows: int) -> Floats64:
    return np.tile(np.asarray(manifest.prior), (rows, 1))


def _table(manifest: Manifest, sample: Table | None, ids: list[str], probs: Floats64) -> pl.DataFrame:
    """Return the submission; rows that the sample has besides all of ours get the prior."""
    config, shape = manifest.config, Shape.of(manifest.config)
    expected = _expected(config, sample, ids)
    if sample is not None and not shape.is_long:
        wanted = sample.frame[config.submission.id].to_list()
        ours = set(ids)
        if more := [one for one in wanted if one not in ours] if ours < set(wanted) else []:
            print(f"{plural(len(more), 'row')} of the sample submission without a recording", flush=True)
            ids, probs = ids + more, np.concatenate([probs, _prior(manifest, len(more))])
            expected = replace(expected, ids=wanted)
    frame = build(expected, shape.predicted(ids, probs, expected.columns))
    try:
        for warning in check(frame, expected, shape.classes, config.submission):
            print(f"warning: {warning}", flush=True)
    except SubmissionError as error:  # the host may take it all the same, and a late stop would lose all
        print(f"warning: {error}", flush=True)
    return frame


def _expected(config: Config, sample: Table | None, ids: list[str]) -> Sample:
    """Return the rows to write: the sample's where it is the test's, else those of the test."""
    if config.competition.delivery == "csv":
        try:
            return expected_by(config, sample, ids)
        except KagglekitError as error:
            print(f"the sample submission is not this test's, whose rows are written: {error}", flush=True)
    return expected_by(_hidden(config), sample, ids)


def _write(out: Path, frame: pl.DataFrame) -> None:
    write_bytes(out, to_csv(frame))
    print(f"{out.name}: {plural(len(frame), 'row')}", flush=True)


def _outcome(rows: int, recordings: int, predicted: PredictedRows | None, stages: Stages) -> Outcome:
    print("\n".join(stages.lines()), flush=True)
    outcome = Outcome(
        rows,
        recordings,
        [] if predicted is None else predicted.unread,
        {name: round(seconds, 3) for name, seconds in stages.seconds.items()},
        {name: round(seconds, 3) for name, seconds in stages.work.items()},
        0.0 if predicted is None else predicted.seconds,
        _peak_gb(),
    )
    print(f"  memory     {outcome.peak_gb:8.2f} GB at most", flush=True)
    return outcome


def _peak_gb() -> float:
    """Return the largest memory of this process in GB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1e9 if sys.platform == "darwin" else 1e6 / 1.024), 3)
