"""YAML 1.2 without aliases and duplicate keys, each refusal with its line; and written."""

from __future__ import annotations

from pathlib import Path

import pytest

from kagglekit.config.load import load_config
from kagglekit.config.yaml_file import MAX_BYTES, dump, parse, read_yaml
from kagglekit.errors import ConfigError


def test_the_core_schema_of_yaml_12() -> None:
    text = "[yes, no, on, off, y, Yes, true, False, 3e-4, 1E-2, .5, 012, 1:30, 2026-11-28, null]"
    words = ["yes", "no", "on", "off", "y", "Yes"]
    assert parse(text)[1] == [*words, True, False, 3e-4, 1e-2, 0.5, 12, "1:30", "2026-11-28", None]
    assert parse("# nothing")[1] is None


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\ntrain:\n  lr: 1\n  lr: 2\n", "competition.yaml:4", "duplicate key 'lr' (first on line 3)"),
        ("a: 1\nb: 2\na: 3\n", "competition.yaml:3", "duplicate key 'a' (first on line 1)"),
        ("? [a, b]\n: 1\n", "competition.yaml:1", "a key must be a word"),
        ("a: &x [1]\nb: *x\n", "competition.yaml:2", "aliases (*name) are not supported"),
        ("a: [1,\n", "competition.yaml:2", "is not YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "competition.yaml:1", "is not YAML"),
        ("a: " + "[" * 5000, "competition.yaml", "is not YAML"),
        ("b: 1\na: !!bool x\n", "competition.yaml:2", "'x' is no bool"),
        ("a: !!int ''\n", "competition.yaml:1", "'' is no int"),
        ("a: !!map [x]\n", "competition.yaml:1", "expected a mapping node"),
        ("a: " + "9" * 5000, "competition.yaml:1", "9' is no int"),
        ("a: !!binary aGFsbG8=\n", "competition.yaml:1", "the tag !!binary is not supported"),
        ("a: !mine x\n", "competition.yaml:1", "the tag !mine is not supported"),
        ('a: "x\\0"\n', "competition.yaml:1", "the character U+0000 is not supported"),
        ('a: "\\ud800"\n', "competition.yaml:1", "the character U+D800 is not supported"),
        ("a: " + "[" * 3000 + "]" * 3000, "competition.yaml", "it is nested too deeply"),
        ("- a\n- b\n", "competition.yaml", "contains a list, not sections"),
    ],
)
def test_not_yaml_that_we_take(text: str, where: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "competition.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/{where}") and what in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no absent\.yaml") as caught:
        read_yaml(Path("absent.yaml"))
    assert "-C FILE" in str(caught.value.hint)
    (tmp_path / "wave.yaml").write_bytes(b"\xff\xfe\x00RIFF")
    with pytest.raises(ConfigError, match=r"wave\.yaml is UTF-16 or UTF-32, not UTF-8"):
        read_yaml(tmp_path / "wave.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="has more than"):
        read_yaml(Path("/dev/zero"))
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="has more than 1,000,000 bytes"):
        read_yaml(tmp_path / "big.yaml")


def test_what_is_dumped_is_read_back() -> None:
    settings = {
        "labels": {"targets": ["yes", "on", "012", "2020-01-01", "1e5", "größe", "a: b"]},
        "train": {"lr": 3e-4, "tta_ms": [], "only": None, "bf16": True},
    }
    text = dump(settings)
    assert parse(text)[1] == settings
    assert text.startswith("labels:\n  targets:\n")  # keys keep their order, one setting a line


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a:\n\tb: 1\n", "spaces instead of the tab"),
        ("a:\n  b: 1\n\u00a0 c: 1: 2\n", "a plain space"),
        ("a:\n  b:\u00a01\n  c: 2\n", "a plain space"),
        ("a: b\u200bc\n", "a plain space"),
        ("a: \u201eb\u201c\n", "straight quotes"),
        ('a: "^\\w+_"\n', "single quotes"),
        ("a: train: x\n", "in quotes"),
    ],
)
def test_what_editors_leave(text: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is not YAML") as caught:
        read_yaml(tmp_path / "competition.yaml")
    assert remedy in str(caught.value.hint)


def test_words_letter_by_letter(tmp_path: Path) -> None:
    text = "competition: {slug: 007}\nlabels:\n  classes: [null, 1e3, 0x1F, true, ~, 2024-01-01, '1e3 ']\n  filler: 12\n"
    text += "data: {train: {files: x/*.wav}, test: {files: y/*.wav}}\n"
    (tmp_path / "competition.yaml").write_text(text)
    config = load_config(tmp_path / "competition.yaml")
    assert config.competition.slug == "007" and config.labels.filler == "12" and config.labels.silence is None
    assert config.labels.classes == ("null", "1e3", "0x1F", "true", "~", "2024-01-01", "1e3 ")
    config = load_config(tmp_path / "competition.yaml", ["labels.classes=[08, 1.0]", "labels.filler=null"])
    assert config.labels.classes == ("08", "1.0") and config.labels.filler is None


def test_another_text_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    text = "competition: {slug: a}\nlabels: {classes: [a, b]}\nsubmission: {id: 007}\n"
    text += "data: {train: {files: x/*.wav}, test: {files: y/*.wav}}\n"
    (tmp_path / "competition.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"must be text, not 007; write '007' in quotes"):
        load_config(tmp_path / "competition.yaml")
