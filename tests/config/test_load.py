"""What competition.yaml says is what the Config holds, and every problem is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.places import SHARED
from support.tiny import YAML, make

from kagglekit.config import Config, base
from kagglekit.config.load import load_config
from kagglekit.demo.competition import demo_yaml
from kagglekit.errors import ConfigError
from kagglekit.hosts import HOSTS

ROOT = Path(__file__).resolve().parents[2]
LEAST = "competition: {slug: tiny}\nlabels: {targets: [a, b]}\n"


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "competition.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)


def problem(folder: Path, text: str, *overrides: str) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    assert caught.value.hint
    return [line.strip() for line in str(caught.value).replace(f"{folder}/", "").splitlines()]


def test_a_section_without_content_has_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("competition: {slug: a}\nlabels: {targets: [b]}\ntrain:\n#  epochs: 3\nsearch:\n")
    config = load_config(path, ["train.epochs=2"])
    assert (config.train.epochs, config.search.trials) == (2, 30)


def test_tiny_is_read(tmp_path: Path) -> None:
    config = load_config(make(tmp_path))
    assert config.labels.all_classes == ("low", "mid", "silence", "unknown")
    assert (config.audio.samples, config.train.lr, config.search.epochs) == (4000, 0.01, 2)
    assert config.models["gru"].model == {"hidden": 16, "layers": 1}
    assert config.data.noise == "train.zip/train/audio/_background_noise_/*.wav"  # a default


def test_a_host_is_one_of_the_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(tmp_path, LEAST, "competition.host=kagle")[1:] == [
        "--set competition.host: there is no host 'kagle'; did you mean 'kaggle'?"
    ]
    monkeypatch.setitem(HOSTS, "drive", "kagglekit.hosts.drive")
    assert load(tmp_path, LEAST, "competition.host=drive").competition.host == "drive"


def test_default_name_is_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text(LEAST)  # conftest goes there
    assert load_config().competition.slug == "tiny"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    config = load(tmp_path / "deep", YAML)
    assert config.competition.local is not None
    assert config.competition.local.files == tmp_path / "deep" / "host"
    assert config.workspace == tmp_path / "deep" / ".kagglekit"
    assert load(tmp_path, LEAST + "workspace: /elsewhere/w\n").workspace == Path("/elsewhere/w")


def test_what_a_mounted_yaml_writes_goes_to_the_notebooks_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WORKING", tmp_path / "working")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert load(tmp_path, LEAST).workspace == tmp_path / ".kagglekit"  # no Kaggle notebook
    (tmp_path / "working").mkdir()
    config = load(tmp_path, LEAST + "workspace: deep/w\n")
    assert config.workspace == tmp_path / "working/deep/w"
    assert config.submissions == tmp_path / "working/submissions"
    assert load(tmp_path, LEAST + "workspace: /elsewhere/w\n").workspace == Path("/elsewhere/w")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    assert load(tmp_path, LEAST).workspace == tmp_path / ".kagglekit"


def test_all_problems_at_once_with_line_path_and_close_match(tmp_path: Path) -> None:
    text = (
        "competition: {slug: tiny}\n"
        "labels:\n"
        "  targets: [a, b]\n"
        "  silnce: quiet\n"
        "train:\n"
        "  epoch: 3\n"
        "  lr: fast\n"
        "  augment: {shift_ms: -1}\n"
        "validation: {folds: 2, prior: {c: 0.5}}\n"
        "models:\n"
        "  tcrestnet: {}\n"
    )
    first, *rest = problem(tmp_path, text)
    assert first == f"{len(rest)} problems in competition.yaml:"
    assert "competition.yaml:4 labels.silnce: unknown key; did you mean 'silence'?" in rest
    assert "competition.yaml:6 train.epoch: unknown key; did you mean 'epochs'?" in rest
    assert any(r.startswith("competition.yaml:7 train.lr: ") and r.endswith("not 'fast'") for r in rest)
    assert any(r.startswith("competition.yaml:8 train.augment.shift_ms: ") for r in rest)
    assert (
        "competition.yaml:11 models.tcrestnet: there is no model 'tcrestnet'; did you mean 'tcresnet'?"
        in rest
    )
    assert len(rest) == 5  # the prior's class is not judged while the classes are in doubt


def test_problems_between_sections_are_reported_beside_the_others(tmp_path: Path) -> None:
    lines = problem(tmp_path, LEAST + "validation: {prior: {unkown: 0.5}}\ntrain: {epochs: 0}\n")
    assert lines[0] == "2 problems in competition.yaml:"
    assert any("train.epochs" in line and line.endswith("not 0") for line in lines)
    assert any("'unkown', which is not a class; did you mean 'unknown'?" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("competition: {slug: tiny}\n", "competition.yaml:1 labels: required"),
        (LEAST + "features: {fmin: 300, fmax: 200}\n", "fmin 300 Hz is not below fmax 200 Hz"),
        (LEAST.replace("a, b", "a, a"), "duplicate labels: a"),
        (LEAST + "validation: {prior: {a: 0.6, b: 0.6}}\n", "the prior adds up to 1.2, more than 1"),
        (LEAST + "data: {speaker_pattern: '^abc'}\n", "requires a group"),
        (LEAST + "data: {noise_clips: null}\n", "labels.silence requires data.noise"),
        (LEAST.replace("tiny", "tiny, host: local"), "host local requires a 'local' section"),
        (LEAST + "train: {lr: .nan}\n", "train.lr"),
        (LEAST + f"audio: {{sample_rate: {10**400}}}\n", "audio.sample_rate"),
        (LEAST + "features: {window_ms: 1e300}\naudio: {sample_rate: 96000}\n", "features.window_ms"),
        (LEAST + "rows: {id: '{name:99999999999}'}\n", "the width '99999999999' is more than 99"),
        (LEAST + "rows: {id: '{name:{number}}'}\n", "the width '{number}' is more than 99"),
        (LEAST + "train: {lr: 1e999}\n", "train.lr"),
    ],
)
def test_one_problem(text: str, message: str, tmp_path: Path) -> None:
    lines = problem(tmp_path, text)
    assert lines[0] == "competition.yaml has a problem:"
    assert len(lines) == 2 and message in lines[1]


def test_many_problems_fit_a_screen(tmp_path: Path) -> None:
    keys = f"{'x' * 1000}: 1\n" + "".join(f"unknown_{n}: {n}\n" for n in range(3000))
    lines = problem(tmp_path, YAML + keys)
    assert lines[0] == "3,001 problems in competition.yaml:" and lines[-1] == "and 2,981 more"
    assert len(lines) == 22 and all(len(line) < 500 for line in lines)
    long = problem(tmp_path, YAML + f"network: {'x' * 10_000}\n")
    assert "(10,002 characters)" in long[1] and len(long[1]) < 500


def test_the_home_of_nobody(tmp_path: Path) -> None:
    assert (
        "'~nobody-there/x' begins with the home of a user"
        in problem(tmp_path, YAML, "workspace=~nobody-there/x")[1]
    )


def test_set(tmp_path: Path) -> None:
    config = load(
        tmp_path, YAML, "train.lr=3e-4", "labels.targets=[yes, no]", "validation.prior={}", "train.lr=4e-4"
    )
    assert (config.train.lr, config.labels.targets) == (4e-4, ("yes", "no"))  # the last one counts
    assert config.train.epochs == 12  # what it does not name stays
    assert config.validation.prior == {}
    assert load(tmp_path, LEAST, "search.trials=7").search.trials == 7  # a section that the file lacks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.lr", "--set train.lr: not of the form a.b=value"),
        ("train..lr=1", "not of the form a.b=value"),
        ("train.lr=[1", "the value is not YAML"),
        ("train.lr.x=1", "'lr' is a value, not a section"),
        ("train.lr=*x", "the value is not YAML"),
    ],
)
def test_set_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    assert message in problem(tmp_path, YAML, text)[0]


def test_problems_of_set_say_so(tmp_path: Path) -> None:
    lines = problem(tmp_path, YAML, "train.epoch=3", "validation.folds=1")
    assert "--set train.epoch: unknown key; did you mean 'epochs'?" in lines
    assert any(line.startswith("--set validation.folds: ") and line.endswith("not 1") for line in lines)
    assert lines[0] == "2 problems in the command line:"
    assert problem(tmp_path, YAML, "train.epoch=3")[0] == "the command line has a problem:"
    mixed = problem(tmp_path, YAML + "research: {}\n", "train.epoch=3")
    assert mixed[0] == "2 problems in competition.yaml:"


def test_sections_are_frozen_and_maps_merge(tmp_path: Path) -> None:
    config = load(tmp_path, YAML)
    with pytest.raises(ValueError, match="frozen"):
        config.train.lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["competition.yaml", "benchmarks/speech_mini.yaml"])
def test_shipped_files_load(name: str) -> None:
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"{name} is missing")
    config = load_config(path)
    targets = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
    assert config.labels.all_classes == (*targets, "silence", "unknown")
    if config.competition.local is not None:
        assert config.competition.local.files.resolve() == (SHARED / "data" / "speech-mini").resolve()


def test_the_demo_loads(tmp_path: Path) -> None:
    config = load(tmp_path, demo_yaml("host"))
    assert config.competition.local is not None
    assert config.competition.local.files == tmp_path / "host"
    assert len(config.labels.classes) >= 4


def test_a_checkpoint_is_a_folder_beside_the_file_or_a_hub_name(tmp_path: Path) -> None:
    (tmp_path / "deep" / "mine").mkdir(parents=True)
    text = (
        LEAST + "models: {ast: {checkpoint: ./mine}, wav2vec2: {checkpoint: facebook/wav2vec2-base}, gru: {}}"
    )
    sections = load(tmp_path / "deep", text).models
    assert sections["ast"].checkpoint == str(tmp_path / "deep" / "mine")
    assert (sections["wav2vec2"].checkpoint, sections["gru"].checkpoint) == ("facebook/wav2vec2-base", None)


def test_a_hash_begins_no_comment_in_an_override(tmp_path: Path) -> None:
    storage = "sqlite:////data/100% #1 [old]/study.db"
    config = load(tmp_path, LEAST, f"search.storage={storage}", "train.epochs=3 # few")
    assert (config.search.storage, config.train.epochs) == (storage, 3)


def test_a_path_that_no_system_takes() -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_config(Path("a\0b.yaml"))
    assert caught.value.hint


def test_a_network_of_a_family_has_a_section(tmp_path: Path) -> None:
    models = load(tmp_path, LEAST + "models:\n  timm:resnet18: {model: {head: sed}}\n").models
    assert models["timm:resnet18"].model == {"head": "sed"}
    with pytest.raises(ConfigError, match=r"models.timm:ResNet: there is no model 'timm:ResNet'"):
        load(tmp_path, LEAST + "models: {timm:ResNet: {}}\n")
