"""The real archives through the command line, and the host's grade by hand."""

from __future__ import annotations

import csv
import io
import json
import wave
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pytest

from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.files import archive
from kagglekit.hosts import open_host

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared_yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML of benchmarks/, with a workspace elsewhere."""
    root = Path(__file__).resolve().parents[2]
    data = root.parent / "shared/data/speech-mini"
    if not (data / "train.7z").is_file():
        pytest.skip("../shared/data/speech-mini is missing")
    text = (
        (root / "benchmarks/speech_mini.yaml").read_text().replace("../../shared/data/speech-mini", str(data))
    )
    yaml = tmp_path_factory.mktemp("speech") / "competition.yaml"
    yaml.write_text(text)
    for verb in ("fetch", "prepare"):
        assert main(["--quiet", "-C", str(yaml), verb]) == 0
    return yaml


def samples(archive_path: Path, wanted: set[str]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int16]]]:
    """Members of an archive, decoded by the standard library and padded to a second."""
    found = {}

    def take(member: archive.Member, content: bytes) -> None:
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            read = np.frombuffer(file.readframes(file.getnframes()), "<i2")[:16_000]
        found[member.name] = np.pad(read, (0, 16_000 - len(read)))

    archive.stream(archive_path, take, lambda members: wanted)
    return found


def test_counts(shared_yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "--json", "-C", str(shared_yaml), "prepare"]) == 0
    counts = json.loads(capsys.readouterr().out)["clips"]
    assert (counts["train"], counts["test"]) == (6146, 3575)
    (train,) = shared_yaml.parent.glob(".kagglekit/audio/train-*/noise")
    assert len(datasets.load_from_disk(str(train))) == 6


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_store_is_what_the_wavs_say(split: str, shared_yaml: Path) -> None:
    (folder,) = shared_yaml.parent.glob(f".kagglekit/audio/{split}-*/")
    store = datasets.load_from_disk(str(folder / "store")).with_format("numpy")
    facts = pl.read_parquet(folder / "facts.parquet").gather_every(97)
    shorter = pl.read_parquet(folder / "facts.parquet").filter(pl.col("samples") < 16_000)[:20]
    facts = pl.concat([facts, shorter])
    expected = samples(shared_yaml.parent / f".kagglekit/raw/{split}.7z", set(facts["path"]))
    assert len(expected) >= 36 and len(shorter) > 0
    for row, clip_id, path in facts.select("row", "clip_id", "path").iter_rows():
        assert store[row]["clip_id"] == clip_id
        assert np.array_equal(store[row]["audio"], expected[path])


def test_the_sample_scores_what_the_solution_says(shared_yaml: Path, tmp_path: Path) -> None:
    config = load_config(shared_yaml)
    assert config.competition.local is not None
    with config.competition.local.solution.open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    found: list[bytes] = []
    raw = config.workspace / "raw/sample_submission.7z"
    archive.stream(raw, lambda member, data: found.append(data))
    (tmp_path / "sample.csv").write_bytes(found[0])
    host = open_host(config, tmp_path)
    state = host.submission(host.submit(tmp_path / "sample.csv", "all silence"))
    while state.status == "PENDING":
        state = host.submission(state.ref)
    assert len(labels) == 1072
    assert state.public == round(labels.count("silence") / 1072, 5)
    assert state.private is None
