"""Files that no decoder reads are named with the remedy, before anything else is."""

from __future__ import annotations

import polars as pl
import pytest

from kagglekit.data import with_ffmpeg
from kagglekit.data.unread import report_unread
from kagglekit.errors import AudioError

INSTALL = "pip install 'kagglekit[av]'"


def facts(*messages: str | None) -> pl.DataFrame:
    """A row for each file: None can be read, "empty" is."""
    return pl.DataFrame(
        {
            "path": [f"{number}.wav" for number in range(len(messages))],
            "problem": [
                "" if message is None else "empty" if message == "empty" else "unreadable"
                for message in messages
            ],
            "message": ["" if message in (None, "empty") else message for message in messages],
        }
    )


def test_some(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("kagglekit.terminal.console.note", said.append)
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: False)
    report_unread("train", facts(None, *["AAC in .m4a"] * 2, "AMR in .3gp", ""))
    assert said == [
        "train: 4 of 5 files cannot be read: 2 are AAC in .m4a, 1 is AMR in .3gp, 1 is in no known format; "
        f"to read them: {INSTALL}, then prepare again"
    ]
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: True)
    report_unread("train", facts(None, "AAC in .m4a, damaged"))
    assert said[1:] == ["train: 1 of 2 files cannot be read: 1 is AAC in .m4a, damaged"]
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: False)
    assert report_unread("train", facts(None, "codec 0x0001 in .wav, damaged")) == 0
    assert said.pop() == "train: 1 of 2 files cannot be read: 1 is codec 0x0001 in .wav, damaged"
    report_unread("train", facts(None, None))
    report_unread("train", facts(None, ""))  # `prepare` counts it, and there is nothing more to say
    assert len(said) == 2


@pytest.mark.parametrize(
    ("messages", "installed", "message", "hint"),
    [
        (
            ["AAC in .m4a"] * 60,
            False,
            "none of its 60 files can be read as audio: 60 are AAC in .m4a",
            INSTALL,
        ),
        (
            ["AAC in .m4a, damaged"],
            True,
            "its only file cannot be read as audio: 1 is AAC in .m4a, damaged",
            "FLAC",
        ),
        (["", ""], False, "none of its 2 files can be read as audio: 2 are in no known format", "FLAC"),
        (
            ["empty", ""],
            False,
            "none of its 2 files can be read as audio: 1 is in no known format, 1 is empty",
            "",
        ),
    ],
)
def test_none(
    messages: list[str], installed: bool, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: installed)
    with pytest.raises(AudioError) as caught:
        report_unread("train", facts(*messages))
    assert str(caught.value) == f"train: {message}"
    assert hint in str(caught.value.hint)


def test_too_many_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: True)
    table = facts(None, None, None, *["AAC in .m4a, damaged"] * 2, "empty")
    report_unread("test", table, 0.5)
    with pytest.raises(AudioError) as caught:
        report_unread("test", table, 0.2)
    assert str(caught.value) == (
        "test: 3 of its 6 files cannot be read as audio: 2 are AAC in .m4a, damaged, 1 is empty"
    )
    assert str(caught.value.hint).endswith("to go on without them, set data.test.unreadable: 0.5")
    part_behind_the_end = table.with_columns(path=pl.lit("0.wav"))
    report_unread("test", part_behind_the_end, 0.2)
