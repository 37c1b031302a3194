"""What the rules of a blend were fitted to, for people."""

from collections.abc import Mapping
from typing import Any

from kagglekit.ensemble import set_decisions, smoothing


def describe(joined: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """Return what a blend's smoothing and decision were fitted to; "" where nothing was.

    Args:
        joined: `facts` of a smoothing.
        rule: `facts` of a decision.
    """
    parts = smoothing.describe(joined), set_decisions.describe(rule)
    return "; ".join(filter(None, parts))
