"""The rows that a submission must have: the sample's, or the test's where there is no whole sample."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from kagglekit.config import Config
from kagglekit.errors import SubmissionError
from kagglekit.files.ids import number
from kagglekit.files.resolve import read_file
from kagglekit.files.sample import Sample, clips_of, read_sample
from kagglekit.files.tables import Table, read_table
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.shapes import LABEL, Shape


def sample_table(workspace: Workspace) -> Table | None:
    """Read the sample submission as a table; None where the host offers none.

    Raises:
        KagglekitError: it has not been fetched, or is no table.
    """
    name = workspace.config.data.sample
    if name is None:
        return None
    return read_table(read_file(workspace, name), name, hint="data.sample in competition.yaml names the file")


def expected(workspace: Workspace, clip_ids: Sequence[str]) -> Sample:
    """Return the ids and columns that a submission must have.

    They are those of the sample submission. The sample of a notebook competition has a few rows only, so it
    gives the columns alone, and the rows are the test's; so they are where the host offers no sample.

    Args:
        workspace: whose config knows the classes.
        clip_ids: of the test, in their order.

    Raises:
        ConfigError: the metric does not fit the shape.
        SubmissionError: the sample has other columns, or its ids do not match the test's.
    """
    return expected_by(workspace.config, sample_table(workspace), clip_ids)


def expected_by(config: Config, table: Table | None, clip_ids: Sequence[str]) -> Sample:
    """Return the same for a sample submission that has been read; None: there is none."""
    shape = Shape.of(config)
    shape.check_fit()
    settings, classes = shape.settings, shape.classes
    if table is None:
        columns = classes if settings.shape == "probabilities" else (settings.label or LABEL,)
        sample = Sample([], settings.id, tuple(columns), class_column=settings.class_column)
    else:
        sample = read_sample(table, str(config.data.sample), settings, classes)
    ids = shape.ids(clip_ids)
    if len(set(ids)) < len(ids):
        twice = next(one for one, count in Counter(ids).items() if count > 1)
        hint = f"submission.ids is '{settings.ids}': add the parts of rows.id, '{config.rows.id}', or {{id}}"
        raise SubmissionError(f"several rows of the submission have the id '{twice}'", hint=hint)
    if table is None or config.competition.delivery == "notebook" or not clip_ids:
        return replace(sample, ids=ids)
    if shape.is_long:
        _check_long(sample, ids)
    else:
        clips_of(sample, ids)
    return sample


def _check_long(sample: Sample, ids: Sequence[str]) -> None:
    """Match long ids: exactly, where a rule for files' names would take parts of ids for folders."""
    if set(sample.ids) == set(ids):
        return
    if all(map(number, sample.ids[:100])) and set(map(number, sample.ids)) == set(map(number, ids)):
        return
    clips_of(sample, ids)
