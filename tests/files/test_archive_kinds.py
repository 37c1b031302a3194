"""Archives of other programs: methods that zipfile lacks, several parts, and kinds that are named, not blamed."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from support.archives import content, refused

from kagglekit.errors import ArchiveError
from kagglekit.files import archive
from kagglekit.files.archive.methods import zstd
from kagglekit.files.archive.parts import part_names

SEVEN_ZIP = shutil.which("7zz") or shutil.which("7z")
needs_7zip = pytest.mark.skipif(SEVEN_ZIP is None, reason="7-Zip is not installed")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    noise = np.random.default_rng(0)
    return {
        "audio/a.wav": noise.integers(0, 9, 30_000).astype("u1").tobytes(),
        "audio/empty.wav": b"",
        "audio/größe.wav": bytes(20_000) + noise.bytes(5_000),
    }


def pack(folder: Path, files: dict[str, bytes], name: str, *options: str) -> Path:
    """Pack files with 7-Zip."""
    for path, data in files.items():
        (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / path).write_bytes(data)
    command = [str(SEVEN_ZIP), "a", *options, str(folder / name), "audio"]
    subprocess.run(command, cwd=folder / "files", check=True, capture_output=True)
    return folder / name


@needs_7zip
@pytest.mark.parametrize("method", ["Deflate64", "PPMd", "xz", "LZMA", "BZip2"])
def test_methods_of_zip(method: str, files: dict[str, bytes], tmp_path: Path) -> None:
    path = pack(tmp_path, files, "x.zip", "-tzip", f"-mm={method}")
    with zipfile.ZipFile(path) as packed:
        methods = {info.compress_type for info in packed.infolist()}
    assert methods & {9, 12, 14, 95, 98}
    assert content(path) == files
    archive.verify(path)
    data = path.read_bytes()
    for at in range(60, 16_000, 997):  # an error in our words, or bytes that are as they were
        path.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        try:
            assert content(path) == files
        except ArchiveError as error:
            assert "damaged" in str(error)


@needs_7zip
@pytest.mark.parametrize("kind", ["zip", "7z"])
def test_pieces_of_7zip(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    pack(tmp_path, files, f"x.{kind}", f"-t{kind}", "-v9000b", "-mx1")
    first = tmp_path / f"x.{kind}.001"
    assert (tmp_path / f"x.{kind}.003").exists()
    assert content(first) == files
    (tmp_path / f"x.{kind}.003").unlink()
    with pytest.raises(ArchiveError, match=r"truncated|damaged"):
        archive.verify(first)


@pytest.mark.parametrize("ending", [".tar.zst", ".tzst"])
def test_tar_of_zstd(ending: str, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    with zstd().open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert content(path) == files
    path.write_bytes(path.read_bytes()[:-900])
    refused(path, "truncated or damaged")


@pytest.mark.parametrize(
    ("name", "start", "what"),
    [
        ("x.rar", b"Rar!\x1a\x07\x01\x00", "is a RAR archive"),
        ("x.zip", b"Rar!\x1a\x07\x00", "is a RAR archive"),
        ("x.iso", bytes(0x8001) + b"CD001\x01", "is an ISO image"),
        ("x.tar.lz4", b"\x04\x22\x4d\x18", "is packed with LZ4"),
        ("x.cab", b"MSCF\0\0\0\0", "is a cabinet of Windows"),
    ],
)
def test_kinds_that_are_not_read(name: str, start: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(start + bytes(600))
    error = refused(tmp_path / name, what)
    assert isinstance(error, archive.UnsupportedError)
    assert "FOLDER/x" in str(error.hint) and "fetch" not in str(error.hint)


def test_methods_that_nothing_reads(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.wav", b"a" * 100)
    path.write_bytes(
        path.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x06\0")
    )
    assert isinstance(refused(path, "packed with Implode"), archive.UnsupportedError)


def test_a_part_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"some bytes of a member" + b"PK\5\6" + b"\2\0\2\0" + bytes(14))
    error = refused(path, r"last of 3 parts of an archive, and x\.z01 is not beside it")
    assert "zip -s 0 x.zip --out whole.zip" in str(error.hint)


def test_names_of_parts() -> None:
    there = {"x.zip", "x.z01", "x.z02", "y.7z.001", "y.7z.002", "z.zip"}
    assert part_names("x.zip", there) == ["x.z01", "x.z02", "x.zip"]
    assert part_names("y.7z.001", there) == ["y.7z.001", "y.7z.002"]
    assert part_names("z.zip", there) == ["z.zip"]
    assert part_names("a.wav", there) == ["a.wav"]


def zip_of_names(path: Path, names: list[bytes], flags: int = 0) -> Path:
    """Write a zip of members with these names as they stand in the file; one that ends in \\ is a folder."""
    body = directory = b""
    for name in names:
        data = b"" if name.endswith(b"\\") else b"x"
        common = struct.pack("<5H", 20, flags, 0, 0, 0x5821)
        common += struct.pack("<3I2H", zlib.crc32(data), len(data), len(data), len(name), 0)
        place = struct.pack("<3H2I", 0, 0, 0, 0, len(body))
        directory += b"PK\1\2" + struct.pack("<H", 20) + common + place + name
        body += b"PK\3\4" + common + name + data
    end = struct.pack("<4H2IH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)
    return path


@pytest.mark.parametrize(("coding", "flags"), [("cp437", 0), ("utf-8", 0), ("utf-8", 0x800)])
def test_names_in_any_coding(coding: str, flags: int, tmp_path: Path) -> None:
    path = zip_of_names(tmp_path / "x.zip", ["größe/Ä.wav".encode(coding), b"a.wav"], flags)
    assert content(path) == {"größe/Ä.wav": b"x", "a.wav": b"x"}


def test_folders_of_old_windows_tools(tmp_path: Path) -> None:
    path = zip_of_names(tmp_path / "x.zip", [b"train\\", b"train\\low\\", b"train\\low\\a.wav"])
    assert content(path) == {"train/low/a.wav": b"x"}
    refused(zip_of_names(tmp_path / "y.zip", [b"..\\up\\", b"a.wav"]), "unsafe path")


def test_a_name_that_is_not_the_utf_8_it_claims(tmp_path: Path) -> None:
    path = zip_of_names(tmp_path / "x.zip", [b"gr\xf6.wav"], 0x800)
    assert isinstance(refused(path, "marked as UTF-8, and is not"), archive.UnsupportedError)
