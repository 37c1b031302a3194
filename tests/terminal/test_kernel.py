"""Bars and tables in the cells of a notebook. A kernel itself runs in tests/docs/test_notebook.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kagglekit.terminal import console, kernel, progress
from kagglekit.terminal.progress import _Display
from kagglekit.terminal.table import ResultTable


class Page:
    """What a notebook's page shows: outputs that may be replaced."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.updates = 0

    def display(self, data: dict[str, str], **more: Any) -> Any:
        self.outputs.append(data)
        place = len(self.outputs) - 1
        page = self

        class Handle:
            def update(self, data: dict[str, str], raw: bool) -> None:
                page.outputs[place] = data
                page.updates += 1

        return Handle()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    console.configure()
    shown = Page()
    monkeypatch.setattr(kernel, "is_kernel", lambda: True)
    monkeypatch.setattr(kernel, "_display", shown.display)
    console.err.cache_clear()
    console.out.cache_clear()
    yield shown
    console.err.cache_clear()
    console.out.cache_clear()


def test_this_process_is_no_kernel() -> None:
    assert not kernel.is_kernel()


def test_bars_share_one_output_and_stay_in_it(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)
    with progress.bar("fetch <a>", 2_000_000, "B") as advance, progress.bar("work", None, "clips") as work:
        advance(500_000)
        work(3, text="\x1b[2J epoch 1")
        (shown,) = page.outputs
        assert (
            "<td style='text-align: left'>fetch &lt;a&gt;</td><td><progress value='0.2500'>"
            in shown["text/html"]
        )
        assert "<progress></progress>" in shown["text/html"] and "\x1b" not in shown["text/html"]
        advance(1_500_000)
    (shown,) = page.outputs
    first, second = shown["text/plain"].splitlines()
    assert first.startswith("fetch <a>: 2.0 MB/2.0 MB ") and second.startswith("work: 3 clips ")
    with progress.bar("next", 1):
        pass
    assert len(page.outputs) == 2 and page.outputs[1]["text/plain"].startswith("next: ")


def test_a_quick_bar_is_drawn_seldom_and_at_its_end(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REDRAW_S", 1e9)
    with progress.bar("work", 1000, "clips") as advance:
        for _ in range(1000):
            advance()
    assert len(page.outputs) + page.updates <= 2
    assert page.outputs[-1]["text/plain"].startswith("work: 1,000")


def test_threads_share_it(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)

    def work(name: str) -> None:
        with progress.bar(name, 50) as advance:
            for _ in range(50):
                advance()

    with progress.bar("all", 4) as advance:
        threads = [threading.Thread(target=work, args=(f"job {i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        advance(4)
    (shown,) = page.outputs
    assert shown["text/html"].count("<progress value='1.0000'>") == 5


def test_the_table_of_epochs_stays_above_the_bars(page: Page) -> None:
    with progress.bar("all", 1):
        with progress.live_table("gru/1", ["fold", "CV"]), progress.bar("gru fold 0", 4) as advance:
            progress.set_row("0", ["0.5"])
            advance(4)
        assert page.outputs[0]["text/plain"].splitlines()[:3] == ["gru/1", "fold  CV", "0  0.5"]
    assert len(page.outputs) == 2 and "gru/1" not in page.outputs[1]["text/html"]
    assert _Display.progress is None and _Display.table is None


def test_quiet_shows_no_bars(page: Page) -> None:
    console.configure(quiet=True)
    with progress.live_table("gru/1", ["fold"]), progress.bar("work", 4) as advance:
        progress.set_row("0", [])
        advance(4)
    assert page.outputs == []


def test_results_are_tables_of_the_page(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    table = ResultTable("runs", ["model", "CV"], [["<b>gru</b>", 0.91234], ["tcresnet", None]])
    console.show([table, "next: kagglekit submit"])
    (shown,) = page.outputs
    assert "<caption style='text-align: left'><b>runs</b></caption>" in shown["text/html"]
    assert (
        "<td style='text-align: left'>&lt;b&gt;gru&lt;/b&gt;</td><td style='text-align: right'>0.9123</td>"
        in (shown["text/html"])
    )
    assert shown["text/plain"].splitlines()[1:] == ["model  CV", "<b>gru</b>  0.9123", "tcresnet  "]
    assert capsys.readouterr().out == "next: kagglekit submit\n"


def test_notes_are_no_alarm(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    console.note("train.zip is read where it lies")
    assert capsys.readouterr() == ("train.zip is read where it lies\n", "")
