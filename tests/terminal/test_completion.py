"""Completion as the shells themselves do it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kagglekit.cli import VERBS, main
from kagglekit.models import MODELS


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> str:
    """What the verb prints for a shell that is there."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    assert main(["completion", request.param]) == 0
    return capsys.readouterr().out


def bash_replies(script: str, line: str, tmp_path: Path) -> list[str]:
    """What bash offers at the end of a line."""
    path = tmp_path / "completion.bash"
    asked = (
        f"{script}\nread -ra COMP_WORDS <<< '{line}x'\n"
        "COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMP_WORDS[COMP_CWORD]=${COMP_WORDS[COMP_CWORD]%x}\n"
        "_shtab_kagglekit\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    path.write_text(asked)
    done = subprocess.run(
        ["bash", "--norc", str(path)], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kagglekit le", ["leaderboard"]),
        ("kagglekit --qui", ["--quiet"]),
        ("kagglekit train --se", ["--seeds", "--set"]),
        ("kagglekit train --model bc", ["bcresnet"]),
        ("kagglekit train --model gru,bc", ["gru,bcresnet"]),
        ("kagglekit -C a.yaml submit --ensemble gru,lstm,tcr", ["gru,lstm,tcresnet"]),
        ("kagglekit cv --prior e", ["estimated"]),
        ("kagglekit completion f", ["fish"]),
        ("kagglekit train --recipe ast_1", ["ast_12"]),
        ("kagglekit reproduce --recipe gru,ast_1", ["gru,ast_12"]),
        ("kagglekit report --out complet", ["completion.bash"]),
    ],
)
def test_bash(script: str, line: str, offered: list[str], tmp_path: Path) -> None:
    assert bash_replies(script, line, tmp_path) == offered


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_offers_every_verb_and_model(script: str, tmp_path: Path) -> None:
    assert set(bash_replies(script, "kagglekit ", tmp_path)) >= set(VERBS)
    assert bash_replies(script, "kagglekit tune --model ", tmp_path) == list(MODELS)


@pytest.mark.parametrize("script", ["fish"], indirect=True)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kagglekit le", ["leaderboard"]),
        ("kagglekit train --model bc", ["bcresnet"]),
        ("kagglekit train --model gru,bc", ["gru,bcresnet"]),
        ("kagglekit cv --prior e", ["estimated"]),
        ("kagglekit report --ser", ["--serve"]),
    ],
)
def test_fish(script: str, line: str, offered: list[str], tmp_path: Path) -> None:
    path = tmp_path / "completion.fish"
    path.write_text(script)
    asked = f"source {path}; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked], capture_output=True, text=True, check=True, timeout=60
    )
    assert [reply.split("\t")[0] for reply in done.stdout.splitlines()] == offered


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Read what a shell writes until it has written this."""
    seen, end = b"", time.monotonic() + 60
    while wanted not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536)
    return seen


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_at_a_terminal(script: str, tmp_path: Path) -> None:
    path = tmp_path / "completion.zsh"
    path.write_text(script)
    ours, its = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "> ", "HOME": str(tmp_path)}
    with subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    ) as shell:
        try:
            start = f'autoload -Uz compinit && compinit -u; eval "$(cat {path})"'
            os.write(ours, f"{start}; kagglekit() {{ echo GOT-$@ }}; echo REA''DY\n".encode())
            assert b"completion.zsh:" not in read_until(ours, b"READY\r\n")
            for typed, completed in [
                ("le", "leaderboard"),
                ("train --model gru,bc", "train --model gru,bcresnet"),
                ("train --recipe ast_1", "train --recipe ast_12"),
                ("cv --prior e", "cv --prior estimated"),
            ]:
                os.write(ours, f"kagglekit {typed}\t\n".encode())
                read_until(ours, f"GOT-{completed}\r\n".encode())
        finally:
            shell.kill()
    os.close(ours)
    os.close(its)


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["completion", "dash"])
    assert caught.value.code == 2 and "invalid choice: 'dash'" in capsys.readouterr().err
