"""Write a competition.yaml where none is, list the shipped ones, and write the JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from kagglekit import competitions
from kagglekit.config import Config
from kagglekit.config.load import DEFAULT_NAME, load_config
from kagglekit.config.yaml_file import parse
from kagglekit.errors import ConfigError, HostError, listed
from kagglekit.files.atomic import write_text
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.places import mount_of, mounted_competitions
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.competitions.look import Facts

CHECK = "  # check: "
SOLUTION = re.compile(r"solution.*\.(csv|tsv|parquet)|.*[_-]solution\.csv")


class Written(NamedTuple):
    """A competition.yaml that has been written."""

    path: Path
    checks: list[str]
    """Its lines that are guesses, each with its number."""


def target(path: Path | None, force: bool) -> Path:
    """Return the file to write.

    Raises:
        ConfigError: it exists, and `force` is not set.
    """
    path = Path(DEFAULT_NAME) if path is None else path
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", hint="write another file with -C FILE, or set --force")
    return path


def write_new(path: Path, text: str) -> Written:
    """Write the text of a competition.yaml, and read it.

    Raises:
        ConfigError: the draft has problems, which are named by their lines.
    """
    write_text(path, text)
    load_config(path)
    lines = enumerate(text.splitlines(), 1)
    return Written(path, [f"{path.name}:{number} {line.strip()}" for number, line in lines if CHECK in line])


def like(name: str, path: Path | None = None, *, force: bool = False) -> Written:
    """Copy a shipped competition.yaml.

    Raises:
        ConfigError: there is none of that name, or the file exists.
    """
    text = competitions.read(name)
    return write_new(target(path, force), text)


def shipped() -> list[dict[str, Any]]:
    """Describe the shipped competitions: name, slug, what it asks for, metric, labels, shape, delivery."""
    rows = []
    for name in competitions.names():
        text = competitions.read(name)
        _, sections = parse(text)
        competition, metric = sections["competition"], sections["competition"].get("metric", "accuracy")
        about = text.partition("\n")[0].removeprefix("#").strip()
        rows.append(
            {
                "name": name,
                "slug": competition["slug"],
                "metric": metric["name"] if isinstance(metric, dict) else metric,
                "labels": sections["labels"].get("kind", "single"),
                "shape": sections["submission"].get("shape", "label"),
                "delivery": competition.get("delivery", "csv"),
                "about": about,
            }
        )
    return rows


def named_for(slug: str) -> str | None:
    """Return the name of the shipped competition.yaml of a competition, or None."""
    return next((row["name"] for row in shipped() if row["slug"] == slug), None)


def write_schema(path: Path) -> None:
    """Write the JSON schema of competition.yaml, by which editors complete and check it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    write_text(path, json.dumps(schema, indent=1, ensure_ascii=False) + "\n")


def from_host(slug: str, path: Path | None = None, *, force: bool = False) -> Written:
    """Draft a competition.yaml from what Kaggle shows of a competition, or a notebook has mounted of it.

    Raises:
        HostError: Kaggle cannot be reached, or shows nothing of it.
        ConfigError: the file exists, or the slug is not one.
    """
    if (mount := mount_of(slug)) is not None:
        return from_mount(slug, mount, path, force=force)
    from kagglekit.competitions.draft import draft
    from kagglekit.competitions.look import MOST_FILES, Facts, look
    from kagglekit.competitions.page import example_of
    from kagglekit.files.patterns import is_audio
    from kagglekit.files.workspace import Workspace
    from kagglekit.hosts import open_host
    from kagglekit.hosts.base import HostFile
    from kagglekit.hosts.fetch import fetch

    out = target(path, force)
    config = _bare(slug, out)
    workspace = Workspace(config)
    host = open_host(config, workspace.root)
    details = host.details()
    facts = Facts(slug, details.title, details.metric, details.notebooks_only)
    try:
        facts.example = example_of(host.evaluation())
    except HostError as error:
        console.note(f"the page about evaluation was not read: {error}")
    with temporary_folder() as folder:

        def get(files: list[HostFile]) -> list[Path]:
            """Download recordings to a temporary folder, and all else to where `fetch` wants it."""
            if not files:
                return []
            if is_audio(files[0].name):  # a few loose files in raw/ would stand for all of them
                return [host.download(file.name, folder, lambda _: None).path for file in files]
            fetch(workspace, host, [file.name for file in files])
            return [workspace.raw / file.name for file in files]

        files = host.files(MOST_FILES + 1)
        if len(files) > MOST_FILES:
            console.note(f"the host lists more than {MOST_FILES:,} files; the rest was not looked at")
        look(facts, files[:MOST_FILES], get, own=False)
    return write_new(out, draft(facts, f"kagglekit init {slug}"))


