from __future__ import annotations

from kagglekit.files.keys import key_of


def test_key_of() -> None:
    assert key_of("clips", 1, {"b": 2, "a": [1.5, None]}) == "13319872fb9b"  # as sha256sum has it
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of((1, 2)) == key_of([1, 2])
    keys = {
        key_of(*parts) for parts in [(1, 2), ([1, 2],), ("1", "2"), (12,), (1, 2, None), (2, 1), (1.5, 2)]
    }
    assert len(keys) == 7
