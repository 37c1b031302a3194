"""`submission:`, the columns of the submission CSV."""

from kagglekit.config.base import Section


class Submission(Section):
    """Columns of the submission CSV."""

    id: str = "fname"
    """Column with the clip's file name."""
    label: str = "label"
    """Column with the predicted label."""
