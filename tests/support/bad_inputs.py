"""Every kind of bad input, and what kagglekit says to it.

Run this file to write docs/results/bad-inputs.md: python tests/support/bad_inputs.py
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import py7zr
import soundfile

from support.bad_box import Box, Shown
from support.tiny import RATE, tone, wav_bytes


class NotHereError(Exception):
    """This machine cannot make this bad input."""


@dataclass(frozen=True)
class Case:
    """One bad input."""

    section: str
    what: str
    stage: str
    slow: bool
    damage: Callable[[Box], None]


CASES: list[Case] = []
_SECTION = [""]


def section(title: str) -> None:
    """Cases from here on belong to it."""
    _SECTION[0] = title


def case(
    what: str, stage: str = "host", *, slow: bool = False
) -> Callable[[Callable[[Box], None]], Callable[[Box], None]]:
    """Register a function that damages a box of this stage, runs commands on it and checks what they say."""

    def register(damage: Callable[[Box], None]) -> Callable[[Box], None]:
        CASES.append(Case(_SECTION[0], what, stage, slow, damage))
        return damage

    return register


# --- competition.yaml ------------------------------------------------------------------------

section("competition.yaml")


def yaml_case(what: str, old: str, new: str, message: str, hint: str = "edit competition.yaml") -> None:
    """A case that changes the YAML, and whose repair is to change it back."""

    def damage(box: Box) -> None:
        box.edit(old, new)
        box.bad("prepare", message, hint)
        box.edit(new, old)
        box.good("prepare")

    case(what, "prepared")(damage)


yaml_case(
    "a misspelt key",
    "  epochs: 12",
    "  epoch: 12",
    "competition.yaml:16 train.epoch: unknown key; did you mean 'epochs'?",
)
yaml_case("an unknown section", "search:", "research:", "research: unknown key; did you mean 'search'?")
yaml_case(
    "a word for a number", "epochs: 12", "epochs: twelve", "train.epochs: input should be a valid integer"
)
yaml_case("a number out of range", "folds: 2", "folds: 1", "greater than or equal to 2, not 1")
yaml_case(
    "a value for a section",
    "ensemble: {rounds: 10, bags: 2}",
    "ensemble: 3",
    "ensemble: must be a section, not 3",
)
yaml_case("a model that there is not", "  tcresnet:", "  tcresnett:", "did you mean 'tcresnet'?")
yaml_case("a prior above 1", "unknown: 0.4", "unknown: 0.9", "the prior adds up to 1.1, more than 1")
yaml_case("a prior for no class", "unknown: 0.4", "unknwon: 0.4", "did you mean 'unknown'?")
yaml_case(
    "host: local without its section", "  local: {", "  # local: {", "host local requires a 'local' section"
)
yaml_case(
    "a broken regular expression",
    "  test_archive: test.zip",
    "  test_archive: test.zip\n  speaker_pattern: '(['",
    "speaker_pattern: not a regular expression",
)
yaml_case(
    "a key twice",
    "  batch_size: 8",
    "  epochs: 3\n  batch_size: 8",
    "duplicate key 'epochs' (first on line 16)",
)
yaml_case("not YAML", "targets: [low, mid]", "targets: [low, mid", "competition.yaml:10 is not YAML")
yaml_case("an alias", "  epochs: 12", "  epochs: *many", "aliases (*name) are not supported")
yaml_case("a list as a key", "train:\n", "? [a, b]\n: 1\ntrain:\n", "a key must be a word")
yaml_case("a tag", "epochs: 12", "epochs: !!int twelve", "is not YAML")
yaml_case("a Python object", "epochs: 12", "epochs: !!python/object/apply:os.getcwd []", "is not YAML")
yaml_case("fmin above fmax", "fmin: 50", "fmin: 3950", "fmin 3950 Hz is not below fmax 3900 Hz")


@case("a needed key left out", "prepared")
def _missing_key(box: Box) -> None:
    box.edit("  slug: tiny\n", "")
    box.bad("prepare", "competition.slug: required", "edit competition.yaml")


@case("several problems at once", "prepared")
def _several(box: Box) -> None:
    box.edit("epochs: 12", "epoch: many")
    box.edit("folds: 2", "folds: two")
    box.edit("n_mels: 20", "n_mel: 20")
    message = box.bad("prepare", "3 problems in competition.yaml:", "edit competition.yaml").message
    assert all(dotted in message for dotted in ("train.epoch", "validation.folds", "features.n_mel"))


@case("no such file", "prepared")
def _no_yaml(box: Box) -> None:
    box.bad("-C elsewhere.yaml prepare", "there is no elsewhere.yaml", "name the file: -C FILE")
    box.bad("-C host prepare", "host cannot be read", "-C FILE")


@case("not text", "prepared")
def _binary_yaml(box: Box) -> None:
    with box.damaged(box.yaml, bytes(range(256))):
        box.bad("prepare", "competition.yaml cannot be read", "-C FILE")
    with box.damaged(box.yaml, b"a: \x00\n"):
        box.bad("prepare", "competition.yaml is not YAML", "edit")
    with box.damaged(box.yaml, b"- low\n- mid\n"):
        box.bad("prepare", "competition.yaml contains a list, not sections", "competition.yaml")
    with box.damaged(box.yaml, b""):
        box.bad("prepare", "competition: required", "edit competition.yaml")
    with box.damaged(box.yaml, b"[" * 100_000):
        box.bad("prepare", "competition.yaml is not YAML", "edit")
    with box.damaged(box.yaml, b"#" * 2_000_000):
        box.bad("prepare", "too large for a competition.yaml", "-C FILE")


@case("--set nonsense", "prepared")
def _set_nonsense(box: Box) -> None:
    box.bad("prepare --set nonsense", "not of the form a.b=value", "--set train.epochs=10")
    box.bad("prepare --set train.epoch=3", "--set train.epoch: unknown key; did you mean 'epochs'?", "")
    box.bad("prepare --set train.epochs=[", "the value is not YAML", "quote it")
    box.bad("prepare --set train.epochs.more=1", "'epochs' is a value, not a section", "shorten the path")
    box.bad("prepare --set train=5", "--set train: must be a section, not 5", "")
    box.bad("prepare --set 'train.epochs=!!int x'", "the value is not YAML", "quote it")
    box.good("prepare")


# --- the competition's files -----------------------------------------------------------------

section("The competition's files")


@case("the local files' folder is missing", "prepared")
def _no_folder(box: Box) -> None:
    box.host.rename(box.folder / "away")
    box.bad("fetch --force", "the competition folder host does not exist", "set competition.local.files")
    (box.folder / "away").rename(box.host)
    box.good("fetch --force")


@case("the local solution is missing", "trained")
def _no_solution(box: Box) -> None:
    with box.damaged(box.host / "solution.csv", None):
        box.bad("submit --upload --yes", "the solution host/solution.csv does not exist", "local.solution")
    box.good("submit --upload --yes")


@case("an archive that the host does not have")
def _no_archive(box: Box) -> None:
    box.edit("train.zip", "trian.zip")
    box.bad("fetch", "the competition has no file 'trian.zip'", "did you mean 'train.zip'?")


@case("a file where the workspace should be")
def _no_workspace(box: Box) -> None:
    box.workspace.write_text("mine")
    box.bad("fetch", ".kagglekit", "check the path")
    assert box.workspace.read_text() == "mine"
    box.workspace.unlink()
    box.good("fetch")


@case("prepare before fetch")
def _not_fetched(box: Box) -> None:
    box.bad("prepare", "train.zip does not exist", "kagglekit fetch")
    box.good("fetch")
    box.good("prepare")


# --- archives --------------------------------------------------------------------------------

section("Archives")


def archive_case(
    what: str, damage: Callable[[Path], None], message: str, hint: str, *, seven: bool = False
) -> None:
    """A case of an archive that fetch refuses; the good one fetched before stays."""

    def run(box: Box) -> None:
        name, option = "train.zip", ""
        if seven:
            name, option = "train.7z", " --set data.train_archive=train.7z"
            _as_7z(box.host / "train.zip", box.host / name)
            box.good(f"fetch{option}")
        whole = (box.host / name).read_bytes()
        damage(box.host / name)
        box.bad(f"fetch --force{option}", message, hint)
        box.good(f"prepare{option}")  # with the archive fetched before
        (box.host / name).write_bytes(whole)
        box.good(f"fetch --force{option}")
        box.good(f"prepare{option}")

    case(what, "fetched")(run)


def _as_7z(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as archive, py7zr.SevenZipFile(target, "w") as out:
        for info in archive.infolist():
            out.writestr(archive.read(info), info.filename)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _with_bytes(data: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(data)

    return damage


def _with_member(name: str, kind: int = 0) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = (kind | 0o644) << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, b"/etc/passwd")

    return damage


def _bomb_by_ratio(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/audio/low/bomb.wav", bytes(100 * 2**20))


def _bomb_by_size(path: Path) -> None:
    """A member whose header says 2^37 bytes."""
    info = zipfile.ZipInfo("train/audio/low/bomb.wav")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"x")
        archive.infolist()[0].file_size = 2**37


def _encrypt_zip(path: Path) -> None:
    """Set the flag that says so, in both headers of each member."""
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(magic, at + 4)
    path.write_bytes(data)


def _encrypt_7z(path: Path) -> None:
    with py7zr.SevenZipFile(path, "w", password="secret") as out:
        out.writestr(wav_bytes(np.zeros(10)), "train/audio/low/a_nohash_0.wav")


AGAIN, SOURCE = "kagglekit fetch --force", "get it from its source again"
archive_case("a zip that is cut off", _cut, "train.zip: truncated or damaged", AGAIN)
archive_case("a 7z that is cut off", _cut, "train.7z: truncated: ", AGAIN, seven=True)
archive_case("an empty file", _with_bytes(b""), "it is empty", AGAIN)
archive_case("not an archive", _with_bytes(b"<html>"), "not a zip or 7z archive", AGAIN)
archive_case("a path that leads out", _with_member("train/../../x.wav"), "unsafe path", SOURCE)
archive_case("an absolute path", _with_member("/x.wav"), "unsafe path: '/x.wav'", SOURCE)
archive_case("a drive letter", _with_member("C:x.wav"), "unsafe path: 'C:x.wav'", SOURCE)
archive_case("a symbolic link", _with_member("train/l.wav", stat.S_IFLNK), "a link or device", SOURCE)
archive_case("a bomb, by its ratio", _bomb_by_ratio, "train.zip is a decompression bomb: ", SOURCE)
archive_case("a bomb, by the size it says", _bomb_by_size, "would unpack to 137,438,953,472 bytes", SOURCE)
archive_case("an encrypted zip", _encrypt_zip, "train.zip is encrypted", "password")
archive_case("an encrypted 7z", _encrypt_7z, "train.7z is encrypted", "password", seven=True)


def _flip_zip(path: Path) -> str:
    """Change one bit of a clip; the name of its member."""
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[3]
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + 500] ^= 1
    path.write_bytes(data)
    return info.filename


@case("a zip member with a wrong CRC", "prepared")
def _crc_zip(box: Box) -> None:
    with box.damaged(box.host / "train.zip", (box.host / "train.zip").read_bytes()):
        name = _flip_zip(box.host / "train.zip")
        box.good("fetch --force")
        box.bad("prepare", f"train.zip: member '{name}' is damaged (Bad CRC-32", AGAIN)
    box.good("fetch --force")
    box.good("prepare")


@case("a 7z with a wrong CRC", "fetched")
def _crc_7z(box: Box) -> None:
    path, option = box.host / "train.7z", " --set data.train_archive=train.7z"
    _as_7z(box.host / "train.zip", path)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    box.good(f"fetch{option}")
    box.bad(f"prepare{option}", "train.7z: ", AGAIN)
    path.write_bytes(whole)
    box.good(f"fetch --force{option}")
    box.good(f"prepare{option}")


@case("no member that the pattern matches", "fetched")
def _no_match(box: Box) -> None:
    box.edit("data:\n", "data:\n  train_clips: clips/*.wav\n")
    box.bad(
        "prepare", "train.zip: no member matches 'clips/*.wav'; it contains 'train/audio/", "data.train_clips"
    )


@case("two clips of one id", "host")
def _two_of_one_id(box: Box) -> None:
    name = "train/audio/low/00000000_nohash_0.wav"
    box.repack(lambda members: members.update({f"more/{name}": members[name]}))
    box.good("fetch")
    box.bad("prepare", "train.zip: two files are called 'low/00000000_nohash_0.wav'", "data.train_clips")


@case("names with spaces and other alphabets")
def _odd_names(box: Box) -> None:
    def rename(members: dict[str, bytes]) -> None:
        for name in [n for n in members if "/other/" in n]:
            members[name.replace("/other/", "/слово два/").replace("_nohash", " é_nohash")] = members.pop(
                name
            )

    box.repack(rename)
    box.good("fetch")
    box.fine("prepare", "40 train, 12 silence, 24 test clips")


# --- clips -----------------------------------------------------------------------------------

section("Clips")


def _sound(rate: int = RATE, seconds: float = 0.5, channels: int = 1, subtype: str = "PCM_16") -> bytes:
    rng = np.random.default_rng(5)
    mono = np.interp(np.arange(round(rate * seconds)) / rate, np.arange(RATE) / RATE, tone(300, rng, 1.0))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([mono / 32768] * channels, 1), rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def _header_only() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
    return buffer.getvalue()


CLIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a file of no bytes": (lambda: b"", "empty"),
    "a wav without samples": (_header_only, "empty"),
    "a wav that is cut off": (lambda: _sound()[:3000], "truncated"),
    "a text file called .wav": (lambda: b"this is no sound\n" * 40, "unreadable"),
    "a wav of zeros": (lambda: wav_bytes(np.zeros(RATE // 2)), "silent"),
    "8 bits": (lambda: _sound(subtype="PCM_U8"), "converted"),
    "24 bits": (lambda: _sound(subtype="PCM_24"), "converted"),
    "floats": (lambda: _sound(subtype="FLOAT"), "converted"),
    "stereo": (lambda: _sound(channels=2), "converted"),
    "16 kHz instead of 8": (lambda: _sound(rate=16_000), "resampled"),
    "44.1 kHz instead of 8": (lambda: _sound(rate=44_100), "resampled"),
    "a rate of 1 GHz": (lambda: _with_rate(1_000_000_000), "unreadable"),
    "a longer clip": (lambda: _sound(seconds=0.8), "long"),
    "a shorter clip": (lambda: _sound(seconds=0.3), "short"),
    "a clip twice": (lambda: b"", "duplicate"),
}


def _with_rate(rate: int) -> bytes:
    data = bytearray(wav_bytes(np.arange(4000)))
    struct.pack_into("<I", data, 24, rate)
    return bytes(data)


def _clip_case(what: str, content: Callable[[], bytes], problem: str) -> None:
    def damage(box: Box) -> None:
        name = "train/audio/low/00000003_nohash_0.wav"

        def change(members: dict[str, bytes]) -> None:
            twin = members["train/audio/low/00000002_nohash_0.wav"]
            members[name] = twin if problem == "duplicate" else content()

        box.repack(change)
        box.good("fetch")
        out = box.fine("prepare --problems", f"train: 1 {problem}").out
        assert f"low/00000003_nohash_0.wav  {problem}" in out
        left_out = problem in ("empty", "unreadable", "duplicate")
        assert ("1 train clips are left out" in out) == left_out

    case(what)(damage)


for _what, (_content, _problem) in CLIPS.items():
    _clip_case(_what, _content, _problem)


@case("no noise recordings")
def _no_noise(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        for name in [n for n in members if "_background_noise_" in n]:
            del members[name]

    box.repack(change)
    box.good("fetch")
    box.bad("prepare", "there are no noise recordings", "data.noise_clips, or set labels.silence: null")


@case("noise shorter than a clip")
def _short_noise(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        members["train/audio/_background_noise_/noise_0.wav"] = wav_bytes(np.arange(900))

    box.repack(change)
    box.good("fetch")
    box.bad(
        "prepare", "noise 'noise_0.wav' is 900 samples, not longer than a clip (4000)", "data.noise_clips"
    )


@case("a class without a clip", "fetched")
def _no_clips(box: Box) -> None:
    box.edit("targets: [low, mid]", "targets: [low, mid, stop]")
    box.bad("prepare", "no training clip for stop", "labels.targets")


@case("a class whose clips are all unreadable")
def _no_good_clips(box: Box) -> None:
    box.repack(lambda m: m.update({n: b"text" for n in m if "/low/" in n}))
    box.good("fetch")
    box.bad("prepare", "no training clip for low", "labels.targets")


@case("more folds than speakers", "fetched")
def _many_folds(box: Box) -> None:
    box.bad(
        "prepare --set validation.folds=9 --set labels.silence=null --set 'validation.prior={}'",
        "9 folds cannot be made of 8 speakers",
        "set validation.folds lower",
    )


@case("fmax above half the sample rate", "prepared")
def _fmax(box: Box) -> None:
    box.bad(
        "train --model tcresnet --set features.fmax=5000",
        "features.fmax is 5000 Hz, above 4000 Hz",
        "at most 4000",
    )


@case("mel filters narrower than a bin", "prepared")
def _narrow(box: Box) -> None:
    box.bad(
        "features --set features.n_mels=200", "mel filters hold no frequency bin", "features.n_mels lower"
    )


@case("clips shorter than a window", "fetched")
def _window(box: Box) -> None:
    box.bad("features --set audio.seconds=0.01", "waveform of shape", "audio.seconds higher")


@case("a wav to predict that is none", "trained")
def _predict_wav(box: Box) -> None:
    (box.folder / "hello.wav").write_bytes(b"hello")
    box.bad("predict --model gru hello.wav", "hello.wav is unreadable", "give a wav")
    box.bad("predict --model gru gone.wav", "there is no file gone.wav", "check the path")
    box.bad("predict --model gru --run ../x", "no finished run gru/../x", "runs")


# --- models ----------------------------------------------------------------------------------

section("Models")


@case("a model that there is not", "trained")
def _no_model(box: Box) -> None:
    for command in ("train --model", "tune --model", "features --model", "predict --model"):
        box.bad(f"{command} tcresnett", "there is no model 'tcresnett'", "did you mean 'tcresnet'?")
    for command in ("submit --ensemble", "ensemble --models", "run --models"):
        box.bad(f"{command} gru,tcresnett", "there is no model 'tcresnett'", "did you mean 'tcresnet'?")


@case("a model parameter that there is not", "prepared")
def _no_parameter(box: Box) -> None:
    box.edit("depth: 8", "dept: 8")
    for verb in ("train", "tune"):
        box.bad(
            f"{verb} --model tcresnet",
            "models.tcresnet.model.dept: no such parameter, did you mean 'depth'?",
            "parameters of tcresnet: ",
        )


@case("a model parameter of another type", "prepared")
def _wrong_parameter(box: Box) -> None:
    box.edit("hidden: 16", "hidden: wide")
    box.bad(
        "train --model lstm",
        "models.lstm.model.hidden: input should be a valid integer",
        "parameters of lstm",
    )


@case("a checkpoint that is nowhere", "prepared")
def _no_checkpoint(box: Box) -> None:
    option = "--set models.ast.checkpoint=nobody/nothing --set audio.sample_rate=16000"
    box.bad(
        f"train --model ast {option}",
        "checkpoint 'nobody/nothing' is neither a folder",
        "fetch --checkpoints",
    )
    box.bad(
        f"fetch --checkpoints {option}", "checkpoint 'nobody/nothing' is neither a folder", "local folder"
    )


@case("a checkpoint's folder without a checkpoint", "prepared")
def _empty_checkpoint(box: Box) -> None:
    (box.folder / "mine").mkdir()
    box.bad(
        "train --model wav2vec2 --set models.wav2vec2.checkpoint=mine --set audio.sample_rate=16000",
        "checkpoint 'mine' cannot be read",
        "it needs config.json",
    )


@case("a pretrained model on 8 kHz", "prepared")
def _wrong_rate(box: Box) -> None:
    box.bad(
        "train --model wav2vec2",
        "wav2vec2 hears 16000 Hz, audio.sample_rate is 8000",
        "audio.sample_rate: 16000",
    )


@case("a learning rate that explodes", "prepared")
def _explodes(box: Box) -> None:
    box.bad(
        "train --model gru --set train.lr=1e30 --set train.optimizer=sgd --set train.clip_norm=0", "", "lr"
    )


@case("an ensemble with a model that is not trained", "trained")
def _untrained(box: Box) -> None:
    box.bad("submit --ensemble gru,lstm", "no trained run of lstm", "kagglekit train --model lstm")


@case("nothing trained at all", "prepared")
def _nothing_trained(box: Box) -> None:
    box.bad("submit", "no model is trained yet", "kagglekit train --model")
    box.bad("train --tuned --model gru", "no finished trial of gru", "kagglekit tune --model gru")


@case("an ensemble of runs on other folds", "trained")
def _other_folds(box: Box) -> None:
    box.edit("folds: 2", "folds: 3")
    box.bad(
        "ensemble --models gru,tcresnet", "trained on other clips or folds", "kagglekit train --model gru"
    )
    box.good("train --model gru")
    box.bad(
        "submit --ensemble gru,tcresnet", "runs of tcresnet were trained on other", "train --model tcresnet"
    )
    box.edit("folds: 3", "folds: 2")
    box.good("ensemble")


@case("an ensemble of runs on other clips", "trained")
def _other_clips(box: Box) -> None:
    def change(members: dict[str, bytes]) -> None:
        del members["test/audio/clip_0003.wav"]

    box.repack(change, "test.zip")
    box.good("fetch --force")
    box.bad("ensemble", "trained on other clips or folds than the present", "kagglekit train --model gru")


@case("--time-limit too short", "trained")
def _no_time(box: Box) -> None:
    box.bad("run --models gru --time-limit 0.01s", "the time limit is too short", "--time-limit 30m")
    box.bad("tune --model gru --trials 0", "--trials 0: needed is at least 1", "--trials 20")


# --- submissions -----------------------------------------------------------------------------

section("Submissions")


def sample_case(what: str, change: Callable[[list[str]], list[str]], message: str, hint: str) -> None:
    """A case of a sample submission that does not fit."""

    def damage(box: Box) -> None:
        path = box.host / "sample_submission.csv"
        lines = path.read_text().splitlines()
        with box.damaged(path, "".join(f"{line}\n" for line in change(lines)).encode()):
            box.good("fetch --force sample_submission.csv")
            box.bad("submit", message, hint)
        box.good("fetch --force")
        box.good("submit")

    case(what, "trained")(damage)


sample_case(
    "a sample with other ids",
    lambda s: [s[0], *(f"x{line}" for line in s[1:])],
    "24 of 24 ids without a prediction",
    "fetch",
)
sample_case(
    "a sample with fewer ids",
    lambda s: s[:-2],
    "predictions for unknown ids: 2 ('clip_0022.wav', 'clip_0023.wav')",
    "fetch",
)
sample_case(
    "a sample with an id twice", lambda s: [*s, s[-1]], "1 repeated ('clip_0023.wav')", "submission.id"
)
sample_case(
    "a sample with other columns",
    lambda s: ["file,class", *s[1:]],
    "has the columns 'file', 'class', not 'fname', 'label'",
    "submission.id",
)
sample_case("a sample without rows", lambda s: s[:1], "sample_submission.csv has no rows", "fetch --force")
sample_case("an empty sample", lambda s: [], "sample_submission.csv is not a CSV", "data.sample_submission")


@case("a solution with ids that the sample lacks", "trained")
def _odd_solution(box: Box) -> None:
    path = box.host / "solution.csv"
    with box.damaged(path, path.read_bytes() + b"clip_9999.wav,low,Public\n"):
        box.bad("submit --upload --yes", "has 1 ids that the sample lacks, first 'clip_9999.wav'", "solution")
    box.good("submit --upload --yes")


@case("the daily limit is reached", "trained")
def _limit(box: Box) -> None:
    option = "--set competition.local.daily_limit=1"
    box.good(f"submit --ensemble gru --upload --yes {option}")
    box.bad(
        f"submit --ensemble gru --upload --yes --force {option}",
        "no submissions are left today",
        "is kept: send it",
    )
    box.good("submit --ensemble gru --upload --yes --force")


@case("the deadline has passed", "trained")
def _deadline(box: Box) -> None:
    box.bad(
        "submit --upload --yes --set competition.local.deadline=2018-01-17",
        "the competition closed at 2018-01-17 00:00 UTC",
        "competition.local.deadline",
    )
    box.good("submit --upload --yes")


@case("the same predictions again", "trained")
def _twice(box: Box) -> None:
    box.good("submit --upload --yes")
    box.bad(
        "submit --upload --yes", "these predictions were sent before", "--force sends the same bytes again"
    )


@case("no answer to the question", "trained")
def _unasked(box: Box) -> None:
    box.bad("submit --upload", "not uploaded", "--yes skips the confirmation prompt", run=box.run_apart)


# --- Kaggle ----------------------------------------------------------------------------------

section("Kaggle")
ON_KAGGLE = "fetch --set competition.host=kaggle"


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@case("no network", slow=True)
def _no_network(box: Box) -> None:
    nowhere = f"http://127.0.0.1:{_closed_port()}"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
    signed_in = {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": "0" * 32, "HOME": str(box.folder)}
    proxies = dict.fromkeys(names, nowhere)
    box.bad(
        f"{ON_KAGGLE} --set network.tries=1",
        "no network: could not ",
        "check the connection",
        run=lambda c: box.run_apart(c, **signed_in, **proxies),
    )


@case("no credentials", slow=True)
def _no_credentials(box: Box) -> None:
    box.bad(
        ON_KAGGLE,
        "not signed in to Kaggle: no credential found",
        "to get one:",
        run=lambda c: box.run_apart(c, HOME=str(box.folder)),
    )


# --- the disk is full ------------------------------------------------------------------------

section("A full disk")
FILLER = "filler"


@contextmanager
def small_disk(box: Box, size: str) -> Iterator[None]:
    """The workspace on a disk of its own."""
    if os.geteuid() != 0 or sys.platform != "linux":
        raise NotHereError("needs root on Linux, to mount a tmpfs")
    aside = box.folder / "aside"
    box.workspace.rename(aside) if box.workspace.is_dir() else aside.mkdir()
    box.workspace.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(box.workspace)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        raise NotHereError(f"mount: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(aside, box.workspace, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(box.workspace)], check=True)


def _fill(box: Box, left: int) -> None:
    """Leave so many bytes."""
    filler = box.workspace / FILLER
    free = shutil.disk_usage(box.workspace).free
    filler.write_bytes(bytes(max(free - left, 0)))


@case("during fetch")
def _full_fetch(box: Box) -> None:
    with small_disk(box, "1m"):
        box.bad("fetch", "not enough disk space for 3 files", "free some space, or set `workspace:`")
        subprocess.run(["mount", "-o", "remount,size=80m", str(box.workspace)], check=True)
        box.good("fetch")


def disk_case(stage_name: str, stage: str, command: str, left: int) -> None:
    """A case of a disk that fills up in a command, which then goes on once there is room."""

    def damage(box: Box) -> None:
        with small_disk(box, "16m"):
            _fill(box, left)
            box.bad(command, "the disk is full", "free some space and run the same command again")
            (box.workspace / FILLER).unlink()
            box.good(command)

    case(f"during {stage_name}", stage)(damage)


disk_case("prepare", "fetched", "prepare", 200_000)
disk_case("prepare, of silence or the table", "fetched", "prepare", 700_000)
disk_case("features", "prepared", "features", 60_000)
disk_case("train, of the weights", "trained", "train --model tcresnet --set train.seed=1", 100_000)
disk_case("train, of the predictions", "trained", "train --model gru --set train.seed=1", 46_000 + 4096)
disk_case("train, of the first file", "trained", "train --model gru --set train.seed=1", 0)
disk_case("tune", "trained", "tune --model gru --no-train --trials 1", 0)
disk_case("ensemble", "trained", "ensemble", 0)


# --- processes -------------------------------------------------------------------------------

section("Processes")


@case("two processes at once", "fetched", slow=True)
def _two_processes(box: Box) -> None:
    command = "train --model gru"
    with box.started(command) as first, box.started(command) as second:
        shown = [box.finished(command, process) for process in (first, second)]
    assert [s.code for s in shown] == [0, 0], shown
    assert shown[0].out.splitlines()[1:] == shown[1].out.splitlines()[1:]
    assert len(list(box.workspace.glob("runs/gru/*/metrics.json"))) == 1


@case("Ctrl-C in training", "prepared", slow=True)
def _ctrl_c(box: Box) -> None:
    command = "train --model gru --set train.epochs=3000"
    with box.started(command) as process:
        deadline = time.monotonic() + 60
        while not list(box.workspace.glob("runs/gru/*/fold_0/last.safetensors")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown = box.finished(command, process)
    assert shown.code == 130 and "Traceback" not in shown.err
    assert shown.err == "stopped\nhint:  nothing is lost: the same command goes on from here\n"


# --- the workspace ---------------------------------------------------------------------------

section("Damaged files in the workspace")


def workspace_case(pattern: str, command: str, message: str, hint: str, remove: str = "") -> None:
    """A file cut to half, emptied, and overwritten with noise; then repaired as the hint says."""

    def damage(box: Box) -> None:
        box.good("ensemble --models gru")
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


NEW_SEED = "train --model gru --set train.seed=1"
workspace_case("clips.parquet", "train --model gru", "clips.parquet cannot be read", "remove")
workspace_case(
    "audio/train-*/facts.parquet",
    "prepare --set validation.seed=1",
    "facts.parquet cannot be read",
    "remove the folder",
    "audio/train-*[0-9a-f]",
)
workspace_case(
    "audio/test-*/counts.json",
    "prepare",
    "counts.json cannot be read",
    "remove the folder",
    "audio/test-*[0-9a-f]",
)
workspace_case("audio/test-*/store/*.arrow", NEW_SEED, "cannot be read", "delete", "audio/test-*[0-9a-f]")
workspace_case("audio/train-*/noise/*.arrow", NEW_SEED, "cannot be read", "delete", "audio/train-*[0-9a-f]")
workspace_case(
    "features/*/log_mel.npy",
    NEW_SEED,
    "log_mel.npy cannot be read",
    "remove the folder",
    "features/*[0-9a-f]",
)
WAV = "predict --model gru word.wav"
GRU = "runs/gru/*[0-9a-f]"
for _name in ("metrics.json", "oof.parquet", "test.parquet"):
    workspace_case(
        f"runs/gru/*/{_name}", "ensemble --models gru", f"{_name} cannot be read", "remove the folder", GRU
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
    box.bad(WAV, "does not fit the model", "train it again")
    shutil.rmtree(box.one("runs/gru/*/fold_1"))  # only half of the hint followed: not a silent half ensemble
    box.bad(WAV, "fold_1/meta.json cannot be read", "remove the folder")
    shutil.rmtree(box.one(GRU))
    box.good("train --model gru")
    assert box.good(WAV).out == before


@case("runs/gru/*/fold_0/last.safetensors", "prepared")
def _state(box: Box) -> None:
    from kagglekit.training import loop

    keep, loop.gave_up = loop.gave_up, _stop
    try:
        assert box.run("train --model gru").code == 130
    finally:
        loop.gave_up = keep
    path = box.one("runs/gru/*/fold_0/last.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    box.bad(
        "train --model gru",
        "last.safetensors cannot be read",
        f"remove the folder {path.parent.relative_to(box.folder)}",
    )
    shutil.rmtree(path.parent)
    box.good("train --model gru")


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
                "restore the file from git, or delete line 1",
            )
    assert len(json.loads(box.good("leaderboard --json").out)["entries"]) == len(lines)


@case("host/tiny/submissions.jsonl", "trained")
def _host_log(box: Box) -> None:
    box.good("submit --upload --yes")
    path = box.workspace / "host" / "tiny" / "submissions.jsonl"
    with box.damaged(path, b"nonsense\n"):
        box.bad("leaderboard --sync", "submissions.jsonl is damaged", "mend or remove the line")
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
    for pattern in ("audio/*/done.json", "features/*/done.json", "raw/fingerprints.json", "clips.json"):
        for path in box.workspace.glob(pattern):
            path.write_bytes(b"\x00\xff")
    box.fine("train --model gru", "gru/")


# --- the table -------------------------------------------------------------------------------


def rows(case: Case, shown: list[Shown]) -> list[str]:
    """Lines of the table."""
    made: list[str] = []
    for one in shown:
        code = f"`kagglekit {one.command}`".replace("|", "\\|")
        said = one.message or " · ".join(one.out.splitlines()[:3]) or one.err.splitlines()[0]
        made.append(" | ".join(["", code, str(one.code), _cell(said), _cell(one.hint)]) + " |")
    first, *others = dict.fromkeys(made)
    return [f"| {case.what}{first}", *(f"| {other}" for other in others)]


CHANGING = {
    r"\b\d{8}-\d{6}_": "TIME_",
    r"\b[0-9a-f]{12}\b": "KEY",
    r"in \d+ s, ": "",
    r", [\d,]+ clips/s": "",
}
"""What is another at each run, and would make the table differ."""


def _cell(text: str) -> str:
    for pattern, constant in CHANGING.items():
        text = re.sub(pattern, constant, text)
    text = html.escape(text, quote=False).replace("|", "\\|")
    return "<br>".join(line.strip() for line in text.splitlines())


def run(case: Case, folder: Path) -> list[Shown]:
    """Run one case in a new folder."""
    box = Box(folder, case.stage)
    case.damage(box)
    return box.shown


def write_table(path: Path) -> None:
    """Run every case and write what was said."""
    from tempfile import TemporaryDirectory

    lines = [
        "# Bad inputs",
        "",
        "What kagglekit says to each, on a tiny competition of tones. In every case with exit 1",
    ]
    lines += ["all files of the workspace are as they were, and once the input is mended the same command"]
    lines += [
        "goes on. Made by `python tests/support/bad_inputs.py`; `tests/test_bad_inputs.py` checks the same."
    ]
    current = ""
    for number, case in enumerate(CASES):
        if case.section != current:
            current = case.section
            lines += [
                "",
                f"## {current}",
                "",
                "| what is wrong | command | exit | message | hint |",
                "|---|---|---|---|---|",
            ]
        with TemporaryDirectory() as folder:
            try:
                lines += rows(case, run(case, Path(folder, str(number))))
            except NotHereError as error:
                lines.append(f"| {case.what} | | | not run here: {error} | |")
        print(f"{number + 1}/{len(CASES)} {case.section}: {case.what}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for _variable in [v for v in os.environ if v.startswith("KAGGLE_")]:
        del os.environ[_variable]
    os.environ["HF_HUB_OFFLINE"] = "1"
    write_table(Path(__file__).resolve().parents[2] / "docs" / "results" / "bad-inputs.md")
