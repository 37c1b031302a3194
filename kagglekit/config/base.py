"""The base class and the field types of all sections."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kagglekit.errors import close_match

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def from_root(path: Path, info: ValidationInfo) -> Path:
    """Return the path relative to the folder in the validation context."""
    root: Path = (info.context or {}).get("root", Path())
    return root / path.expanduser()


FilePath = Annotated[Path, AfterValidator(from_root)]
"""A path relative to the folder of the YAML file, which `load.load_config` gives as context."""


@dataclass(frozen=True)
class OneOf:
    """A field type that accepts only `names`."""

    names: Collection[str]
    kind: str
    """What the names are, for the message: "host", "model" ..."""

    def check(self, name: str) -> str:
        """Return the name.

        Raises:
            ValueError: it is not one of `names`.
        """
        if name not in self.names:
            raise ValueError(f"there is no {self.kind} '{name}'; {close_match(name, self.names)}")
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "enum": list(self.names)}


class Section(BaseModel):
    """A section of competition.yaml. It is frozen, and an unknown key is an error.

    The docstring below a field is its `description`, and its entry in the settings reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
