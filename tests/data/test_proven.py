"""Where a header is wrong about a length, decoding proves it, and the decoded length is used from then on."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.dataset import dataset
from support.sounds import encode, tone

from kagglekit.data.prepare import prepare
from kagglekit.data.proven import Proof, false_lengths, prove
from kagglekit.files.workspace import Workspace

RATE = 16_000


def longer(data: bytes, frames: int) -> bytes:
    """An Ogg file whose last page says that it ends at so many frames; its checksum is made anew."""
    at = data.rindex(b"OggS")
    last = (
        data[at : at + 6] + struct.pack("<q", frames) + data[at + 14 : at + 22] + bytes(4) + data[at + 26 :]
    )
    value = 0
    for byte in last:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return data[:at] + last[:22] + struct.pack("<I", value) + last[26:]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    files = {f"train/{c}{n}/{n}.ogg": encode(tone(RATE, 1.0, 300 + 50 * n), RATE, "OGG") for c, n in
             (("a", 1), ("a", 2), ("b", 3), ("b", 4))}  # fmt: skip
    files["train/b4/4.ogg"] = longer(files["train/b4/4.ogg"], 5 * RATE)
    files |= {"test/t0.wav": encode(np.stack([tone(RATE), -tone(RATE)], 1), RATE)}
    train = {"files": "train/*/*.ogg", "label": {"name": "(.)"}}
    audio = {"sample_rate": RATE, "seconds": 1.0, "store": "source", "longer": "windows"}
    return dataset(tmp_path, files, train, audio=audio, features={"fmax": 7000})


def folders(workspace: Workspace) -> list[Path]:
    return [workspace.audio_folder(split, key) for split, key in prepare(workspace).keys.items()]


def samples(clips: pl.DataFrame) -> dict[str, int]:
    return dict(clips.filter(split="train").select(pl.col("clip_id").str.tail(5), "samples").iter_rows())


def test_a_false_length_is_found_and_mended(workspace: Workspace) -> None:
    prepared = prepare(workspace)
    assert samples(prepared.clips) == {"1.ogg": RATE, "2.ogg": RATE, "3.ogg": RATE, "4.ogg": 5 * RATE}
    proof = prove(workspace, folders(workspace))
    assert proof.recordings == 5 and len(proof.differing) == 1
    assert proof.describe() == (
        "1 of 5 recordings are not as long as their headers say: train/b4/4.ogg says 5.00 s, decoded 1.02 s; "
        "1 antiphase"
    )
    assert len(false_lengths(workspace)) == 1
    again = prepare(workspace)
    assert again.key != prepared.key
    assert samples(again.clips)["4.ogg"] == pytest.approx(RATE, abs=400)
    assert prove(workspace, folders(workspace)) == Proof(5, [], {"antiphase": 1})
    assert len(false_lengths(workspace)) == 1


def test_decoded_stores_need_no_proof(workspace: Workspace) -> None:
    audio = workspace.config.audio.model_copy(update={"store": "decoded"})
    decoded = Workspace(workspace.config.model_copy(update={"audio": audio}))
    proof = prove(decoded, folders(decoded))
    assert (proof.recordings, proof.describe()) == (0, "every recording was decoded by prepare")
