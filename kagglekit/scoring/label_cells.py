"""Tell what a table's cell is: nothing in any spelling, a list of labels, or a label in brackets."""

import ast

NO_VALUE = frozenset(("na", "n/a", "<na>", "nan", "null"))
"""What tables write for no value, in small letters, and nobody for a class without saying so."""
EMPTY = NO_VALUE | {"none", "nil", "-", "?"}
"""What other programs write into an empty cell, in small letters."""
MAX_LITERAL = 10_000
"""Most characters of a list."""


def is_empty(cell: str | None) -> bool:
    """Tell whether a cell that should have a number stands for nothing: "", NA, NaN, None ..."""
    return cell is None or cell.lower() in ("", *EMPTY)


def in_brackets(text: str) -> bool:
    """Tell whether a cell may be a list: ['a', 'b'], or a label such as [noise]."""
    return text.startswith("[") and text.endswith("]")


def list_literal(text: str) -> list[str] | None:
    """Return the labels of a list literal of words or numbers, as Python and JSON write it; None for others.

    Raises:
        ValueError: it is longer than MAX_LITERAL, or a list of something else.
    """
    if not in_brackets(text):
        return None
    if len(text) > MAX_LITERAL:
        raise ValueError(f"a list of {len(text):,} characters")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list):  # ['a'] + ['b'], a label of odd letters
        return None
    if not all(isinstance(one, str | int | float) for one in value):
        raise ValueError(f"{text[:40]!r} is not a list of labels")
    return [str(one) for one in value]
