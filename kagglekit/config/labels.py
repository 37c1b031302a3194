"""`labels:`, the competition's classes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from kagglekit.config.base import Section, Share, kind_of_value
from kagglekit.config.names import LabelKind
from kagglekit.errors import listed

FROM_SAMPLE, FROM_LABELS = "from_sample", "from_labels"


class ClassList(Section):
    """A file with the classes."""

    table: str
    """Path of a CSV, or of a JSON list."""
    column: str | None = None
    """Column with the classes; null for a JSON list."""


class NameTable(Section):
    """A table that turns the labels of the data into the names of the classes."""

    table: str
    """Path of the table."""
    label: str
    """Column with the label as the training data has it."""
    name: str
    """Column with the name of the class."""


def _one_of_three(value: Any) -> Any:
    """Refuse what is none of the three kinds, in one message instead of three."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("the list is empty")
        if odd := [name for name in value if not isinstance(name, str)]:
            raise ValueError(f"a class must be text, not {odd[0]!r}; quote it: '{odd[0]}'")
    elif not isinstance(value, Mapping | ClassList) and value not in (FROM_SAMPLE, FROM_LABELS):
        raise ValueError(
            f"must be a list of classes, from_sample, from_labels or {{table: FILE}}, not {value!r}"
        )
    return value


def _list_or_table(value: Any) -> Any:
    """Refuse a word other than from_labels, which is no list of classes."""
    if isinstance(value, str) and value != FROM_LABELS:
        raise ValueError(f"must be a list of classes, from_labels or {{table: FILE}}, not '{value}'")
    return value if value is None else _one_of_three(value)


class Labels(Section):
    """The competition's classes."""

    kind: LabelKind = LabelKind.SINGLE
    """single: one class per row; multi: any number of classes."""
    classes: Annotated[
        tuple[str, ...] | Literal["from_sample", "from_labels"] | ClassList, BeforeValidator(_one_of_three)
    ]
    """Classes, without filler and silence: a list; from_sample (the columns, or the labels, of the sample
    submission); from_labels (all labels of the training data); or a file that lists them."""
    auxiliary: Annotated[
        tuple[str, ...] | Literal["from_labels"] | ClassList | None, BeforeValidator(_list_or_table)
    ] = Field(default=None, exclude_if=lambda auxiliary: auxiliary is None)
    """Classes that networks learn too, and that no score and no submission holds (multi only): a list;
    from_labels (all other labels of the training data); or a file that lists them. null: none."""
    names: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[NameTable, Tag("section")], Discriminator(kind_of_value)
        ]
        | None
    ) = None
    """Names of the classes: a template such as "s{label}", or a table; null if they are the labels."""
    none: str | None = None
    """Label of recordings without any class, such as nocall; multi only."""
    filler: str | None = None
    """Class of every other label; null: clips with other labels are not trained on."""
    silence: str | None = None
    """Class of clips without speech, cut from `data.noise`. null: there is no such class, and training adds
    no background noise."""
    silence_share: Share = 0.1
    """Number of silence clips made for training, as a share of the spoken clips."""
    keep_fillers: Annotated[float, Field(gt=0)] | Literal["all"] = "all"
    """Filler clips to train on: all, a number (> 1), or a share (<= 1)."""

    @property
    def known(self) -> bool:
        """Whether the classes are known without looking at the host's files."""
        return isinstance(self.classes, tuple) and isinstance(self.auxiliary, tuple | None)

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the classes besides filler and silence, which `data.classes` reads where files name them."""
        assert isinstance(self.classes, tuple), "the classes are read from the host's files first"
        return self.classes

    @property
    def all_classes(self) -> tuple[str, ...]:
        """Return classes, silence, filler: the order of the logits everywhere."""
        return self.targets + tuple(x for x in (self.silence, self.filler) if x is not None)

    @property
    def learnt(self) -> tuple[str, ...]:
        """Return the classes and the auxiliary ones, known as `targets` are."""
        assert isinstance(self.auxiliary, tuple | None), "the classes are read from the host's files first"
        return self.all_classes + (self.auxiliary or ())

    @model_validator(mode="after")
    def _distinct(self) -> "Labels":
        if self.known:
            twice = sorted({c for c in self.learnt if self.learnt.count(c) > 1})
            if twice:
                raise ValueError(f"duplicate labels: {listed(twice)}")
        if self.auxiliary is not None and self.kind is LabelKind.SINGLE:
            raise ValueError("auxiliary needs kind multi; with one class per row, filler takes other labels")
        if isinstance(self.names, str) and "{label}" not in self.names:
            raise ValueError(f"names is '{self.names}'; a template needs {{label}}")
        if self.kind is LabelKind.MULTI and (self.filler or self.silence):
            raise ValueError("with kind multi set filler: null and silence: null")
        if self.kind is LabelKind.SINGLE and self.none:
            raise ValueError("none needs kind multi: with one class per row, each row has a class")
        return self
