"""Each shipped competition.yaml, on a replica of its competition, from fetch to a graded submission."""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import soundfile as sf
import torch
from support.replicas import MAKERS, make_replica

from kagglekit import competitions
from kagglekit.cli import main
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.config.names import METRICS
from kagglekit.files import archive
from kagglekit.files.patterns import AUDIO_SUFFIXES
from kagglekit.submission.ledger import Ledger

MISSING: dict[str, str] = {}
"""Name -> what kagglekit still lacks for it."""
AUDIO = {
    **dict.fromkeys(("whale-2013", "whale-redux-2013"), ("AIFF", 2_000)),
    **dict.fromkeys(("mlsp-2013-birds", "speech-commands-2017", "indic-tts-2025"), ("WAV", 16_000)),
    **dict.fromkeys(
        ("icml-2013-birds", "nips-2013-birds", "freesound-2018", "freesound-2019"), ("WAV", 44_100)
    ),
    "birdsong-2020": ("MP3", 32_000),
    "rfcx-2021": ("FLAC", 48_000),
    **{f"birdclef-{year}": ("OGG", 32_000) for year in range(2021, 2027)},
    "music-genres-2022": ("OGG", 22_050),
}
"""Format and sample rate in Hz of a competition's recordings."""
SHORT = {"freesound-2019": 5, "birdsong-2020": 3, **{f"birdclef-{year}": 3 for year in range(2021, 2027)}}
"""Rows of the sample submission of a notebook competition."""

Replica = Callable[[str], Path]


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Replica:
    """The competition.yaml of a replica, made once."""
    return functools.cache(lambda name: make_replica(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small take twice as long on two cores, which wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def missing(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=True, reason=MISSING[name])] if name in MISSING else []


def recordings(host: Path) -> Iterator[bytes]:
    """Loose recordings, members of archives, and cells of Parquet tables."""
    for path in sorted(host.rglob("*")):
        if path.suffix in (".7z", ".zip", ".gz"):
            found: list[bytes] = []
            archive.stream(path, lambda _, data, found=found: found.append(data), audio_members)
            yield from found
        elif path.suffix == ".parquet":
            yield from (cell["bytes"] for cell in pl.read_parquet(path)["audio"])
        elif path.suffix.lower() in AUDIO_SUFFIXES:
            yield path.read_bytes()


def audio_members(members: list[archive.Member]) -> list[str]:
    return [member.name for member in members if Path(member.name).suffix in AUDIO_SUFFIXES]


def test_each_shipped_competition_has_a_replica() -> None:
    assert set(MAKERS) == set(competitions.names())


@pytest.mark.parametrize("name", MAKERS)
def test_a_replica_has_the_formats_and_the_sample_of_its_competition(name: str, replica: Replica) -> None:
    folder = replica(name).parent
    kind, rate = AUDIO[name]
    infos = []
    for data in recordings(folder / "host"):
        if len(data) > 100:  # one song of the genres cannot be decoded
            infos.append(sf.info(io.BytesIO(data)))
    assert {(info.format, info.samplerate, info.channels) for info in infos} == {(kind, rate, 1)}
    assert len({info.frames for info in infos}) > 1 or name in ("whale-2013", "mlsp-2013-birds", "rfcx-2021")
    solution = pl.read_csv(folder / "solution.csv", infer_schema=False)
    assert {"Public", "Private"} <= set(solution["Usage"])
    samples = [path for path in (folder / "host").glob("*.csv") if "sample" in path.name.lower()]
    if name in SHORT:
        sample = pl.read_csv(samples[0], infer_schema=False)
        assert sample.columns == solution.columns[:-1] and len(sample) == SHORT[name] < len(solution)


@pytest.mark.parametrize("name", [pytest.param(name, marks=missing(name)) for name in MAKERS])
def test_from_fetch_to_a_graded_submission(
    name: str, replica: Replica, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = replica(name)
    log = Ledger(yaml.parent / "submissions" / "leaderboard.jsonl")

    def run(command: str) -> None:
        code = main(["--quiet", "-C", str(yaml), *command.split()])
        shown = capsys.readouterr()
        assert code == 0, f"kagglekit {command}: {shown.err}"

    for command in ("fetch", "prepare", "train --model tcresnet", "submit --upload --yes"):
        run(command)
    config, (entry,) = load_config(yaml), log.entries()
    run(f"submit --file {answers(config, yaml.parent, entry.csv)} --upload --yes")
    *_, best = log.entries()
    metric = METRICS[config.competition.metric]
    assert entry.status == best.status == "COMPLETE"
    assert best.public == metric.high and entry.public is not None and math.isfinite(entry.public)
    assert metric.low is None or metric.low <= entry.public <= best.public


def test_auxiliary_classes_are_learnt_and_not_submitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = make_replica("birdclef-2022", tmp_path)  # five birds sing in the training data, three are scored
    settings = ["--set", "labels.auxiliary=from_labels", "--set", "train.epochs=1"]
    for command in ("fetch", "train --model tcresnet", "submit --upload --yes"):
        code = main(["--quiet", "-C", str(yaml), *settings, *command.split()])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        assert "outside labels.classes" not in shown.out + shown.err
    run = next(yaml.parent.glob(".kagglekit/runs/tcresnet/*/metrics.json")).parent
    scored, learnt = ["akekee", "akepa1", "akiapo"], ["afrsil1", "apapan"]
    meta = json.loads((run / "fold_0" / "meta.json").read_text())
    assert meta["classes"] == scored and meta["outputs"] == scored + learnt
    assert json.loads((run / "metrics.json").read_text())["classes"] == scored
    (entry,) = Ledger(yaml.parent / "submissions" / "leaderboard.jsonl").entries()
    assert entry.status == "COMPLETE"
    ids = pl.read_csv(yaml.parent / "submissions" / entry.csv)["row_id"]
    assert not ids.str.contains_any(learnt).any()


def answers(config: Config, folder: Path, like: str) -> Path:
    """Write the solution as a submission, in the order of one that kagglekit wrote."""
    solution = pl.read_csv(folder / "solution.csv", infer_schema=False).drop("Usage")
    written = pl.read_csv(folder / "submissions" / like, infer_schema=False)
    ids = [name for name in (config.submission.id, config.submission.class_column) if name]
    path = folder / "answers.csv"
    written.select(ids).join(solution, on=ids, maintain_order="left").write_csv(path)
    return path
