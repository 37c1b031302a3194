"""Helpers for the texts of errors."""

from kagglekit.errors import close_match, listed, shorten


def test_lists_and_texts_are_cut_to_what_a_person_reads() -> None:
    assert listed(["b", "a"]) == "b, a"
    assert listed(range(1000), 3) == "0, 1, 2 ... (1,000)"
    assert len(listed(["x" * 10_000] * 1000)) < 1000
    assert shorten("short") == "short"
    assert shorten("x" * 1000, 3) == "xxx... (1,000 characters)"


def test_a_close_match_or_the_names_that_are_known() -> None:
    assert close_match("gur", ["gru", "lstm"]) == "did you mean 'gru'?"
    assert close_match("x", ["gru", "lstm"]) == "known: gru, lstm"
    assert close_match("x" * 10**7, ["gru"]) == "known: gru"
