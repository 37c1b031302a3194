"""Labels, folders and terminals that names do not go well with."""

from __future__ import annotations

import json
import shlex

from support.field_case import FieldCase

WORDS = ["[noise]", "[/music]", "AC/DC", "<unk>", "a, b", "🐶 bark"]


def test_brackets_slashes_emoji(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("word") == dict.fromkeys(WORDS, 8)
    case.up_to_a_score()
    case.good("train", "--model", "gru", "--set", "train.epochs=2")
    case.good("-C", "weak.yaml", "train", "--model", "tcresnet", "--set", "train.epochs=4")
    for columns in (60, 80, 100, 120, 200):
        for command in (["cv"], ["ensemble"], ["-C", "weak.yaml", "cv"]):
            case.good(*command, columns=columns)
    assert "&lt;unk&gt;" in _report(case)


def _report(case: FieldCase) -> str:
    case.good("report")
    return (case.folder / "report.html").read_text(encoding="utf-8")


VERBS = (["fetch"], ["prepare", "--list"], ["cv"], ["ensemble"], ["leaderboard"])


def test_terminal_of_ascii(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    case.up_to_a_score()
    for encoding in ("ascii", "latin-1", "cp1252"):
        for command in VERBS if encoding == "ascii" else (["cv"],):
            case.good(*command, encoding=encoding)
            case.good(*command, columns=80, encoding=encoding)
            plain, utf8 = (case.good("--json", *command, encoding=one).out for one in (encoding, "utf-8"))
            assert json.loads(plain) == json.loads(utf8)
    submitted = case.good("submit", "--ensemble", "tcresnet", "--force", encoding="ascii").out
    assert "gr\\xf6\\xdfe" in submitted
    case.good("report", encoding="ascii")
    assert "日本" in set(case.submitted().values())
    streams = {"PYTHONIOENCODING": "", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    assert case.apart("cv", env=streams, encoding="ascii").code == 0


def test_odd_folder(case: FieldCase) -> None:
    odd = case.inside("Käse & Söhne [alt] 100% #1 'x'/2. Versuch")
    top = case.folder
    yaml = str(odd.folder.relative_to(top) / "competition.yaml")
    storage = f"search.storage=sqlite:///{odd.folder}/study.db"
    for verb in (
        ["fetch"],
        ["prepare", "--list"],
        ["train", "--model", "tcresnet"],
        ["tune", "--model", "tcresnet", "--no-train", "--trials", "1", "--set", storage],
        ["tune", "--model", "tcresnet", "--no-train", "--trials", "1", "--set", storage],
        ["cv"],
        ["submit", "--ensemble", "tcresnet", "--upload", "--yes"],
        ["leaderboard"],
        ["report"],
    ):
        done = case.good("-C", yaml, *verb)
        for line in done.out.splitlines():
            if line.startswith("next: "):
                words = shlex.split(line.removeprefix("next: "))
                assert words[:3] == ["kagglekit", "-C", yaml] or verb == ["report"], line
    assert (odd.folder / "study.db").is_file() and odd.public_score is not None
    for name, targets in (("birds1", {"low", "mid"}), ("birds[1]", {"high", "other"})):
        part = case.inside(name)
        part.good("fetch")
        part.good("prepare")
        assert set(part.counts("label")) == targets | {"unknown"}
        part.good("train", "--model", "tcresnet", "--set", "train.epochs=2")
