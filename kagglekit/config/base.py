"""What every section of competition.yaml is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def from_root(path: Path, info: ValidationInfo) -> Path:
    """The path, relative to the folder that the validation's context names."""
    root: Path = (info.context or {}).get("root", Path())
    return root / path.expanduser()


FilePath = Annotated[Path, AfterValidator(from_root)]
"""Relative to the folder of the YAML file, which `load.load_config` gives as context."""


class Section(BaseModel):
    """A part of competition.yaml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
