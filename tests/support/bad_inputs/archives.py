"""Damaged and unsafe archives."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import py7zr

from support.bad_box import Box
from support.bad_inputs.case import section
from support.tiny import wav_bytes

case = section("Archives")


def archive_case(
    what: str, damage: Callable[[Path], None], message: str, hint: str, *, seven: bool = False
) -> None:
    """A case of an archive that fetch refuses; where it is damaged, the good one fetched before stays."""

    def run(box: Box) -> None:
        name, option = "train.zip", ""
        if seven:
            name, option = "train.7z", " --set data.train_archive=train.7z"
            _as_7z(box.host / "train.zip", box.host / name)
            box.good(f"fetch{option}")
        whole = (box.host / name).read_bytes()
        damage(box.host / name)
        if " is encrypted" in message:  # it is whole, so it is kept, and not downloaded again
            (box.workspace / "raw" / name).unlink()
            box.bad(f"fetch{option}", message, hint)
        else:
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
    """A member whose header says 2^40 bytes."""
    info = zipfile.ZipInfo("train/audio/low/bomb.wav")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"x")
        archive.infolist()[0].file_size = 2**40


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


AGAIN, SOURCE = " fetch --force", "get it from its source again"
archive_case("a zip that is cut off", _cut, "train.zip: truncated or damaged", AGAIN)
archive_case("a 7z that is cut off", _cut, "train.7z: truncated: ", AGAIN, seven=True)
archive_case("an empty file", _with_bytes(b""), "it is empty", AGAIN)
archive_case("not an archive", _with_bytes(b"<html>"), "not a zip, 7z or tar archive", AGAIN)
archive_case("a path that leads out", _with_member("train/../../x.wav"), "unsafe path", SOURCE)
archive_case("an absolute path", _with_member("/x.wav"), "unsafe path: '/x.wav'", SOURCE)
archive_case("a drive letter", _with_member("C:x.wav"), "unsafe path: 'C:x.wav'", SOURCE)
archive_case("a symbolic link", _with_member("train/l.wav", stat.S_IFLNK), "a link or device", SOURCE)
archive_case("a bomb, by its ratio", _bomb_by_ratio, "train.zip is a decompression bomb: ", SOURCE)
archive_case("a bomb, by the size it says", _bomb_by_size, "would unpack to 1,099,511,627,776 bytes", SOURCE)
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
    box.bad("prepare", "no file matches 'train.zip/clips/*.wav'", "closest folder")


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
