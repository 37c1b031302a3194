"""Build the folder of a notebook from a blend: graphs, what was fitted, wheels, script, metadata."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kagglekit import __version__
from kagglekit.config import Config
from kagglekit.config.names import METRIC_ALIASES, METRICS
from kagglekit.data.expected_rows import sample_table
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble.blend import BlendedRuns
from kagglekit.ensemble.build import fit_again
from kagglekit.errors import ConfigError
from kagglekit.files.atomic import building, write_json, write_text
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.inference.manifest import MANIFEST, SAMPLE, ManifestFile
from kagglekit.notebooks.folder import (
    DATASET,
    KERNEL,
    NOTEBOOKS,
    OUTPUT,
    SCRIPT,
    BuildRecord,
    Built,
    finish,
    read_built,
    sha256_of,
)
from kagglekit.notebooks.metadata import slug_of, title_of, write_metadata
from kagglekit.notebooks.packages import wheels
from kagglekit.notebooks.script import BEGIN, PREDICT, script
from kagglekit.notebooks.wheel import NAME, inference_modules, write_wheel
from kagglekit.runs.graph import write_graphs
from kagglekit.runs.graph_precision import Precision
from kagglekit.submission.table import to_csv
from kagglekit.submission.write import facts_of

VERSION = 1  # raise it when the same blend gives another folder


def build(
    prepared: Prepared,
    blended: BlendedRuns,
    *,
    precision: Precision = "float32",
    wheel_folder: Path | None = None,
) -> Built:
    """Build the notebook's folder in the workspace, unless it is there.

    Args:
        precision: of the networks' weights.
        wheel_folder: with wheels of the packages that the host's image lacks; None: download them.

    Raises:
        ConfigError: a run cannot be written as a graph, or the metric is a package's.
        KagglekitError: the wheels cannot be downloaded.
    """
    workspace = prepared.workspace.resolved()
    config = workspace.config
    _check_metric(config)
    root, limits = prepared.workspace.root / NOTEBOOKS, config.competition.limits
    packages = wheels(root, limits.python, wheel_folder)
    fitted, prior = fit_again(prepared, blended)
    members = [f"{run.model}/{run.id}" for run in blended.runs]
    facts = ManifestFile(
        key="",
        config=notebook_config(config),
        members=members,
        folds=config.validation.folds,
        blend=fitted.record(),
        prior=[float(share) for share in prior],
    )
    code = {name: sha256_of(path) for name, path in inference_modules().items()} | {"script": BEGIN + PREDICT}
    travelling = [path.name for path in packages]
    key = key_of(VERSION, asdict(facts), code, travelling, precision, facts_of(workspace, blended))
    folder = root / key
    with building(folder, key) as part:
        if part is not None:
            dataset, kernel = part / DATASET, part / KERNEL
            for place in (dataset, kernel):
                place.mkdir()
            write_graphs(blended.runs, dataset, precision, by_fold=True)
            write_json(dataset / MANIFEST, {**asdict(facts), "key": key})
            _write_sample(prepared.workspace, dataset)
            for path in (*packages, write_wheel(dataset)):
                if path.parent != dataset:
                    shutil.copyfile(path, dataset / path.name)
            finish(part, _describe(part, key, workspace, blended))
    return read_built(folder)


def notebook_config(config: Config) -> dict[str, Any]:
    """Return the sections of competition.yaml that inference needs, as JSON, without paths of this machine.

    Args:
        config: whose classes are known.
    """
    data = config.model_dump(mode="json", by_alias=True)
    test, sample, noise = (data["data"][name] for name in ("test", "sample", "noise"))
    competition = {
        name: data["competition"][name] for name in ("slug", "metric", "metric_parameters", "delivery")
    }
    recordings = {
        "test": test,
        "sample": sample,
        "noise": noise,
        "train": [{"files": "train/*", "delimiter": config.data.separator}],
    }
    kept: dict[str, Any] = {
        name: data[name] for name in ("rows", "audio", "labels", "submission") if name in data
    }
    return {"competition": competition, "data": recordings, **kept}


def _check_metric(config: Config) -> None:
    name = config.competition.metric
    if METRIC_ALIASES.get(name, name) not in METRICS:
        raise ConfigError(
            f"the metric {name} comes from a package, which a notebook without internet does not have",
            hint="name one of kagglekit's own: kagglekit notebook build --set competition.metric=...",
        )


def _write_sample(workspace: Workspace, dataset: Path) -> None:
    """Keep the sample submission, for where the host mounts it in a form that its notebooks cannot read."""
    table = sample_table(workspace)
    if table is not None:
        (dataset / SAMPLE).write_bytes(to_csv(table.frame))


def _describe(folder: Path, key: str, workspace: Workspace, blended: BlendedRuns) -> BuildRecord:
    """Write the script and the metadata, and return the record."""
    competition = workspace.config.competition.slug
    record = BuildRecord(
        key=key,
        competition=competition,
        dataset=slug_of("kagglekit-weights", competition),
        kernel=slug_of("kagglekit-submit", competition),
        blend=blended.name,
        facts=facts_of(workspace, blended),
    )
    about = "\n".join(_about(blended))
    text = script(key, title_of(record.kernel), about, record.dataset, OUTPUT, __version__, NAME)
    write_text(folder / KERNEL / SCRIPT, text)
    write_metadata(folder, record)
    return record


def _about(blended: BlendedRuns) -> Sequence[str]:
    """Return lines about the members, for whoever reads the script."""
    return [
        *(
            f"{weight:.3f}  {run.model}/{run.id}, CV {run.score.cv:.4f}"
            for run, weight in zip(blended.runs, blended.weights, strict=True)
        ),
        f"method {blended.method}, smoothing {blended.smoothing}, decision {blended.decision}",
    ]
