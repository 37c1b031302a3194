"""`kagglekit init`: shipped files, the schema, and files of the first edition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.verbs import Done, Run

from kagglekit import competitions
from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.terminal import console

FIRST = """\
# Ten words and others.
competition: {slug: any}  # the address

labels:
  targets: [yes, no, go] # the words
  silence: null      # there is none
data:
  train_archive: a.zip
  train_clips: a/*/*.wav
  noise_clips: null
  leave_out: [empty]  # these alone
train: {}
# epochs: 40
"""


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Run:
    """`kagglekit init` in an empty folder."""

    def run(*words: str) -> Done:
        console.out.cache_clear()
        console.err.cache_clear()
        code = main(["init", *words])
        shown = capsys.readouterr()
        return Done(code, shown.out, shown.err)

    return run


def test_like_copies_a_shipped_file_and_names_its_guesses(init: Run, tmp_path: Path) -> None:
    done = init("--like", "birdclef-2026")
    assert done.code == 0, done.err
    assert (tmp_path / "competition.yaml").read_text() == competitions.read("birdclef-2026")
    assert done.out.startswith("wrote competition.yaml; 1 line is a guess\n  competition.yaml:")
    assert done.out.endswith("next: kagglekit fetch\n")


def test_an_existing_file_stays_without_force(init: Run, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text("mine")
    done = init("--like", "birdclef-2026")
    assert (done.code, done.err) == (
        1,
        "error: competition.yaml exists already\nhint:  write another file with -C FILE, or set --force\n",
    )
    assert (tmp_path / "competition.yaml").read_text() == "mine"
    assert init("--like", "birdclef-2026", "-C", "other.yaml").out.endswith("kagglekit -C other.yaml fetch\n")
    assert init("--like", "birdclef-2026", "--force").code == 0
    load_config(tmp_path / "competition.yaml")


def test_list_shows_all(init: Run) -> None:
    done = init("--list")
    assert all(name in done.out for name in competitions.names())
    rows = init("--list", "--json").data["competitions"]
    assert {row["name"]: row["slug"] for row in rows}["rfcx-2021"] == "rfcx-species-audio-detection"


def test_schema_describes_every_section(init: Run, tmp_path: Path) -> None:
    assert init("--schema", "schema.json").code == 0
    schema = json.loads((tmp_path / "schema.json").read_text())
    assert schema["properties"]["data"] and "Regular expression" in json.dumps(schema["$defs"]["FromName"])


@pytest.mark.parametrize("text", [FIRST, "competition: {slug: any}\nlabels: {targets: [a, b]}\n"])
def test_upgrade_keeps_the_meaning_the_comments_and_the_old_file(
    init: Run, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "competition.yaml"
    path.write_text(text)
    before = load_config(path)
    assert init("--upgrade", "competition.yaml").code == 0
    assert load_config(path) == before
    new = path.read_text()
    assert "targets" not in new and "train_archive" not in new
    kept = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(f"#{comment}" in new for comment in kept), new
    assert (tmp_path / "competition.yaml.first-edition").read_text() == text
    again = init("--upgrade", "competition.yaml")
    assert again.err.startswith("error: competition.yaml is of the second edition already\n")


def test_the_shipped_first_edition_file_upgrades(init: Run, tmp_path: Path) -> None:
    path = tmp_path / "competition.yaml"
    path.write_text((Path(__file__).parents[2] / "competition.yaml").read_text())
    before = load_config(path)
    if init("--upgrade", "competition.yaml").code == 0:
        assert load_config(path) == before


def test_a_command_says_how_to_rewrite_a_first_edition_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "competition.yaml"
    path.write_text(FIRST)
    console.configure()
    note = "competition.yaml is of the first edition; kagglekit init --upgrade competition.yaml rewrites it\n"
    main(["models"])
    assert capsys.readouterr().err.count(note) == 1
    main(["init", "--upgrade", "competition.yaml", "--quiet"])
    console.configure()
    main(["models"])
    assert "first edition" not in capsys.readouterr().err
