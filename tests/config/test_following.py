"""Defaults that follow other settings."""

from __future__ import annotations

from typing import Any

import pytest

from kagglekit.config import Audio, Config, Features
from kagglekit.config.following import WINDOWS_MS, follow, resolves
from kagglekit.errors import AudioError
from kagglekit.features.logmel import mel_filters

LEAST: dict[str, Any] = {
    "competition": {"slug": "tiny"},
    "labels": {"classes": ["a", "b"]},
    "data": {"train": {"files": "a/*.wav"}, "test": {"files": "t/*.wav"}},
}


def config(**sections: Any) -> Config:
    return Config.model_validate({**LEAST, **sections})


@pytest.mark.parametrize(
    ("rate", "features", "fmax", "window_ms"),
    [
        *((16_000, {}, 7600, 30), (44_100, {}, 7600, 30), (8000, {}, 3800, 30), (11_025, {}, 5236.9, 30)),
        *((1000, {}, 475, 46), (8000, {"fmax": 4000}, 4000, 30), (16_000, {"n_mels": 128}, 7600, 46)),
        (16_000, {"n_mels": 128, "window_ms": 64}, 7600, 64),
    ],
)
def test_features_follow_the_sample_rate(
    rate: int, features: dict[str, Any], fmax: float, window_ms: float
) -> None:
    chosen = config(audio={"sample_rate": rate}, features=features).features
    assert (chosen.fmax, chosen.window_ms) == (fmax, window_ms)
    mel_filters(chosen, rate)


@pytest.mark.parametrize("rate", [1000, 2000, 8000, 11_127, 16_000, 44_100])
def test_it_knows_which_bands_a_window_resolves(rate: int) -> None:
    fmax = min(7600, 0.95 * rate / 2)
    for n_mels in (20, 40, 80, 128):
        for window_ms in (30.0, *WINDOWS_MS):
            try:
                mel_filters(Features(n_mels=n_mels, window_ms=window_ms, fmax=fmax), rate)
            except AudioError:
                assert not resolves(n_mels, window_ms, 20, fmax, rate)
            else:
                assert resolves(n_mels, window_ms, 20, fmax, rate)


def test_a_model_with_more_bands() -> None:
    models = config(models={"tcresnet": {"features": {"n_mels": 128}}, "crnn": {}}).models
    assert models["tcresnet"].features.window_ms == 46 and "features" not in models["crnn"].model_fields_set


@pytest.mark.parametrize("section", ["features", "models.tcresnet.features"])
def test_bands_above_half_the_sample_rate_are_refused(section: str) -> None:
    given = {"fmax": 7600}
    sections = {"features": given} if section == "features" else {"models": {"tcresnet": {"features": given}}}
    with pytest.raises(ValueError, match=f"{section}.fmax is 7600 Hz, above 4000 Hz"):
        config(audio={"sample_rate": 8000}, **sections)


def test_rows_and_answers() -> None:
    rows = {"table": "test.csv", "id": "row_id", "file": "audio_id", "end": "seconds"}
    read = config(rows=rows, audio={"seconds": 5}).rows
    assert (read.id_column, read.id, read.every) == ("row_id", "{name}", 5)
    assert config(rows={"every": 5}).rows.id == "{stem}_{end}"
    metric = {"slug": "tiny", "metric": {"name": "map_at_k", "k": 5}}
    assert config(competition=metric, submission={"shape": "top_k"}).submission.k == 5
    assert config(competition=metric, submission={"shape": "top_k", "k": 3}).submission.k == 3
    assert config(competition=metric).submission.shape == "top_k"
    assert config(competition={"slug": "tiny", "metric": "roc_auc"}).submission.shape == "probabilities"


@pytest.mark.parametrize(
    "given", [None, [], "x", {}, {"audio": 3, "features": []}, {"audio": {"sample_rate": "fast"}}]
)
def test_anything_else_stays(given: Any) -> None:
    assert follow(given) == given


def test_sections_that_are_models() -> None:
    followed = follow({"audio": Audio(sample_rate=8000), "features": Features(n_mels=64)})
    assert followed["features"] == {"n_mels": 64, "fmax": 3800.0}
