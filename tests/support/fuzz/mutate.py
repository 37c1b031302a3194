"""Damage bytes, values of JSON, and lines of YAML."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

RUNS = (
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\n",
        b"\r\n",
        b"\t",
        b'"',
        b"'",
        b",",
        b";",
        b"{",
        b"[",
    ),
    *(
        b"../",
        b"/etc/passwd",
        b"\x1b[31m",
        b"\xc2\x85",
        "\u202e".encode(),
        b"NaN",
        b"-1",
        b"1e308",
        b"9" * 400,
        b"=cmd|' /C calc'!A0",
    ),
)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(WAYS)(data, rng)
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\1"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _number(data: bytes, rng: random.Random) -> bytes:
    """Overwrite 1 to 8 bytes, as of a size or an offset in a header, by an extreme number."""
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(
        (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1, rng.getrandbits(8 * size))
    )
    at = rng.randrange(max(len(data) - size, 1))
    if rng.random() < 0.5:  # headers stand in front, or at the end
        at = min(at, rng.randrange(200)) if rng.random() < 0.7 else max(at, len(data) - rng.randrange(1, 200))
    return data[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 2, 16, 300))
    return data[:at] + data[at + size :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(RUNS) * rng.choice((1, 1, 1, 3, 1000)) + data[at:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.randint(1, 200)
    return data[:at] + data[at : at + size] * rng.choice((2, 3, 50)) + data[at:]


def _swap(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[b:] + data[a:b] + data[:a]


def _zeros(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes(len(data) - at)


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _number,
    _number,
    _cut,
    _drop,
    _insert,
    _repeat,
    _swap,
    _zeros,
)


# --- JSON ---

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1,
        10**30,
        -(2**63),
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\0",
        "\ud800",
        "../x",
        "NaN",
    ),
    *([], {}, [[]], {"": {}}, [None], ["x"] * 3, {"a": {"b": [1]}}, "9" * 400, "x" * 100_000),
)


def damage_json(text: str, rng: random.Random) -> str:
    """Replace, remove or add a value somewhere in a JSON text, or return another text in its place."""
    if rng.random() < 0.1:
        return rng.choice(
            (
                "",
                "null",
                "[]",
                "{}",
                "[" * 100_000,
                '{"a":' * 100_000,
                "1e999",
                "9" * 10_000,
                '"x"',
                "NaN",
                "\ufeff{}",
            )
        )
    value = json.loads(text)
    places = list(_places(value))
    if not places:
        return json.dumps(rng.choice(VALUES))
    holder, key = rng.choice(places)
    way = rng.random()
    if way < 0.2:
        del holder[key]
    elif way < 0.3 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "__class__", "key"))] = rng.choice(VALUES)
    else:
        holder[key] = rng.choice(VALUES)
    return json.dumps(value)


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in list(items)[:200]:
        yield value, key
        yield from _places(below)


# --- YAML ---

SCALARS = (
    *(
        "!!bool x",
        "!!int x",
        "!!int ''",
        "!!float x",
        "!!null x",
        "!!binary x",
        "!!binary '%%%'",
        "!!binary aGFsbG8=",
        "!!timestamp x",
    ),
    *(
        "!!timestamp 2001-13-45",
        "!!timestamp 2001-01-01",
        "2001-01-01",
        "2001-13-45T25:61:61Z",
        "!!str 1",
        "!!set {a, b}",
        "!!omap [a: 1]",
    ),
    *(
        "!!pairs [a: 1]",
        "!!python/object/apply:os.system [id]",
        "!<tag:yaml.org,2002:map> {}",
        "!local x",
        "!!seq x",
        "!!map x",
        "!!merge x",
    ),
    *(
        "*nope",
        "&a",
        "&a x",
        "&a [*a]",
        "{<<: {a: 1}}",
        "{<<: *a}",
        "<<",
        "? x",
        "[",
        "]",
        "{",
        "}",
        "[[[]]]",
        "{a: {b: {c: {}}}}",
    ),
    *(
        "1e308",
        "-1e308",
        "1e999",
        "-1e999",
        "1e-400",
        ".nan",
        ".inf",
        "-.inf",
        "-0",
        "-0.0",
        "-1",
        "0",
        "1",
        "2",
        "0.5",
        "1e3",
    ),
    *(
        "0x7fffffffffffffff",
        "0o777",
        "0b1",
        "1_000",
        "1:30",
        "9" * 30,
        "-" + "9" * 400,
        "9" * 5000,
        "1" + "0" * 18,
        "4294967296",
    ),
    *(
        "~",
        "null",
        "''",
        '""',
        "true",
        "yes",
        "No",
        "~nobody",
        "~nobody/x",
        "~/x",
        ".",
        "..",
        "'../../..'",
        "/nonexistent/x",
        "/dev/zero",
    ),
    *(
        '"\\0"',
        '"\\ud800"',
        '"\\u202e"',
        '"\\x1b[31m"',
        '"\\n"',
        '" "',
        "'*'",
        "'**'",
        "'**/**/**/*'",
        "'['",
        "'[!]'",
        "'{a,b}'",
        "'?'",
    ),
    *(
        "'(?P<x'",
        "'('",
        "'()'",
        "'(a+)+$'",
        "'(.*)(.*)(.*)(.*)x'",
        "'\\\\'",
        "'{'",
        "'{}'",
        "'{0}'",
        "'{stem.__class__}'",
        "'{stem!r:>99999999999}'",
    ),
    *(
        "'{end:999999999d}'",
        "'%s%n'",
        "'=1+1'",
        "folder",
        "'a.zip/*'",
        "'a.zip/b.zip/c.zip/*'",
        "'kaggle:a/b/c'",
        "'kaggle:'",
        "kaggle:x",
        "|",
        ">-",
    ),
    *(
        "'train.zip'",
        "train.zip/**",
        "host/*",
        "'*.wav'",
        "'train.zip/train/audio/*/*.wav'",
        "[1, 2]",
        "[x, x]",
        "[yes, no]",
        "{x: 1}",
        "[[x]]",
    ),
    *(
        "[null]",
        "['']",
        "[1.5, -1]",
        "{1: 2}",
        "{null: null}",
        "{[a]: b}",
        "{? {a: b} : c}",
        "{'': ''}",
        "{x: 1, x: 2}",
        "from_sample",
        "from_labels",
    ),
)


def damage_yaml(text: str, rng: random.Random) -> bytes:
    """Damage a YAML document in one to three ways; now and then its bytes."""
    if rng.random() < 0.05:
        return damage(text.encode(), rng)
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        lines = rng.choice(LINE_WAYS)(lines, rng)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _value(lines: list[str], rng: random.Random) -> list[str]:
    """Replace a value behind a colon, in block or in flow style."""
    places = [
        (n, at)
        for n, line in enumerate(lines)
        for at in range(len(line))
        if line[at] == ":" and not line.lstrip().startswith("#")
    ]
    if not places:
        return [rng.choice(SCALARS)]
    number, at = rng.choice(places)
    line = lines[number]
    flow = min((p for p in (line.find(mark, at) for mark in ",}]") if p > 0), default=len(line))
    end = flow if "{" in line[:at] else len(line)
    return [*lines[:number], f"{line[:at]}: {rng.choice(SCALARS)}{line[end:]}", *lines[number + 1 :]]


def _key(lines: list[str], rng: random.Random) -> list[str]:
    """Insert a key at a line's indentation: an unknown one, or one from elsewhere."""
    number = rng.randrange(len(lines) + 1)
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())] if number < len(lines) else ""
    other = rng.choice(lines or ["x:"]).strip().partition(":")[0] or "x"
    key = rng.choice(
        (
            other,
            other,
            "x",
            "1",
            "null",
            "true",
            "''",
            "? [a]",
            "<<",
            "!!str y",
            "-",
            "1.5",
            "2001-01-01",
            "&a b",
        )
    )
    return [*lines[:number], f"{indent}{key}: {rng.choice(SCALARS)}", *lines[number:]]


