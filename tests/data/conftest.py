"""The notes that the data room shows."""

from __future__ import annotations

import pytest


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notes so far."""
    notes: list[str] = []
    monkeypatch.setattr("kagglekit.terminal.console.note", notes.append)
    return notes
