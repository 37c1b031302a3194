"""The site's pages: what they show runs, what they quote is in the code, and all hang together."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import types
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from optuna.trial import FixedTrial
from support import scenes, tiny

from kagglekit import hosts, models
from kagglekit.cli import main
from kagglekit.config.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
KAGGLEKIT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("kagglekit/**/*.py")))
MKDOCS = read_yaml(ROOT / "mkdocs.yml")[1]
ONE_EPOCH = ["--set", "train.epochs=1", "--set", "jobs=1"]


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language on a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def done(*argv: str) -> None:
    assert main(argv) == 0, f"kagglekit {' '.join(argv)}"


def registry_line(line: str, names: dict[str, object]) -> dict[str, object]:
    """`"name": value,` as it stands on a page, to a dict."""
    return dict(eval("{" + line + "}", names))


def module(name: str, source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of this name, made of a page's block."""
    path = folder / f"{name.rpartition('.')[2]}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, made)
    spec.loader.exec_module(made)
    return made


# --- the pages and their links ---


def pages_of(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    assert isinstance(parts, list | type({}.values()))
    return [page for part in parts for page in pages_of(part)]


def test_the_nav_has_every_page_once() -> None:
    there = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("**/*.md"))
    assert sorted(pages_of(MKDOCS["nav"])) == there


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda path: path.name)
def test_links_stay_within_the_site(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    for link in (link for link in links if "://" not in link):
        target = (page.parent / link).resolve()
        assert target.is_file() and target.is_relative_to(DOCS), link


def test_the_site_builds_without_warnings_and_loads_nothing(tmp_path: Path) -> None:
    if not find_spec("mkdocs") or not find_spec("material") or not find_spec("mkdocstrings"):
        pytest.skip("the extra 'docs' is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in tmp_path.glob("**/*.html"):
        html = page.read_text(encoding="utf-8")
        assert (
            re.findall(r'<(?:script|img|iframe)[^>]+src="https?:[^"]*|<link[^>]+href="https?:[^"]*', html)
            == []
        )
    assert 'id="kagglekit.open"' in (tmp_path / "api.html").read_text(encoding="utf-8")


# --- what the pages show ---


def song(hz: float, rng: np.random.Generator, rate: int, seconds: float) -> bytes:
    """A wav file: a burst of a tone in a little noise."""
    time = np.arange(round(rate * seconds)) / rate
    envelope = np.exp(-(((time - rng.uniform(0.6, 1.4)) / 0.2) ** 2))
    return tiny.wav_bytes(
        (9000 * envelope * np.sin(2 * np.pi * hz * time) + rng.normal(0, 60, len(time))).round(), rate
    )


def make_birds(host: Path, hz: dict[str, float], rate: int, seconds: float) -> None:
    """Archives as docs/another-competition.md describes them."""
    rng = np.random.default_rng(0)
    host.mkdir()
    train, solution, sample = ["filename,species,recordist"], ["filename,species,Usage"], ["filename,species"]
    with zipfile.ZipFile(host / "train.zip", "w") as archive:
        for index in range(72):
            bird = list(hz)[index % 3]
            archive.writestr(f"train/{index}.wav", song(hz[bird], rng, rate, seconds))
            train.append(f"{index}.wav,{bird},recordist {index // 3 % 6}")
        archive.writestr("train.csv", "\n".join(train) + "\n")
    with zipfile.ZipFile(host / "test.zip", "w") as archive:
        for index in range(12):
            bird = list(hz)[index % 3]
            archive.writestr(f"test/{index}.wav", song(hz[bird], rng, rate, seconds))
            solution.append(f"{index}.wav,{bird},{'Public' if index < 6 else 'Private'}")
            sample.append(f"{index}.wav,robin")
    (host / "solution.csv").write_text("\n".join(solution) + "\n")
    (host / "sample_submission.csv").write_text("\n".join(sample) + "\n")


def test_another_competition_needs_only_its_yaml(tmp_path: Path) -> None:
    block, _ = blocks("another-competition.md", "yaml")
    Path("competition.yaml").write_text(block, encoding="utf-8")
    make_birds(tmp_path / "host", {"blackbird": 1500, "robin": 3000, "wren": 6000}, 22050, 2.0)
    done("fetch")
    done("prepare", "--list")
    # a rate at which so few steps are enough for more than one class
    quick = ["--set", "train.batch_size=4", "--set", "train.ema=0", "--set", "train.lr=0.003"]
    done("train", "--model", "gru", *ONE_EPOCH, *quick)
    clips = pl.read_parquet(".kagglekit/clips.parquet")
    assert set(clips["samples"]) == {44100} and set(clips["label"].drop_nulls()) == {
        "blackbird",
        "robin",
        "wren",
    }
    assert clips["speaker"].n_unique() == 7  # six recordists, and null in the test
    done("submit", "--ensemble", "gru", "--upload", "--yes", "--set", "competition.local.grading_seconds=0")
    *_, line = Path("submissions/leaderboard.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"COMPLETE"' in line


def test_several_labels_a_clip_need_only_their_yaml(tmp_path: Path) -> None:
    _, block = blocks("another-competition.md", "yaml")
    scenes.make(tmp_path, clips=32, test_clips=8, rate=16_000)
    Path("competition.yaml").write_text(block, encoding="utf-8")
    done("fetch")
    done("train", "--model", "tcresnet", *ONE_EPOCH, "--set", "train.batch_size=4")
    done("cv")
    done("ensemble")
    instantly = ["--set", "competition.local.grading_seconds=0"]
    done("submit", "--ensemble", "tcresnet", "--upload", "--yes", *instantly)
    *_, line = Path("submissions/leaderboard.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"COMPLETE"' in line


def test_an_architecture_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, line = blocks("add-architecture.md", "python")
    statpool = module("kagglekit.models.statpool", source, tmp_path, monkeypatch)
    for name, info in registry_line(line, vars(models)).items():
        monkeypatch.setitem(models.MODELS, name, info)
    tried = statpool.search_space(FixedTrial({"hidden": 64, "dropout": 0.1}))
    models.configure("statpool", tried)  # a trial that it refused would only be marked as failed
    tiny.make(tmp_path)
    done("fetch")
    done("tune", "--model", "statpool", "--trials", "1", "--no-train", *ONE_EPOCH)
    done("train", "--model", "statpool", *ONE_EPOCH, "--set", "models.statpool.model.hidden=16")
    (run,) = Path(".kagglekit/runs/statpool").glob("*/oof.parquet")
    assert len(pl.read_parquet(run)) == 52  # 40 spoken clips, 12 of silence


def test_a_host_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, line = blocks("add-host.md", "python")
    (section,) = blocks("add-host.md", "yaml")
    module("kagglekit.hosts.drive", source, tmp_path, monkeypatch)
    for name, place in registry_line(line, {}).items():
        monkeypatch.setitem(hosts.HOSTS, name, str(place))
    path = tiny.make(tmp_path)
    rest = path.read_text(encoding="utf-8").partition("data:")
    path.write_text(section + "data:" + rest[2], encoding="utf-8")
    assert main(["fetch"]) == 1  # no drive
    drive = tmp_path / "drive" / "tiny"
    drive.parent.mkdir()
    (tmp_path / "host").rename(drive)
    monkeypatch.setenv("CLASS_DRIVE", str(drive.parent))
    done("fetch")
    sample = pl.read_csv(drive / "sample_submission.csv")
    mine = sample.with_columns(label=pl.Series(["low", "mid", "silence", "unknown"] * (len(sample) // 4)))
    mine.write_csv("mine.csv")
    done("submit", "--file", "mine.csv", "--upload", "--yes", "--no-wait")
    (handed_in,) = (drive / "handed_in").glob("1_*mine.csv")
    assert handed_in.read_bytes() == Path("mine.csv").read_bytes()
    (drive / "handed_in" / "1.score").write_text("0.75")
    done("leaderboard", "--sync")
    assert '"public":0.75' in Path("submissions/leaderboard.jsonl").read_text(encoding="utf-8")


def test_the_api_page_runs(tmp_path: Path) -> None:
    (block,) = blocks("api.md", "python")
    tiny.make(tmp_path)
    names: dict[str, object] = {}
    exec(block.replace('"train.epochs=1"', '"train.epochs=12", "jobs=1"'), names)
    assert Path("submissions").is_dir() and list(Path("submissions").glob("*.csv"))


# --- what the pages quote ---


def fixed_parts(message: str) -> list[str]:
    """What does not change in a message: between …, without the quotes that the code may write otherwise."""
    return [part for part in (part.strip(" '():;") for part in re.split("…|[(]", message)) if part]


ADVICE, _, _ = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").partition("<!-- messages:")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", ADVICE, re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_in_the_code(message: str) -> None:
    for part in fixed_parts(message):
        assert part in joined_code(), part


def joined_code() -> str:
    """The package's text, with strings that go on in the next line joined."""
    return re.sub(r'"\s*\n\s*f?"', "", KAGGLEKIT)


def test_messages_are_found() -> None:
    assert len(MESSAGES) > 35 and "not uploaded" in MESSAGES
    assert fixed_parts("the loss is … (gradient norm …): no") == ["the loss is", "gradient norm", "no"]


def test_no_page_or_result_names_a_folder_of_the_machine_that_wrote_it() -> None:
    """What commands printed is kept under docs/: their paths are cut first."""
    kept = [path for path in DOCS.rglob("*") if path.suffix in (".md", ".txt", ".json", ".jsonl")]
    named = [
        path.name for path in kept if re.search(r"(?<![\w.])/(work|root|tmp/pytest)", path.read_text("utf-8"))
    ]
    assert kept and not named