def _remove(lines: list[str], rng: random.Random) -> list[str]:
    number = rng.randrange(len(lines) + 1)
    return [*lines[:number], *lines[number + rng.randint(1, 3) :]]


def _indent(lines: list[str], rng: random.Random) -> list[str]:
    number = rng.randrange(len(lines) or 1)
    return [
        rng.choice(("  ", "\t", "- ", " ")) + line if n == number else line for n, line in enumerate(lines)
    ]


def _again(lines: list[str], rng: random.Random) -> list[str]:
    number = rng.randrange(len(lines) or 1)
    return [*lines, *lines[number : number + rng.randint(1, 5)]]


def _large(lines: list[str], rng: random.Random) -> list[str]:
    """Add what takes long to read: depth, many keys, a long line, aliases of aliases."""
    bomb = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))]
    extra = rng.choice(
        (
            ["x: " + "[" * 5000],
            ["x: " + "[" * 3000 + "]" * 3000],
            [f"{'  ' * n}x:" for n in range(500)],
            [f"unknown_{n}: {n}" for n in range(3000)],
            ["x: " + "y" * 900_000],
            ["x: " + "y" * 10_000_000],
            ["data: {" + ", ".join(f"k{n}: {n}" for n in range(2000)) + "}"],
            bomb,
        )
    )
    return [*lines, *extra] if rng.random() < 0.5 else [*extra, *lines]


LINE_WAYS: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    *(_value,) * 12,
    *(_key,) * 4,
    _remove,
    _indent,
    _again,
)
RARE_WAYS = (_large,)
