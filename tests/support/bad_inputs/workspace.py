"""Damaged files in the workspace."""

from __future__ import annotations

import json
import shutil

import numpy as np

from support.bad_box import Box
from support.bad_inputs.archives import AGAIN
from support.bad_inputs.case import section
from support.tiny import tone, wav_bytes

case = section("Damaged files in the workspace")


def workspace_case(pattern: str, command: str, message: str, hint: str, remove: str = "") -> None:
    """A file cut to half, emptied, and overwritten with noise; then repaired as the hint says."""

    def damage(box: Box) -> None:
        box.good("ensemble --model gru")
        path = box.one(pattern)
        whole = path.read_bytes()
        for data in (whole[: len(whole) // 2], b"", b"\x93\xff{" * (len(whole) // 3)):
            path.write_bytes(data)
            shown = box.bad(command, message, hint)
            assert (
                str(path.relative_to(box.folder)).split("/fold_")[0] in shown.message + shown.hint or remove
            )
        target = box.one(remove or pattern)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        for again in ("prepare", "train --model gru", command):
            box.good(again)
        box.shown = box.shown[:1]

    case(pattern, "trained")(damage)


def cache_case(pattern: str, command: str, ways: int = 3) -> None:
    """A file that can be computed again, damaged in the same ways: it is, and the result is the same."""

    def damage(box: Box) -> None:
        path = box.one(pattern)
        whole = path.read_bytes()
        damages = (whole[: len(whole) // 2], b"", b"\x93\xff{" * (len(whole) // 3))
        for number, data in enumerate(damages[:ways], start=1):
            path.write_bytes(data)
            box.fine(command.format(number), "")
            assert path.read_bytes() == whole
        box.shown = box.shown[:1]

    case(pattern, "trained")(damage)


NEW_SEED = "train --model gru --set train.seed=1"
cache_case("clips.parquet", "prepare")
cache_case("audio/train-*/facts.parquet", "prepare --set validation.seed={}")
cache_case("audio/test-*/counts.json", "prepare")
cache_case("audio/test-*/store/*.arrow", NEW_SEED, 1)
cache_case("audio/train-*/noise/*.arrow", NEW_SEED, 1)
cache_case("features/*/log_mel.npy", NEW_SEED, 1)
WAV = "predict --model gru word.wav"
GRU = "runs/gru/*[0-9a-f]"
for _name in ("metrics.json", "oof.parquet", "test.parquet"):
    workspace_case(
        f"runs/gru/*/{_name}", "ensemble --model gru", f"{_name} cannot be read", "remove the folder", GRU
    )


@case("runs/gru/*/fold_1/model.safetensors", "trained")
def _weights(box: Box) -> None:
    (box.folder / "word.wav").write_bytes(wav_bytes(tone(300, np.random.default_rng(1))))
    before = box.good(WAV).out
    for name in ("model.safetensors", "meta.json"):
        path = box.one(f"runs/gru/*/fold_1/{name}")
        whole = path.read_bytes()
        for data in (whole[: len(whole) // 2], b"", None):
            with box.damaged(path, data):
                box.bad(
                    WAV,
                    f"fold_1/{name} cannot be read",
                    f"remove the folder .kagglekit/runs/gru/{path.parts[-3]}",
                )
    shutil.copy(
        box.one("runs/tcresnet/*/fold_1/model.safetensors"), box.one("runs/gru/*/fold_1/model.safetensors")
    )
    box.bad(WAV, "its checksum does not match its content", "train it again")
    shutil.rmtree(box.one("runs/gru/*/fold_1"))  # only half of the hint followed: not a silent half ensemble
    box.bad(WAV, "fold_1/meta.json cannot be read", "remove the folder")
    shutil.rmtree(box.one(GRU))
    box.good("train --model gru")
    assert box.good(WAV).out == before


@case("runs/gru/*/fold_0/last.safetensors", "prepared")
def _state(box: Box) -> None:
    from kagglekit.training import loop

    keep, loop.stops_early = loop.stops_early, _stop
    try:
        assert box.run("train --model gru").code == 130
    finally:
        loop.stops_early = keep
    path = box.one("runs/gru/*/fold_0/last.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    box.fine("train --model gru", "")  # from the first epoch


def _stop(*_: object) -> bool:
    raise KeyboardInterrupt


@case("studies/gru.journal, a line in the middle", "prepared")
def _journal(box: Box) -> None:
    command = "tune --model gru --no-train --trials 1"
    box.good(command)
    path = box.workspace / "studies" / "gru.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    with box.damaged(path, b"".join([*lines[:2], b"#!\n", *lines[2:]])):
        box.bad(command, "studies/gru.journal", "move")
    box.good(command)


@case("leaderboard.jsonl, a line in the middle", "trained")
def _log(box: Box) -> None:
    box.good("submit --ensemble gru")
    box.good("submit --ensemble tcresnet")
    path = box.folder / "submissions" / "leaderboard.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    with box.damaged(path, b"{" + b"".join(lines)):
        for command in ("leaderboard", "submit"):
            box.bad(
                command,
                "leaderboard.jsonl: line 1 is not a submission",
                "adds what was sent since; or delete line 1",
            )
    assert len(json.loads(box.good("leaderboard --json").out)["entries"]) == len(lines)


@case("host/tiny/submissions.jsonl", "trained")
def _host_log(box: Box) -> None:
    box.good("submit --upload --yes")
    path = box.workspace / "host" / "tiny" / "submissions.jsonl"
    with box.damaged(path, b"nonsense\n"):
        box.bad("leaderboard --sync", "submissions.jsonl is damaged", "repair or remove the line")
    box.good("leaderboard --sync")


@case("raw/train.zip", "prepared")
def _raw(box: Box) -> None:
    path = box.workspace / "raw" / "train.zip"
    path.write_bytes(path.read_bytes()[:5000])
    box.bad("prepare", "train.zip: truncated or damaged", AGAIN)
    box.good("fetch")  # its size tells
    box.good("prepare")


@case("done.json, fingerprints.json, clips.json", "trained")
def _markers(box: Box) -> None:
    """What only says that something is done is made again."""
    for pattern in ("audio/*/done.json", "features/*/done.json", "fingerprints.json", "clips.json"):
        for path in box.workspace.glob(pattern):
            path.write_bytes(b"\x00\xff")
    box.fine("train --model gru", "gru/")
