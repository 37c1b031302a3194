"""What the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from kagglekit.cli import VERBS, make_parser

ROOT = Path(__file__).resolve().parents[2]
DOCS = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if path.is_file()
]
GENERATED = ("cli.md", "settings.md")  # their text is the code's; its examples are parsed one by one
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
LINKS = [
    pytest.param(path.parent / link, id=f"{path.name}: {link}")
    for path in DOCS
    for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    if "://" not in link
]
TRANSCRIPT = ROOT / "docs/results/speech-mini.txt"


def commands(text: str) -> list[str]:
    """Each `kagglekit ...` in code of a Markdown text: fenced, indented or in backticks; no prompt, no comment."""
    text = text.replace("\\\n", " ")
    prose = FENCED.sub("", text)
    lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
    lines += [line for line in prose.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", prose)
    found = []
    for line in lines:
        match = re.match(r"\s*(?:[$#] )?(?:\.venv/bin/)?(kagglekit .*)", line)
        if match:
            parts = (part.strip() for part in re.split(r"&&|\||;", match[1]))
            found += [part for part in parts if re.match(r"(?:\S+=\S+ )*kagglekit ", part)]
    return found


def arguments(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    return words[words.index("kagglekit") + 1 :]


def assert_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        make_parser().parse_args(arguments(command))
    except SystemExit as stop:  # --help and --version leave with 0
        assert stop.code == 0, f"{command}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "path",
    [path for path in DOCS if path.name not in GENERATED],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_command_parses(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(path.read_text(encoding="utf-8")):
        assert_parses(command, capsys)


def test_the_readme_shows_the_way_to_a_submission() -> None:
    verbs = [arguments(command)[0] for command in commands((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert verbs[:5] == ["init", "doctor", "fetch", "tune", "submit"]


@pytest.mark.parametrize("target", LINKS)
def test_every_link_leads_to_a_file(target: Path) -> None:
    if target == TRANSCRIPT and not target.exists():
        pytest.skip("docs/results/speech-mini.txt is not made yet")
    assert target.exists()


def test_links_are_found() -> None:
    assert {link.values[0] for link in LINKS} >= {TRANSCRIPT, ROOT / "docs/LOG.md"}


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_example_parses(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = import_module(f"kagglekit.commands.{verb}").EXAMPLE
    typed = commands(f"```\n{example}\n```")
    assert any(arguments(command)[0] == verb for command in typed)
    following = [line.partition("next: ")[2] for line in example.splitlines() if "next: kagglekit" in line]
    for command in [*typed, *following]:
        assert_parses(command, capsys)


def test_the_readme_names_every_verb() -> None:
    readme = ROOT / "README.md"
    if not readme.is_file() or not readme.read_text().strip():
        pytest.skip("the README is not written yet")
    text = readme.read_text(encoding="utf-8")
    assert [verb for verb in VERBS if not re.search(rf"kagglekit[^\n`]* {verb}\b|`{verb}`", text)] == []


def test_what_is_found() -> None:
    fenced = (
        "```bash\n$ kagglekit fetch  # files\nkagglekit run && kagglekit -C a leaderboard | head\nls\n```\n"
    )
    text = (
        f"kagglekit no\n{fenced}\n    kagglekit demo\n\n| send | `kagglekit submit`, `kagglekit/models/` |\n"
    )
    found = [arguments(command) for command in commands(text)]
    assert found == [["fetch"], ["run"], ["-C", "a", "leaderboard"], ["demo"], ["submit"]]


def test_a_wrong_command_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match="kagglekit fetch --fast"):
        assert_parses("kagglekit fetch --fast", capsys)
