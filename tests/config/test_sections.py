"""Every setting has a description, from which the settings reference is generated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel

from kagglekit.config import Config, LocalSettings, Range
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
