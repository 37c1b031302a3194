"""JSON from a disk, in the shape that is needed."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def shaped(kind: type[T], value: Any) -> T:
    """Return a value of JSON as a class, or as a type such as `dict[str, float]`.

    Raises:
        ValueError: it has another shape.
    """
    from pydantic import ValidationError  # here, as the log of submissions is read without it

    try:
        shaped: T = _adapter(cast(Hashable, kind)).validate_python(value)
        return shaped
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
