"""`submission:`, the shape and the columns of the submission CSV."""

from typing import Annotated

from pydantic import Field

from kagglekit.config.base import Count, OneOf, Section
from kagglekit.config.names import SHAPES


class Submission(Section):
    """The shape and the columns of the submission CSV."""

    shape: Annotated[str, OneOf(SHAPES, "shape")] = "label"
    """label, top_k, label_list, probability, probabilities or long; the default is probabilities where the
    metric takes them, and top_k for map_at_k."""
    id: str = "fname"
    """Column with the row's id."""
    label: str | None = Field(default=None)
    """Column with the answer; null: the sample's only other column. Unused by probabilities."""
    k: Count = 3
    """Number of labels in a top_k cell; the default is that of the metric, if it has one."""
    joiner: str = Field(default=" ", min_length=1)
    """Text between the labels of a top_k or label_list cell."""
    none: str | None = None
    """Answer of a label_list row without any class, such as nocall; null: an empty cell."""
    positive: str | None = None
    """Class whose probability the shape `probability` submits; null: the one that the column is called as, or
    else the last."""
    ids: str = "{id}_{class}"
    """Id of a row of the shape long, from {id} (the row's), the parts of rows.id, {class} and {number} (the
    class's, from 0); {number+1} counts from 1, and {id*100+number} computes with numbers."""
    class_column: str | None = None
    """Column with the class, where the shape long has the row's id and the class in two columns."""
    answers: bool = False
    """Whether the shape long holds True and False instead of probabilities."""
