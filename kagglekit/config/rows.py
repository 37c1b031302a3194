"""`rows:`, what is scored and submitted."""

import re
import string
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Positive, Section

PARTS = ("stem", "name", "folder", "start", "end", "number")
"""Names in braces that a row's id may contain: the file's name without and with its ending, its folder, the
window's start and end in seconds, and its number from 0."""


class Rows(Section):
    """What is scored and submitted: a recording, a window of it, or what a table of the test names."""

    every: Positive | None = None
    """Seconds of a row; null: a row is a whole recording, or with `end` has audio.seconds."""
    id: str = "{name}"
    """Id of a row, from {stem}, {name}, {folder}, {start}, {end} and {number}; with `table`, the column with
    it. The default is {stem}_{end} where `every` is set."""
    pool: Literal["mean", "max"] = Field(default="mean", exclude_if=lambda pool: pool == "mean")
    """How the windows of a recording are joined."""
    table: str | None = None
    """Table of the test that names the rows."""
    id_column: str | None = None
    """Column of that table with the row's id; `id` may name it."""
    file: str | None = None
    """Column with the recording, with or without folder and ending."""
    end: str | None = None
    """Column with the end of the row in seconds; null: the row is the whole recording."""

    @model_validator(mode="before")
    @classmethod
    def _id_of_a_table_or_a_window(cls, values: Any) -> Any:
        """Read `id` as a column where rows are a table's, and complete it where they are windows."""
        if not isinstance(values, Mapping):
            return values
        column = values.get("id")
        if (
            values.get("table")
            and "id_column" not in values
            and isinstance(column, str)
            and "{" not in column
        ):
            return {**{key: value for key, value in values.items() if key != "id"}, "id_column": column}
        if values.get("every") is not None and values.get("table") is None:
            return {"id": "{stem}_{end}", **values}
        return values

    @model_validator(mode="after")
    def _ids_differ(self) -> "Rows":
        try:
            fields = [
                (name, spec or "")
                for _, name, spec, _ in string.Formatter().parse(self.id)
                if name is not None
            ]
            named = {name for name, _ in fields}
            if wide := [spec for _, spec in fields if re.search(r"\d{3}|[{]", spec)]:
                raise ValueError(f"the width '{wide[0]}' is more than 99 characters")
            if named <= set(PARTS):
                self.id.format(**dict.fromkeys(PARTS, "") | {"number": 0})
        except ValueError as error:
            raise ValueError(f"id: {error}") from error
        if odd := sorted(named - set(PARTS)):
            raise ValueError(f"id names {{{odd[0]}}}; known are {', '.join(f'{{{p}}}' for p in PARTS)}")
        if not named & {"stem", "name"}:
            raise ValueError(f"id '{self.id}' needs {{stem}} or {{name}}, or rows of two files are equal")
        if self.every is not None and self.table is None and not named & {"start", "end", "number"}:
            raise ValueError(f"id '{self.id}' needs {{end}}, {{start}} or {{number}}: a file has many rows")
        if self.table is not None and not (self.id_column and self.file):
            raise ValueError("table needs id and file, the names of its columns")
        if self.end is not None and self.every is None:
            raise ValueError("end needs every, the seconds of a row")
        return self
