"""The example of a submission on the page about evaluation."""

from __future__ import annotations

import pytest

from kagglekit.competitions.page import example_of

HTML = (
    "<p>Predict each row, its id, and more.</p><pre><code>Id,Probability\n0,0\n100,0\netc...\n</code></pre>"
)
MARKDOWN = "For each ID, predict:\n\n```\nfname,label\na.wav,Hi-Hat Bark\nb.wav,Flute\n```\n"


@pytest.mark.parametrize(
    ("page", "columns", "rows"),
    [
        (HTML, ["Id", "Probability"], [("0", "0"), ("100", "0")]),
        (MARKDOWN, ["fname", "label"], [("a.wav", "Hi-Hat Bark"), ("b.wav", "Flute")]),
        ("id,p<br>a,&quot;1&quot;<br/>b,0", ["id", "p"], [("a", "1"), ("b", "0")]),
    ],
)
def test_the_first_csv_of_a_page(page: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    example = example_of(page)
    assert example is not None
    assert (example.columns, example.rows()) == (columns, rows)


@pytest.mark.parametrize(
    "page",
    [
        *(
            "",
            "no table, here",
            "id,p\n",
            "id,p\na,1\n",
            "id,id\na,1\nb,2\n",
            "row_id,a1,...\nx,0,1\ny,0,1\n",
        ),
        *("1,2\n3,4\n5,6\n", 'id,p\n"a,1\nb,2\n', "\x00,\x00\n" * 3),
    ],
)
def test_no_example(page: str) -> None:
    assert example_of(page) is None
