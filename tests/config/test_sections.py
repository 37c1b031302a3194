"""Every setting has a description, from which the settings reference is generated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from kagglekit.config import Audio, Config, LocalSettings, Range, Train, TrainSet
from kagglekit.config.base import Section
from kagglekit.config.data import Secondary
from kagglekit.config.names import AUTO, HOSTS, METHODS


def sections(annotation: object) -> Iterator[type[BaseModel]]:
    """The section classes in an annotation and below them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(annotation):
        yield from sections(argument)


SECTIONS = sorted({*sections(Config)}, key=lambda section: section.__name__)


def test_all_sections_are_looked_at() -> None:
    assert {Config, LocalSettings, Range} <= {*SECTIONS} and len(SECTIONS) >= 16


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_has_a_description(section: type[BaseModel]) -> None:
    properties = section.model_json_schema()["properties"]
    names = [field.alias or name for name, field in section.model_fields.items()]
    assert [name for name in names if not properties[name].get("description")] == []


def test_the_schema_lists_the_names() -> None:
    schema = Config.model_json_schema()["$defs"]
    assert schema["Competition"]["properties"]["host"]["enum"] == list(HOSTS)
    assert schema["Ensemble"]["properties"]["method"]["enum"] == [AUTO, *METHODS]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        *((TrainSet, "weight", True), (Audio, "seconds", False), (Train, "epochs", True)),
        (Secondary, "target", True),
    ],
)
def test_a_truth_value_is_no_number(section: type[Section], key: str, value: bool) -> None:
    with pytest.raises(ValueError, match=f"must be a number, not {str(value).lower()}"):
        section.model_validate({"files": "*.wav", "column": "c", key: value})


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "lwlrap", "average_precision_padded"])
def test_answers_do_not_fit_a_metric_of_probabilities(metric: str) -> None:
    def config(**submission: Any) -> Config:
        data = {"train": {"files": "a/*.wav"}, "test": {"files": "t/*.wav"}}
        classes = {"kind": "multi", "classes": ["a", "b"]}
        sections = {"competition": {"slug": "x", "metric": metric}, "data": data, "labels": classes}
        return Config.model_validate({**sections, "submission": submission})

    for shape in ("label", "top_k", "label_list"):
        with pytest.raises(ValueError, match=f"shape {shape} has answers; it needs probability, probabil"):
            config(shape=shape)
    with pytest.raises(ValueError, match="shape long, answers: true, has answers"):
        config(shape="long", answers=True)
    assert config(shape="long").submission.shape == "long"
