"""The command line itself: options, help, how failures are shown, exit codes."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support import tiny

from kagglekit import __version__
from kagglekit.cli import VERBS, main, make_parser
from kagglekit.errors import KagglekitError

HEAVY = ("torch", "transformers", "datasets", "optuna", "kaggle", "polars", "pydantic", "rich", "pyarrow")
every_verb = pytest.mark.parametrize("verb", list(VERBS))


class Verb:
    """Stands in for `leaderboard`: keeps what it was called with, and fails if told to."""

    def __init__(self) -> None:
        self.args = argparse.Namespace()
        self.error: BaseException | None = None

    def __call__(self, args: argparse.Namespace) -> None:
        self.args = args
        if self.error is not None:
            raise self.error


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Verb:
    made = Verb()
    monkeypatch.setattr("kagglekit.commands.leaderboard.run", made)
    return made


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )


def test_the_parser_of_all_verbs_is_light(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from kagglekit.cli import make_parser\n"
        "make_parser().format_help()\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert python(code, tmp_path).stdout == "[]\n"


@every_verb
def test_help_shows_the_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    module = import_module(f"kagglekit.commands.{verb}")
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert module.EXAMPLE in shown
    assert f"$ kagglekit {verb}" in module.EXAMPLE
    assert "--traceback" in shown


def test_top_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(f"    {name} " in shown and summary in shown for name, summary in VERBS.items())


def test_module_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kagglekit", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"kagglekit {__version__}\n"


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        (["-C", "a.yaml"], "config", "a.yaml"),
        (["--config", "a.yaml"], "config", "a.yaml"),
        (["--json"], "json", True),
        (["--quiet"], "quiet", True),
        (["--traceback"], "traceback", True),
        (["--set", "train.lr=1"], "set", ["train.lr=1"]),
    ],
)
def test_common_options_before_and_after_the_verb(
    option: list[str], name: str, value: object, verb: Verb
) -> None:
    for argv in ([*option, "leaderboard"], ["leaderboard", *option]):
        verb.args = argparse.Namespace()
        assert main(argv) == 0
        assert getattr(verb.args, name) == value


def test_absent_options_have_defaults(verb: Verb) -> None:
    assert main(["leaderboard"]) == 0
    args = verb.args
    assert (args.config, args.json, args.quiet, args.traceback, args.set) == (None, False, False, False, [])


def test_the_config_after_the_verb_is_stronger(verb: Verb) -> None:
    main(["-C", "a.yaml", "leaderboard", "-C", "b.yaml"])
    assert verb.args.config == "b.yaml"


def test_every_set_counts_in_order(verb: Verb) -> None:
    main(["--set", "a=1", "--set", "b=2", "leaderboard", "--set", "a=3", "--set", "c=4"])
    assert verb.args.set == ["a=1", "b=2", "a=3", "c=4"]


def test_one_call_does_not_leak_into_the_next(verb: Verb) -> None:
    main(["--set", "a=1", "leaderboard", "--set", "b=2"])
    main(["leaderboard"])
    assert verb.args.set == []


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (KagglekitError("no cake", hint="bake one"), 1, "error: no cake\nhint:  bake one\n"),
        (KagglekitError("no cake"), 1, "error: no cake\n"),
        (
            KeyboardInterrupt(),
            130,
            "stopped\nhint:  nothing is lost: the same command goes on from here\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/x"),
            1,
            "error: Permission denied: /data/x\nhint:  check the path and its permissions\n",
        ),
        (
            MemoryError(),
            1,
            "error: out of memory\nhint:  close other programs, or set train.batch_size lower\n",
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            "error: unexpected ZeroDivisionError: by zero\n"
            "hint:  run again with --traceback and report what it shows\n",
        ),
    ],
    ids=["error", "no-hint", "ctrl-c", "permission", "memory", "bug"],
)
def test_failures(
    error: BaseException, code: int, shown: str, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.error = error
    assert main(["leaderboard"]) == code
    assert tuple(capsys.readouterr()) == ("", shown)


def test_quiet_still_says_why_it_failed(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb.error = KagglekitError("no cake", hint="bake one")
    assert main(["--quiet", "leaderboard"]) == 1
    assert capsys.readouterr().err == "error: no cake\nhint:  bake one\n"


def test_traceback_shows_where_but_no_password(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    verb.error = KagglekitError("no way to postgresql://me:p@ss/word@host/db")
    assert main(["--traceback", "leaderboard"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("kagglekit.errors.KagglekitError: no way to postgresql://me:***@host/db\n")


class PanicException(BaseException):
    """As polars' own, which is no Exception."""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (PanicException("at the disco"), "error: unexpected PanicException: at the disco\n"),
        (RuntimeError("can't start new thread"), "error: the system allows no more threads or processes\n"),
        (
            BlockingIOError(errno.EAGAIN, "Resource"),
            "error: the system allows no more threads or processes\n",
        ),
    ],
)
def test_what_is_no_exception_or_comes_from_the_system(
    error: BaseException, shown: str, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.error = error
    assert main(["leaderboard"]) == 1
    assert capsys.readouterr().err.startswith(shown)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "the following arguments are required: VERB"),
        (["bake"], "invalid choice: 'bake'"),
        (["leaderboard", "--cake"], "unrecognized arguments: --cake"),
        (["train"], "one of the arguments --model --recipe --list is required"),
        (["train", "--model", ","], "argument --model: names nothing"),
        (["run", "--time-limit", "soon"], "'soon' is not a duration; write 90s, 30m or 2h"),
        (["run", "--time-limit", "-5m"], "argument --time-limit"),
        (["tune", "--model", "gru", "--trials", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_usage(argv: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert why in err and out == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("0.5", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert make_parser().parse_args(["run", "--time-limit", text]).time_limit == seconds


def test_models_are_split_at_commas() -> None:
    assert make_parser().parse_args(["train", "--model", " gru, lstm,"]).model == ["gru", "lstm"]


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    yaml = tmp_path / "competition.yaml"
    yaml.write_text("competition: {slug: any}\nlabels: {targets: [yes, no]}\n")
    command = [sys.executable, "-m", "kagglekit", "leaderboard", "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()  # as `| head -0` does
        assert child.stderr.read() == b""
    assert child.returncode == 1


def test_a_deleted_folder(tmp_path: Path, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deleted"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    assert main(["leaderboard"]) == 1
    os.chdir(tmp_path)
    assert capsys.readouterr().err == (
        "error: the current folder has been deleted\nhint:  go to another one: cd\n"
    )


def test_hints_name_the_options_of_the_call_where_their_verbs_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-C", "none.yaml", "--set", "jobs=1", "prepare"]) == 1
    assert "draft it with kagglekit init, go to its folder" in capsys.readouterr().err
    yaml = tiny.make(tmp_path / "tiny")
    assert main(["-C", str(yaml), "--set", "jobs=1", "prepare"]) == 1
    assert f"kagglekit -C {yaml} --set jobs=1 fetch" in capsys.readouterr().err
