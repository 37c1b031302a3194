"""Ids of long submissions, which have a row for each row of the test and each class.

A template such as `{id}_classnumber_{number+1}`, `{stem}_{class}_{end}` or `{id*100+number}` says how an id
is made: {id} is the row's own id, {stem}, {end} ... are the parts of `rows.id`, {class} is the class's name
and {number} its number from 0. Braces hold a part, or a sum of numbers and of parts times numbers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kagglekit.files.ids import stem

_FIELD = re.compile(r"\{([^{}]*)\}")
_TERM = re.compile(r"(?:(?P<before>\d{1,9})\*)?(?P<part>[a-z_]+)(?:\*(?P<after>\d{1,9}))?|(?P<alone>\d{1,9})")
CLASS, NUMBER = "class", "number"


@dataclass(frozen=True)
class Sum:
    """What stands in braces: a constant and parts, each times a factor; or one part as text."""

    factors: Mapping[str, int]
    constant: int
    is_text: bool

    @classmethod
    def parse(cls, text: str) -> "Sum":
        """Read `part`, or terms joined by + such as `id*100+number+1`.

        Raises:
            ValueError: it is neither.
        """
        factors, constant = dict[str, int](), 0
        for term in text.replace(" ", "").split("+"):
            if (match := _TERM.fullmatch(term)) is None:
                raise ValueError(f"submission.ids: {{{text}}} is no part or sum of parts and numbers")
            if match["alone"]:
                constant += int(match["alone"])
            else:
                factor = int(match["before"] or 1) * int(match["after"] or 1)
                factors[match["part"]] = factors.get(match["part"], 0) + factor
        return cls(factors, constant, text in factors)

    def write(self, values: Mapping[str, str | int]) -> str:
        """Return the text for a row and a class.

        Raises:
            ValueError: a part is unknown, or is to be computed with and is no number.
        """
        for name in self.factors:
            if name not in values:
                raise ValueError(f"submission.ids names {{{name}}}; known are {', '.join(sorted(values))}")
        if self.is_text:
            return str(values[next(iter(self.factors))])
        return str(self.constant + sum(factor * _int(values[name]) for name, factor in self.factors.items()))

    def number_of(self, text: str) -> tuple[str, int]:
        """Return the rest and the class's number of a sum that contains {number}.

        Raises:
            ValueError: the text is no such sum.
        """
        rest = [factor for name, factor in self.factors.items() if name != NUMBER]
        value = _int(text) - self.constant
        if rest:
            row, value = divmod(value, rest[0])
            return str(row), value
        number, odd = divmod(value, self.factors[NUMBER])
        if odd:
            raise ValueError(f"{text!r} is the number of no class")
        return "", number


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
            ValueError: the template names a part that the row's id has not, computes with what is no number,
                or gives several classes one id.
        """
        fields = self._fields
        values: Mapping[str, str | int] = {
            **self._parts(row_id),
            "id": row_id,
            CLASS: self.classes[number],
            NUMBER: number,
        }
        return _FIELD.sub(lambda match: fields[match[1]].write(values), self.template)

    def read(self, text: str) -> tuple[str, int]:
        """Return a key of the row of the test, equal for all its classes, and the number of the class.

        Raises:
            ValueError: the text is no such id, or names no class.
        """
        pattern, fields = self._pattern, self._fields
        if (match := pattern.fullmatch(text)) is None:
            raise ValueError(f"{text!r} is not of the form {self.template}")
        key, number = [], -1
        for name, part in zip(_FIELD.findall(self.template), match.groups(), strict=True):
            if name == CLASS:
                number = self.classes.index(part)
            elif NUMBER in fields[name].factors:
                rest, number = fields[name].number_of(part)
                key.append(rest)
            else:
                key.append(part)
        if not 0 <= number < len(self.classes):
            raise ValueError(f"{text!r} means class number {number} of {len(self.classes)}")
        return "\0".join(key), number

    @cached_property
    def _fields(self) -> dict[str, Sum]:
        """The template's fields by their text.

        Raises:
            ValueError: one cannot be read, or ids of two classes or of two rows would be equal.
        """
        fields = {text: Sum.parse(text) for text in _FIELD.findall(self.template)}
        if not any(one.factors.keys() & {CLASS, NUMBER} for one in fields.values()):
            raise ValueError(f"submission.ids {self.template!r} has neither {{class}} nor {{number}}")
        for text, one in fields.items():
            others = [factor for name, factor in one.factors.items() if name != NUMBER]
            if NUMBER not in one.factors or not others:
                continue
            if len(others) > 1 or one.factors[NUMBER] != 1 or others[0] < len(self.classes):
                least = len(self.classes)
                raise ValueError(
                    f"submission.ids: {{{text}}} gives two rows one id; {least} classes need a factor of "
                    f"{least} or more, as {{id*{least}+number}}"
                )
        return fields

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        by_class = "|".join(sorted(map(re.escape, self.classes), key=len, reverse=True))
        fields = self._fields

        def part(text: str) -> str:
            if text == CLASS:
                return by_class
            return ".+?" if fields[text].is_text and text != NUMBER else r"\d+"  # the longest class that fits

        return re.compile(_expression(self.template, part), re.ASCII | re.DOTALL)

    @cached_property
    def _row_pattern(self) -> re.Pattern[str]:
        return re.compile(_expression(self.row_template, lambda name: ".+?" if name == "folder" else ".+"))

    def _parts(self, row_id: str) -> dict[str, str]:
        """Return the parts of a row's id that its template names; {} where they cannot be told apart.

        A row that is a recording has its {name}, and {stem}, the name without folder and ending.
        """
        match = self._row_pattern.fullmatch(row_id)
        parts = dict(zip(_FIELD.findall(self.row_template), match.groups(), strict=True)) if match else {}
        if "name" in parts:
            parts.setdefault("stem", stem(parts["name"]).rpartition("/")[2])
        return parts


def _int(value: str | int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number, and submission.ids computes with it")
    return int(text)


def _expression(template: str, part: Callable[[str], str]) -> str:
    """Turn a template into a regular expression with a group for each field."""
    pieces, last = [], 0
    for match in _FIELD.finditer(template):
        pieces += [re.escape(template[last : match.start()]), f"({part(match[1])})"]
        last = match.end()
    return "".join(pieces) + re.escape(template[last:])
