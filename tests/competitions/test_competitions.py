"""Every shipped competition.yaml can be read, says where it comes from, and why a line is to be checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kagglekit import competitions
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.config.names import METRICS
from kagglekit.errors import ConfigError

EIGHTEEN = {
    "whale-2013": ("whale-detection-challenge", "roc_auc", "probability"),
    "whale-redux-2013": ("the-icml-2013-whale-challenge-right-whale-redux", "roc_auc", "probability"),
    "mlsp-2013-birds": ("mlsp-2013-birds", "roc_auc_micro", "long"),
    "icml-2013-birds": ("the-icml-2013-bird-challenge", "roc_auc_micro", "long"),
    "nips-2013-birds": ("multilabel-bird-species-classification-nips2013", "roc_auc_micro", "long"),
    "speech-commands-2017": ("tensorflow-speech-recognition-challenge", "accuracy", "label"),
    "freesound-2018": ("freesound-audio-tagging", "map_at_k", "top_k"),
    "freesound-2019": ("freesound-audio-tagging-2019", "lwlrap", "probabilities"),
    "birdsong-2020": ("birdsong-recognition", "f1_rows", "label_list"),
    "rfcx-2021": ("rfcx-species-audio-detection", "lwlrap", "probabilities"),
    "birdclef-2021": ("birdclef-2021", "f1_rows", "label_list"),
    "birdclef-2022": ("birdclef-2022", "class_balanced_accuracy", "long"),
    "birdclef-2023": ("birdclef-2023", "average_precision_padded", "probabilities"),
    "birdclef-2024": ("birdclef-2024", "roc_auc_macro", "probabilities"),
    "birdclef-2025": ("birdclef-2025", "roc_auc_macro", "probabilities"),
    "birdclef-2026": ("birdclef-2026", "roc_auc_macro", "probabilities"),
    "music-genres-2022": ("kaggle-pog-series-s01e02", "accuracy", "label"),
    "indic-tts-2025": ("indic-tts-deepfake-challenge", "roc_auc", "probability"),
}
"""Name -> slug, metric and shape, from the competitions' pages (COMPETITIONS.md)."""
NOTEBOOKS = {"birdsong-2020", "freesound-2019", *(f"birdclef-{year}" for year in range(2021, 2027))}


@pytest.fixture(params=competitions.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(name: str, tmp_path: Path) -> Config:
    path = tmp_path / "competition.yaml"
    path.write_text(competitions.read(name), encoding="utf-8")
    return load_config(path)


def test_all_eighteen_are_shipped() -> None:
    assert set(competitions.names()) == set(EIGHTEEN)


def test_each_loads_with_its_slug_metric_and_shape(name: str, config: Config) -> None:
    competition = config.competition
    assert (competition.slug, competition.metric, config.submission.shape) == EIGHTEEN[name]
    assert config.labels.kind in METRICS[competition.metric].kinds
    assert competition.delivery == ("notebook" if name in NOTEBOOKS else "csv")
    assert config.features.fmax <= config.audio.sample_rate / 2


def test_each_begins_with_its_source_and_commands(name: str, config: Config) -> None:
    head = competitions.read(name).split("competition:")[0]
    assert re.search(rf"https://www\.kaggle\.com/\w+/{config.competition.slug}[,; ]", head)
    assert f"kagglekit init --like {name}\n" in head and "kagglekit submit" in head


def test_each_check_says_why(name: str) -> None:
    for line in competitions.read(name).splitlines():
        assert ("# check" in line) == bool(re.search(r"\S  # check: \S", line)), line


def test_a_wrong_name_is_answered_with_the_closest() -> None:
    with pytest.raises(ConfigError, match="'birdclef-26'") as error:
        competitions.read("birdclef-26")
    assert "birdclef-2026" in str(error.value.hint)
