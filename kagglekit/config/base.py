"""The base class and the field types of all sections."""

import ast
import inspect
import os
import re
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kagglekit.errors import close_match

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
WORKING = Path("/kaggle/working")
"""Where Kaggle's notebooks may write; it is kept as the notebook's output."""


def from_root(path: Path, info: ValidationInfo) -> Path:
    """Return the path relative to the folder in the validation context.

    Raises:
        ValueError: it begins with the home of a user who does not exist.
    """
    root: Path = (info.context or {}).get("root", Path())
    try:
        return root / path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"'{path}' begins with the home of a user who is not known here") from error


def kind_of_value(value: Any) -> str:
    """Return "section" or "text", the tag of the member of a union that a value belongs to."""
    return "section" if isinstance(value, Mapping | BaseModel) else "text"


def kind_or_number(value: Any) -> str:
    """Return "section", "text" or "number", as `kind_of_value` does."""
    kind = kind_of_value(value)
    return kind if kind == "section" or isinstance(value, str) else "number"


def written_from_root(path: Path, info: ValidationInfo) -> Path:
    """Return the path relative to the folder of the YAML or, where a Kaggle notebook has that mounted
    read-only, to the folder that the notebook may write to.

    Raises:
        ValueError: as `from_root`.
    """
    root: Path = (info.context or {}).get("root", Path())
    whole = from_root(path, info)
    mounted = WORKING.is_dir() and whole.is_relative_to(root) and not os.access(root, os.W_OK)
    return WORKING / whole.relative_to(root) if mounted else whole


FilePath = Annotated[Path, AfterValidator(from_root)]
"""A path relative to the folder of the YAML file, which `load.load_config` gives as context."""
WrittenPath = Annotated[Path, AfterValidator(written_from_root)]
"""The same of a folder that is written to."""


@dataclass(frozen=True)
class OneOf:
    """A field type that accepts only `names`."""

    names: Collection[str]
    kind: str
    """What the names are, for the message: "host", "model" ..."""
    pattern: str = ""
    """Regular expression of names that are accepted, too; "" for none."""

    def check(self, name: str) -> str:
        """Return the name.

        Raises:
            ValueError: it is not one of `names`.
        """
        if name not in self.names and not (self.pattern and re.fullmatch(self.pattern, name)):
            raise ValueError(f"there is no {self.kind} '{name}'; {close_match(name, self.names)}")
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names: dict[str, Any] = {"enum": list(self.names)}
        if self.pattern:
            names = {"anyOf": [names, {"pattern": f"^({self.pattern})$"}]}
        return {**handler(core), **names}


class Section(BaseModel):
    """A section of competition.yaml. It is frozen, and an unknown key is an error.

    The docstring below a field is its description in the JSON schema, and so in the settings reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is wanted: pydantic would read 1 and 0."""
        if isinstance(value, bool):
            kinds = set(re.findall(r"\b(bool|int|float)\b", str(cls.model_fields[str(info.field_name)])))
            if kinds and "bool" not in kinds:
                raise ValueError(f"must be a number, not {str(value).lower()}")
        return value

    # pydantic's use_attribute_docstrings reads them when a class is made: 40 ms for every command
    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for section in cls.__mro__[: cls.__mro__.index(Section)]:
            for name, text in _field_docstrings(section).items():
                properties[cls.model_fields[name].alias or name].setdefault("description", text)
        return schema


def _field_docstrings(section: type) -> dict[str, str]:
    """Return the docstring below each field of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    return {
        field.target.id: inspect.cleandoc(str(below.value.value))
        for field, below in pairwise(getattr(tree, "body", ()))
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
