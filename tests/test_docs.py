"""What the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from kagglekit.cli import VERBS, make_parser

ROOT = Path(__file__).resolve().parents[1]
DOCS = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if path.is_file()
]


def commands(text: str) -> list[str]:
    """The `kagglekit ...` lines in the code blocks of a Markdown text, without prompt and comment."""
    found = []
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.match(r"\s*(?:[$#] )?(?:\.venv/bin/)?(kagglekit .*)", line)
            if match:
                found += [part.strip() for part in re.split(r"&&|\||;", match[1]) if "kagglekit" in part]
    return found


def arguments(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    return words[words.index("kagglekit") + 1 :]


def assert_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        make_parser().parse_args(arguments(command))
    except SystemExit as stop:  # --help and --version leave with 0
        assert stop.code == 0, f"{command}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_parses(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(path.read_text(encoding="utf-8")):
        assert_parses(command, capsys)


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
    text = "kagglekit no\n```bash\n$ kagglekit fetch  # files\nkagglekit run && kagglekit -C a leaderboard | head\nls\n```\n"
    found = [arguments(command) for command in commands(text)]
    assert found == [["fetch"], ["run"], ["-C", "a", "leaderboard"]]


def test_a_wrong_command_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match="kagglekit fetch --fast"):
        assert_parses("kagglekit fetch --fast", capsys)
