"""The kinds of input: how each is damaged, and what kagglekit is asked to do with it."""

from __future__ import annotations

import argparse
import contextlib
import io
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.cli import VERBS, main, make_parser
from kagglekit.config import Audio, Config
from kagglekit.config.load import load_config
from kagglekit.data.decode import decode
from kagglekit.errors import KagglekitError
from kagglekit.files import archive, tables
from support.fuzz import bases
from support.fuzz.mutate import RARE_WAYS, SCALARS, damage, damage_json, damage_yaml

PASSWORD = "s3cr3t-pa55"
WORDS = {0: "accepted", 1: "explained", 2: "usage"}


class FaultError(Exception):
    """What kagglekit did with an input is none of the three things that it may do."""


class Kind(NamedTuple):
    """A kind of input."""

    name: str
    what: str
    attempt: Callable[[random.Random, Path], str]
    """Tries one input in a folder of its own; returns accepted, explained or usage."""
    share: float
    """Of all inputs."""


def command(*argv: str) -> str:
    """Run a command in this process, and check everything that it shows."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([*argv, "--quiet"])
        except SystemExit as end:
            code = int(end.code or 0)
    shown = out.getvalue() + err.getvalue()
    what = ""
    if code not in WORDS:
        what = f"exit code {code}"
    elif "error: unexpected " in shown or "Traceback" in shown:
        what = "unexpected"
    elif code == 1 and not ("error: " in shown and "hint: " in shown):
        what = "no error with a hint"
    elif PASSWORD in shown:
        what = "shows a password"
    elif code == 1 and len(shown) > 20_000:
        what = f"a message of {len(shown):,} characters"
    if what == "unexpected" and "--traceback" not in argv:
        command(*argv, "--traceback")
    if what:
        raise FaultError(f"{what}: kagglekit {' '.join(map(repr, argv))[:300]}\n{shown[-2500:]}")
    return WORDS[code]


def called(read: Callable[[], Any]) -> str:
    """Call a reader, which may raise nothing but our own errors, each with a hint."""
    try:
        read()
    except KagglekitError as error:
        if not error.hint or not str(error) or len(str(error)) > 5000:
            raise FaultError(f"no hint, or {len(str(error)):,} characters: {str(error)[:500]}") from error
        return "explained"
    return "accepted"


def worst(outcomes: Sequence[str]) -> str:
    return next((word for word in ("explained", "usage") if word in outcomes), "accepted")


# --- settings ---


def _yaml(rng: random.Random, folder: Path) -> str:
    text = rng.choice(bases.yamls())
    ways = damage_yaml(text, rng)
    if rng.random() < 0.03:
        ways = "\n".join(rng.choice(RARE_WAYS)(text.splitlines(), rng)).encode()
    path = folder / "competition.yaml"
    path.write_bytes(ways)
    return command("leaderboard", "-C", str(path))


@cache
def settings() -> list[str]:
    """Every dotted key that --set takes."""

    def below(kind: Any, prefix: str) -> list[str]:
        names = []
        for name, field in kind.model_fields.items():
            inner = next((k for k in _classes(field.annotation) if hasattr(k, "model_fields")), None)
            names += [f"{prefix}{name}"] + (
                below(inner, f"{prefix}{name}.") if inner and prefix.count(".") < 3 else []
            )
        return names

    return below(Config, "")


def _classes(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(k for one in arguments for k in _classes(one))]


def _override(rng: random.Random) -> str:
    key = rng.choice(settings())
    if rng.random() < 0.2:
        parts = key.split(".")
        parts.insert(
            rng.randrange(len(parts) + 1),
            rng.choice(("", "0", "-1", "99", "x", "models", "gru", "train.lr", "\0", "[a]")),
        )
        key = ".".join(parts)
    return f"{key}{rng.choice(('=', '=', '=', '=', '', '=='))}{rng.choice(SCALARS)}"


def _set(rng: random.Random, folder: Path) -> str:
    path = folder / "competition.yaml"
    if not path.exists():
        path.write_text(bases.yamls()[0])
    words = [word for _ in range(rng.choice((1, 1, 1, 3))) for word in ("--set", _override(rng))]
    if rng.random() < 0.1:
        words += ["--set", f"search.storage=postgresql://me:{PASSWORD}@127.0.0.1:1/{rng.choice(SCALARS)}"]
    return command("leaderboard", "-C", str(path), *words)


def _deep(rng: random.Random, folder: Path) -> str:
    """Settings that were accepted, used."""
    box = bases.copy("host", folder)
    text = bases.yaml_of(box)
    words: list[str] = []
    for _ in range(30):  # few damages make settings that are accepted
        try:
            if rng.random() < 0.3:
                (box / "competition.yaml").write_bytes(damage_yaml(text, rng))
                load_config(box / "competition.yaml")
            else:
                (box / "competition.yaml").write_text(text)
                load_config(box / "competition.yaml", [override := _override(rng)])
                words = ["--set", override]
            break
        except KagglekitError:
            continue
    with contextlib.chdir(box):
        return worst([command(verb, *words) for verb in ("fetch", "prepare")])


# --- the command line ---

NOT_RUN = {"demo", "run", "reproduce", "completion"}
"""Verbs that train for minutes whatever they are told."""
NOT_GIVEN = {"--cluster", "--serve", "--dashboard", "--help", "--version", "--install", "--traceback"}


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    return next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices  # type: ignore[return-value]


def _arguments(rng: random.Random, folder: Path) -> str:
    box = bases.copy("host", folder)
    verb = rng.choice([name for name in VERBS if name not in NOT_RUN])
    words = [verb]
    actions = [a for a in parsers()[verb]._actions if not NOT_GIVEN & set(a.option_strings)]
    for action in rng.sample(actions, min(len(actions), rng.randint(1, 4))):
        words += [rng.choice(action.option_strings)] if action.option_strings else []
        words += [] if action.nargs == 0 else [_word(rng)]
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words) + 1), _word(rng))
    with contextlib.chdir(box):
        return command(*words)


def _word(rng: random.Random) -> str:
    return rng.choice(
        (
            *SCALARS,
            "tcresnet",
            "tcresnet,gru",
            "tcresnet/x",
            "../x",
            "a\0b",
            "\udcff",
            "-",
            "--",
            "x" * 5000,
            "competition.yaml",
            ".",
            "host",
        )
    )


# --- files ---


def _archive(rng: random.Random, folder: Path) -> str:
    name, data = rng.choice(bases.archives())
    path = folder / f"{rng.randrange(10**9)}-{name}"
    path.write_bytes(damage(data, rng) if rng.random() < 0.9 else rng.choice(bases.odd_archives())(rng))
    try:
        outcomes = [called(lambda: archive.members(path)), called(lambda: archive.verify(path))]
        outcomes.append(called(lambda: archive.stream(path, lambda member, data: None)))
    finally:
        path.unlink()
    return worst(outcomes)


def _table(rng: random.Random, folder: Path) -> str:
    name, data = rng.choice(bases.tables())
    damaged = damage(data, rng)
    ways: dict[str, Any] = rng.choice(
        ({}, {"header": False}, {"columns": ("fname", "label")}, {"ragged": True})
    )
    return called(lambda: tables.read_table(damaged, name, hint="fetch it again", **ways))


def _audio(rng: random.Random, folder: Path) -> str:
    _, data = rng.choice(bases.recordings())
    rate, longer = rng.choice((8000, 16_000, 44_100)), rng.choice(("cut", "windows"))
    return called(lambda: decode(damage(data, rng), Audio(sample_rate=rate, seconds=0.5, longer=longer)))


def _host(rng: random.Random, folder: Path) -> str:
    """Archives, label tables, the sample and the solution of a competition, up to `prepare`."""
    box = bases.copy(rng.choice(("host", "tables")), folder)
    path = rng.choice(sorted(p for p in (box / "host").rglob("*") if p.is_file()))
    path.write_bytes(damage(path.read_bytes(), rng))
    with contextlib.chdir(box):
        return worst([command(verb) for verb in ("fetch", "prepare")])


READERS = (
    *(
        "leaderboard",
        "cv",
        "cv --json",
        "report",
        "ensemble --model tcresnet,gru",
        "submit --ensemble tcresnet",
        "submit --best",
    ),
    *(
        "predict --model tcresnet",
        "prepare",
        "prepare --list",
        "features --model tcresnet",
        "train --model tcresnet",
        "models",
    ),
    *("tune --model tcresnet --best", "tune --model tcresnet --no-train --trials 1", "export tcresnet"),
    *(
        "submit --ensemble tcresnet --upload --yes --force",
        "doctor",
        "train --tuned --model tcresnet",
        "cv --model tcresnet",
    ),
)


def _workspace(rng: random.Random, folder: Path) -> str:
    box = bases.copy("trained", folder)
    places = [box / ".kagglekit", box / "submissions"]
    files = sorted(
        p
        for place in places
        for p in place.rglob("*")
        if p.is_file() and p.suffix != ".lock" and "raw" not in p.parts
    )
    path = rng.choice(files)
    data = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_bytes(
            damage_json(_without_checksum(data.decode(), rng), rng).encode("utf-8", "surrogatepass")
        )
    elif path.suffix in (".jsonl", ".journal") and data and rng.random() < 0.7:
        lines = data.decode().splitlines()
        at = rng.randrange(len(lines))
        lines[at] = damage_json(_without_checksum(lines[at], rng), rng)
        path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(damage(data, rng))
    with contextlib.chdir(box):
        return worst([command(*rng.choice(READERS).split()) for _ in range(2)])


def _without_checksum(text: str, rng: random.Random) -> str:
    """As of an earlier version, whose files carry none."""
    import json

    value = json.loads(text)
    if isinstance(value, dict) and rng.random() < 0.8:
        value.pop("xxh3", None)
    return json.dumps(value)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("yaml", "competition.yaml: the shipped ones and those of the tests, both editions", _yaml, 0.27),
        Kind("set", "`--set` of every setting", _set, 0.17),
        Kind("used", "settings, used by `fetch` and `prepare`", _deep, 0.02),
        Kind("arguments", "options of every verb", _arguments, 0.03),
        Kind(
            "archive",
            "zip, 7z, tar, tar.gz, tar.bz2, tar.xz, Parquet with recordings; bombs, links, unsafe names",
            _archive,
            0.17,
        ),
        Kind("table", "CSVs in several codings, Parquet tables, packed tables", _table, 0.14),
        Kind("audio", "wav, FLAC, Ogg, MP3, AIFF, Opus, AAC, AMR", _audio, 0.15),
        Kind(
            "host", "archives, label tables, sample and solution, used by `fetch` and `prepare`", _host, 0.02
        ),
        Kind("workspace", "every file of the workspace, read by every verb", _workspace, 0.03),
    )
}