def from_mount(slug: str, folder: Path, path: Path | None = None, *, force: bool = False) -> Written:
    """Draft a competition.yaml for a competition that a notebook has mounted.

    The host is asked for title, metric and delivery where there is a credential; without one, or where it
    does not answer, these lines are guesses.

    Raises:
        ConfigError: the file exists, or there are no recordings.
    """
    from kagglekit.competitions.draft import draft
    from kagglekit.competitions.look import MOST_FILES, look
    from kagglekit.competitions.recordings import groups
    from kagglekit.files.trees import Tree
    from kagglekit.hosts.base import HostFile

    out = target(path, force)
    facts = _asked(slug, out)
    tree = Tree(folder)
    names = list(islice((name for name, _ in tree.match("**/*")), MOST_FILES + 1))
    if len(names) > MOST_FILES:
        console.note(f"{folder} has more than {MOST_FILES:,} files; the rest was not looked at")
    files = [HostFile(name, (folder / name).stat().st_size, None) for name in names[:MOST_FILES]]
    look(facts, files, lambda files: [folder / file.name for file in files], own=True)
    if not facts.metric:
        facts.hides_test = not any(group.role == "test" for group in groups(facts))
    return write_new(out, draft(facts, f"kagglekit init {slug}"))


def _asked(slug: str, path: Path) -> Facts:
    """Return what the host says of a mounted competition; nothing where it cannot be asked."""
    from kagglekit.competitions.look import Facts
    from kagglekit.hosts import open_host
    from kagglekit.hosts.credentials import credential

    config = _bare(slug, path)
    if credential() is None:
        console.note(f"title and metric of {slug} are not known: there is no credential to ask Kaggle with")
        return Facts(slug)
    once = config.model_copy(update={"network": config.network.model_copy(update={"tries": 1})})
    try:
        details = open_host(once, config.workspace).details()
    except HostError as error:
        console.note(f"title and metric of {slug} are not known: {error}")
        return Facts(slug)
    return Facts(slug, details.title, details.metric, details.notebooks_only)


def mounted_slug() -> str:
    """Return the slug of the only competition that is mounted.

    Raises:
        ConfigError: there is none, or several.
    """
    slugs = list(mounted_competitions())
    if not slugs:
        raise ConfigError(
            "init needs one of SLUG, --local, --like, --list, --schema and --upgrade",
            hint="such as kagglekit init birdclef-2026",
        )
    if len(slugs) > 1:
        raise ConfigError(
            f"{len(slugs):,} competitions are mounted: {listed(slugs)}", hint=f"kagglekit init {slugs[0]}"
        )
    return slugs[0]


def from_folder(folder: Path, path: Path | None = None, *, force: bool = False) -> Written:
    """Draft a competition.yaml for a folder that stands in for Kaggle.

    Raises:
        ConfigError: the file exists, or the folder has no recordings or no solution.
    """
    from kagglekit.competitions.draft import draft
    from kagglekit.competitions.look import Facts, look
    from kagglekit.files.tables import read_table_file
    from kagglekit.hosts.local import LocalHost

    out = target(path, force)
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", hint="name the folder with the competition's files")
    solution = _solution(folder)
    near = out.resolve().parent
    slug = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "local"
    local = {"files": _relative(folder, near), "solution": _relative(solution, near)}
    config = _bare(slug, out, {"host": "local", "local": local})
    facts = Facts(slug)
    facts.local = local
    facts.solution = read_table_file(solution, hint="the solution of a local host").frame
    host = LocalHost(config, config.workspace / "host" / slug)
    look(facts, host.files(), lambda files: [folder / file.name for file in files], own=True)
    return write_new(out, draft(facts, f"kagglekit init --local {folder}"))


def _bare(slug: str, path: Path, more: Mapping[str, Any] | None = None) -> Config:
    """Return a config that is enough to open the host."""
    sections = {
        "competition": {"slug": slug, **(more or {})},
        "labels": {"classes": ["any"]},
        "data": {"sample": "any.csv", "train": {"files": "*"}, "test": {"files": "*"}},
    }
    try:
        return Config.model_validate(sections, context={"root": path.resolve().parent})
    except ValidationError as error:
        raise ConfigError(
            f"'{slug}' is not a competition's slug",
            hint="the last part of its address, such as birdclef-2026",
        ) from error


def _solution(folder: Path) -> Path:
    """Return the solution in a folder or beside it, by its name."""
    for place in (folder, folder.resolve().parent):
        found = sorted(one for one in place.glob("*") if SOLUTION.fullmatch(one.name.lower()))
        if found:
            return found[0]
    raise ConfigError(
        f"{folder} has no solution, by which a local host grades",
        hint="put solution.csv (the sample's columns, and Usage) into it or beside it",
    )


def _relative(path: Path, start: Path) -> str:
    """Return a path as competition.yaml names it: below its folder if it is there, else absolute."""
    whole = path.resolve()
    return whole.relative_to(start).as_posix() if whole.is_relative_to(start) else whole.as_posix()
