"""Cache keys: short hashes of everything that a result depends on."""

import hashlib
import json
from typing import Any


def key_of(*parts: Any) -> str:
    """Hash JSON-serialisable values to 12 hex digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
