"""`competition.metric`: a name, or a mapping with parameters."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kagglekit.config import Config
from kagglekit.config.competition import Competition
from kagglekit.config.names import METRIC_KINDS, METRICS


def competition(**fields: Any) -> Competition:
    return Competition.model_validate({"slug": "birds", **fields})


def test_a_name_or_a_mapping() -> None:
    assert (competition().metric, competition().metric_parameters) == ("accuracy", {})
    assert competition(metric={"name": "lwlrap"}) == competition(metric="lwlrap")
    chosen = competition(metric={"name": "map_at_k", "k": 5})
    assert (chosen.metric, chosen.metric_parameters) == ("map_at_k", {"k": 5})
    assert Competition.model_validate(chosen.model_dump()) == chosen  # as a run's settings are saved and read
    assert competition(metric="map").metric == "average_precision"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "f1_marco"}, "there is no metric 'f1_marco'; did you mean 'f1_macro'?"),
        ({"metric": {"name": "map_at_k", "K": 3}}, "the metric map_at_k has no parameter 'K'; known: k"),
        (
            {"metric": {"name": "map_at_k", "k": "3"}},
            "k of the metric map_at_k must be a number from 1, not '3'",
        ),
        ({"metric": {"name": "map_at_k", "k": True}}, "must be a number from 1, not True"),
        ({"metric": {"name": "kappa", "weights": "cube"}}, "must be none, linear, quadratic, not 'cube'"),
        ({"metric": {"name": "mcc", "k": 3}}, "the metric mcc has no parameter 'k'; it has none"),
        ({"metric": {"k": 3}}, "metric requires a name, such as {name: map_at_k, k: 3}"),
        ({"metric": 3}, "Input should be a valid string"),
        (
            {"metric": {"name": "map_at_k", "k": 3}, "metric_parameters": {"k": 4}},
            "metric.k is given twice, in metric and in metric_parameters",
        ),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        competition(**fields)
    assert message in str(caught.value)


def test_kinds_and_schema_name_every_metric() -> None:
    assert METRIC_KINDS.keys() == METRICS.keys()
    assert {kind for kinds in METRIC_KINDS.values() for kind in kinds} == {"single", "multi"}
    schema = Config.model_json_schema()["$defs"]["Competition"]["properties"]["metric"]
    assert schema["anyOf"][0]["enum"] == list(METRICS)
