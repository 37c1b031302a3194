"""The base class and the field types of all sections."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

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


def one_of(names: Collection[str], kind: str) -> AfterValidator:
    """Return a validator that accepts only `names`; `kind` says in the message what they name."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {kind} '{name}'; {close_match(name, names)}")
        return name

    return AfterValidator(check)


class Section(BaseModel):
    """A section of competition.yaml. It is frozen, and an unknown key is an error.

    The docstring below a field is its `description`, and its entry in the settings reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
