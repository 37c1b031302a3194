"""Ids of long submissions, which have a row for each row of the test and each class.

A template such as `{id}_classnumber_{number}`, `{stem}_{class}_{end}` or `{id*100+number}` says how an id is
made: {id} is the row's own id, {stem}, {end} ... are the parts of `rows.id`, {class} is the class's name and
{number} its number from 0.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_FIELD = re.compile(r"\{([^{}]*)\}")
_SUM = re.compile(r"(\w+)\*(\d+)\+(\w+)(?:\+(\d+))?")
CLASS, NUMBER = "class", "number"


@dataclass(frozen=True)
class LongIds:
    """Writes and reads the ids of a long submission."""

    template: str
    """`submission.ids`."""
    row_template: str
    """`rows.id`, from which the parts of a row's id are read."""
    classes: Sequence[str]

    def write(self, row_id: str, number: int) -> str:
        """Return the id of a row of the test and a class.

        Raises:
            ValueError: the template names a part that the row's id has not, or multiplies what is no number.
        """
        values: Mapping[str, str | int] = {
            "id": row_id,
            CLASS: self.classes[number],
            NUMBER: number,
            **self._parts(row_id),
        }

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if (terms := _SUM.fullmatch(name)) is not None:
                first, factor, second, more = terms.groups()
                return str(int(values[first]) * int(factor) + int(values[second]) + int(more or 0))
            if name not in values:
                raise ValueError(f"submission.ids names {{{name}}}; known are {', '.join(sorted(values))}")
            return str(values[name])

        return _FIELD.sub(value, self.template)

    def _parts(self, row_id: str) -> dict[str, str]:
        """Return the parts of a row's id that its template names; {} where they cannot be told apart."""
        pattern, names = _expression(self.row_template, lambda name: ".+?" if name == "folder" else ".+")
        match = re.fullmatch(pattern, row_id)
        return dict(zip(names, match.groups(), strict=True)) if match else {}

    def read(self, text: str) -> tuple[str, int]:
        """Return a key of the row of the test, equal for all its classes, and the number of the class.

        Raises:
            ValueError: the text is no such id, or names no class.
        """
        if (match := _FIELD.fullmatch(self.template)) and (terms := _SUM.fullmatch(match[1])):
            row, number = divmod(int(text) - int(terms[4] or 0), int(terms[2]))
            return str(row), self._checked(number, text)
        by_class = "|".join(sorted(map(re.escape, self.classes), key=len, reverse=True))
        pattern, names = _expression(self.template, {CLASS: by_class, NUMBER: r"\d+"}.get)
        if (parts := re.fullmatch(pattern, text)) is None:
            raise ValueError(f"{text!r} is not of the form {self.template}")
        values = dict(zip(names, parts.groups(), strict=True))
        key = "\0".join(value for name, value in values.items() if name not in (CLASS, NUMBER))
        if CLASS in values:
            return key, self.classes.index(values[CLASS])
        return key, self._checked(int(values[NUMBER]), text)

    def _checked(self, number: int, text: str) -> int:
        if not 0 <= number < len(self.classes):
            raise ValueError(f"{text!r} means class number {number} of {len(self.classes)}")
        return number


def _expression(template: str, part: Callable[[str], str | None]) -> tuple[str, list[str]]:
    """Turn a template into a regular expression with a group for each field, and the fields' names."""
    pieces, names, last = [], [], 0
    for match in _FIELD.finditer(template):
        pieces += [re.escape(template[last : match.start()]), f"({part(match[1]) or '.+'})"]
        names.append(match[1])
        last = match.end()
    return "".join(pieces) + re.escape(template[last:]), names
