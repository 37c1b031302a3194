"""`kagglekit init SLUG` on a loopback Kaggle with each replica's files: how many lines of the draft are to change."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.kaggle_server import KaggleServer
from support.kaggle_site import Site
from support.replicas import MAKERS
from support.replicas.host import HostFolder

from kagglekit import competitions
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.config.names import METRICS
from kagglekit.files import archive
from kagglekit.files.patterns import expression, is_archive

METRIC_NAMES = {
    "speech-commands-2017": "Categorization Accuracy",
    "freesound-2018": "MAP@{K}",
    "freesound-2019": "Label-Weighted Label-Ranking Average Precision",
    "birdsong-2020": "Micro F1",
    "rfcx-2021": "Label-Weighted Label-Ranking Average Precision",
    "birdclef-2021": "Micro F1",
    "birdclef-2022": "Custom Metric",
    "birdclef-2023": "BirdCLEF 2023 padded cmAP",
    "birdclef-2024": "BirdCLEF 2024 ROC-AUC",
    "birdclef-2025": "BirdCLEF 2025 ROC-AUC",
    "birdclef-2026": "BirdCLEF 2026 ROC-AUC",
    "music-genres-2022": "Categorization Accuracy",
}
"""Name of the metric on a competition's page: by Kaggle's usual wording, unverified for single competitions."""
AUC = "Area Under Receiver Operating Characteristic Curve"
PAGES = {
    "mlsp-2013-birds": "<p>Each line has an Id and a prediction; Id is rec_id, times 100, plus species.</p>\n"
    "<pre><code>Id,Probability\n0,0\n1,0\n2,0\n18,0\n100,0\n101,0\netc...\n</code></pre>"
}
"""Pages about evaluation where they say more than the files (its source: description.md of mle-bench)."""
TASK = ("competition", "data", "rows", "labels", "submission")
"""Sections that say what the competition is; others are settings of ours."""
IGNORED = {"competition.limits", "competition.host", "competition.local"}


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every setting by its dotted path; those at their defaults are left out by the caller."""
    if isinstance(value, Mapping):
        return {k: v for name, one in value.items() for k, v in leaves(one, f"{path}.{name}").items()}
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return {k: v for i, one in enumerate(value) for k, v in leaves(one, f"{path}.{i}").items()}
    return {path.removeprefix("."): value}


def settings(config: Config) -> dict[str, Any]:
    whole = leaves(config.model_dump(mode="json", include=set(TASK)))
    return {
        key: value
        for key, value in whole.items()
        if not any(key.startswith(ignored) for ignored in IGNORED)
        if not (key.startswith("submission.") and value in (None, "label" if key.endswith("shape") else "\0"))
    }


def to_change(drafted: Config, shipped: Config, files: Collection[str]) -> list[str]:
    """The settings in which a draft differs from the shipped competition.yaml: a line each.

    Patterns that match the same files are equal, and what one line holds counts once.
    """
    mine, theirs = settings(drafted), settings(shipped)
    for some in (mine, theirs):
        for key in [key for key in some if key.endswith(".files")]:
            some[key] = sorted(filter(expression(some[key]).fullmatch, files)) or some[key]
    default_label = {"submission.label", "submission.k"}  # the sample has only one other column
    return sorted(
        {
            re.sub(r"\.(secondary|by_way_of|classes|names|group|file_pattern|label|where)\..*", r".\1", key)
            for key in mine.keys() | theirs.keys()
            if mine.get(key) != theirs.get(key)
            if not (key in default_label and (mine.get(key) is None or theirs.get(key) is None))
        }
    )


Drafter = Callable[[str], tuple[str, Config, list[str]]]


@pytest.fixture
def drafted(tmp_path: Path) -> Drafter:
    """The draft of a competition that the loopback Kaggle shows."""

    def draft(name: str) -> tuple[str, Config, list[str]]:
        host = HostFolder(tmp_path / "replica")
        MAKERS[name](host)
        files = {
            path.relative_to(host.root).as_posix(): path for path in host.root.rglob("*") if path.is_file()
        }
        shipped = load_text(competitions.read(name), tmp_path)
        page = {
            "title": competitions.read(name).partition("\n")[0].removeprefix("# ").partition(":")[0],
            "evaluationMetric": METRIC_NAMES.get(name, AUC),
            "isKernelsSubmissionsOnly": shipped.competition.delivery == "notebook",
        }
        pages = {"evaluation": PAGES.get(name, "<p>One line for each row of the test.</p>")}
        with KaggleServer(files=files, competition=page, pages=pages, page_size=200) as server:
            done = Site(tmp_path / "site", server).run(f"init {shipped.competition.slug} --force")
        assert done.code == 0, done.err
        text = (tmp_path / "site" / "competition.yaml").read_text()
        return text, load_text(text, tmp_path), paths_below(host.root)

    return draft


def paths_below(root: Path) -> list[str]:
    """All files, those in archives, too, as competition.yaml writes them."""
    paths = []
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if is_archive(name):
            paths += [f"{name}/{member.name}" for member in archive.listing(path)]
        elif path.is_file():
            paths.append(name)
    return paths


def load_text(text: str, folder: Path) -> Config:
    path = folder / "loaded.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


MOST = {
    **{"speech-commands-2017": 2, "nips-2013-birds": 1, "birdsong-2020": 1, "birdclef-2026": 1},
    "indic-tts-2025": 1,  # rows.id, which is right, and need not be there
}
"""Lines to change by hand, where there are any."""


def test_most_drafts_need_no_change() -> None:
    assert len(set(MAKERS) - set(MOST)) >= 8 and max(MOST.values()) <= 3


@pytest.mark.parametrize("name", MAKERS)
def test_a_draft_needs_few_changes(name: str, drafted: Drafter, tmp_path: Path) -> None:
    text, config, files = drafted(name)
    lines = to_change(config, load_text(competitions.read(name), tmp_path), files)
    assert len(lines) == MOST.get(name, 0), (lines, text)
    assert config.labels.kind in METRICS[config.competition.metric].kinds
    assert config.features.fmax <= config.audio.sample_rate / 2
