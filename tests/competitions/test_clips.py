"""What a drafted clip is: its rate, its length, and its mel bands."""

from __future__ import annotations

import pytest

from kagglekit.competitions.clips import audio_keys, feature_section, highest_edge
from kagglekit.competitions.look import Facts, Heard
from kagglekit.competitions.render import plain
from kagglekit.competitions.training_sets import Drafted


@pytest.mark.parametrize(
    ("rate", "highest", "sample_rate", "fmax"),
    [
        *((44_100, 0, 16_000, None), (48_000, 14_000, 32_000, 15_200), (44_100, 21_000, 44_100, 20_948)),
        *((8000, 0, 8000, None), (22_050, 3000, 16_000, None), (2000, 0, 2000, 1000)),
    ],
)
def test_a_rate_for_a_first_model(rate: int, highest: float, sample_rate: int, fmax: float | None) -> None:
    audio = audio_keys([Heard(rate, 5.0)] * 3, None, highest)
    assert plain(audio) == {"sample_rate": sample_rate, "seconds": 5.0}
    assert feature_section(audio, highest).get("features", {}).get("fmax") == fmax
    if sample_rate < rate:
        assert f"they have {rate:,} Hz" in audio["sample_rate"].why and "raise it" in audio["sample_rate"].why


@pytest.mark.parametrize(
    ("lengths", "every", "seconds", "longer"),
    [
        *(([1.0, 1.0], None, 1.0, None), ([2.0, 8.0, 9.0], None, 5, "windows")),
        *(([30.0] * 3, None, 5, "windows"), ([4.0], 5, 5, "windows"), ([0.4, 0.2, 0.4], None, 0.4, None)),
    ],
)
def test_the_length_of_a_clip(
    lengths: list[float], every: int | None, seconds: float, longer: str | None
) -> None:
    audio = plain(audio_keys([Heard(16_000, one) for one in lengths], every, 0))
    assert (audio["seconds"], audio.get("longer")) == (seconds, longer)


def test_boxes() -> None:
    facts = Facts("tiny")
    facts.table("t.csv", b"id,top\na,900\nb,12000.5\nc,?\n")
    assert highest_edge(facts, [Drafted({"table": "t.csv", "high": "top"}, set(), False, 0)]) == 12_000.5
    assert highest_edge(facts, [Drafted({"table": "t.csv"}, set(), False, 0)]) == 0
