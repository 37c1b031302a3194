"""Whether timm can be imported here; it needs a torchvision of torch's own build (`make test-timm` has one)."""

from __future__ import annotations

import pytest

from kagglekit.errors import MissingError
from kagglekit.models.timm_package import import_timm


def need_timm() -> None:
    """Skip a module of tests where timm cannot be imported, with the reason."""
    try:
        import_timm()
    except MissingError as error:
        pytest.skip(f"{error} (make test-timm)", allow_module_level=True)
