"""Tar archives: streamed, verified, and refused where they are not safe."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from support.archives import content, refused

from kagglekit.errors import ArchiveError
from kagglekit.files import archive
from kagglekit.files.archive import checks

FILES = {
    "train/yes/a.wav": random.Random(1).randbytes(70_000),
    "train/no way/ö 日本.wav": b"no" * 7000,
    "empty.wav": b"",
}
MODES = pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


@MODES
def test_members_and_stream(mode: str, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.bin", FILES, mode)  # told by the first bytes, not by the name
    assert archive.members(path) == [(name, len(data)) for name, data in FILES.items()]
    assert list(content(path).items()) == list(FILES.items())
    archive.verify(path)
    taken: list[str] = []
    archive.stream(path, lambda member, _: taken.append(member.name), lambda members: [members[1].name])
    assert taken == ["train/no way/ö 日本.wav"]


def test_empty_tar(tmp_path: Path) -> None:
    assert archive.members(make_tar(tmp_path / "a.tgz", {})) == []
    refused(make_tar(tmp_path / "a.tar", {}, "w"), "not a zip, 7z or tar")  # 10 kB of zeros


def test_names_that_begin_with_a_dot(tmp_path: Path) -> None:
    (tmp_path / "set/yes").mkdir(parents=True)
    (tmp_path / "set/yes/a.wav").write_bytes(b"a")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as file:
        file.add(tmp_path / "set", "./")  # as `tar czf a.tgz .`
    assert content(tmp_path / "a.tgz") == {"yes/a.wav": b"a"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "..\\x", "a\nb"])
def test_unsafe_names(name: str, tmp_path: Path) -> None:
    refused(make_tar(tmp_path / "a.tar", {name: b"x"}), "unsafe path")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    refused(tmp_path / "a.tar", "link or device: 'link'")


def test_a_name_that_stands_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for _ in range(2):
            file.addfile(tarfile.TarInfo("x.wav"))
    refused(tmp_path / "a.tar", "twice")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_BOMB_BYTES", 2**20)
    refused(make_tar(tmp_path / "a.tgz", {"zeros": bytes(2**22)}), "bomb")
    claims = tarfile.TarInfo("huge.wav")
    claims.size = 2**45
    (tmp_path / "b.tar").write_bytes(claims.tobuf(tarfile.GNU_FORMAT))
    refused(tmp_path / "b.tar", "would unpack to 35,184,372,088,832 bytes")
    with gzip.open(tmp_path / "c.tgz", "wb") as file:
        file.write(bytes(70 * 2**20))
    refused(tmp_path / "c.tgz", "behind its end mark")


def test_a_header_of_gigabytes(tmp_path: Path) -> None:
    """tarfile reads a long name whole, as long as its header says."""
    claims = tarfile.TarInfo("././@LongLink")
    claims.type, claims.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "a.tar").write_bytes(claims.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    tracemalloc.start()
    refused(tmp_path / "a.tar", "a header of 8589934592 bytes")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_sparse_file(tmp_path: Path) -> None:
    sparse = tarfile.TarInfo("holes.wav")
    sparse.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "a.tar").write_bytes(sparse.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path / "a.tar", "link or device|damaged")


@MODES
def test_truncated(mode: str, tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "a", FILES, mode).read_bytes()
    # 1536: a plain tar cut between two members, which tarfile takes for whole
    cuts = [len(whole) // 2, len(whole) - 9000 if mode == "w" else len(whole) - 1]
    for size in [*cuts, 512 + 70_144] if mode == "w" else cuts:
        cut = tmp_path / f"cut{size}"
        cut.write_bytes(whole[:size])
        assert "fetch --force" in str(refused(cut, "truncated or damaged").hint)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damage_anywhere_is_explained_or_harmless(mode: str, tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "a", FILES, mode).read_bytes()
    rng, failed = random.Random(0), 0
    for turn in range(60):
        data = bytearray(whole)
        data[rng.randrange(10, len(data))] ^= rng.randrange(1, 256)
        bad = tmp_path / f"bad{turn}"
        bad.write_bytes(data)
        try:
            assert content(bad) == FILES
        except ArchiveError:
            failed += 1
    assert failed > 50


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    data = bytearray(make_tar(tmp_path / "a.tar", FILES, "w").read_bytes())
    data[512 + 70_144] ^= 0xFF
    (tmp_path / "b.tar").write_bytes(data)
    refused(tmp_path / "b.tar", "no end mark after 'train/yes/a.wav'")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_something_else_that_is_compressed(pack: object, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(pack(b"id,label\n" * 200))  # type: ignore[operator]
    refused(tmp_path / "a.csv.gz", "truncated or damaged")


def test_another_file_of_that_name(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"x": b"1"}, "w")
    assert content(path) == {"x": b"1"}
    make_tar(path, {"y": b"2"}, "w")
    os.utime(path, ns=(1, 1))
    assert content(path) == {"y": b"2"}


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    rng = random.Random(0)
    path = make_tar(tmp_path / "a.tgz", {f"{i}": rng.randbytes(200_000) for i in range(30)})
    held: list[int] = []
    tracemalloc.start()
    archive.stream(path, lambda member, data: held.append(tracemalloc.get_traced_memory()[0]))
    tracemalloc.stop()
    assert held[-1] - held[0] < 1_000_000  # of 6 MB
