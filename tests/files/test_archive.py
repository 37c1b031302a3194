"""Archives: streamed, verified, and refused where they are not safe."""

from __future__ import annotations

import errno
import random
import stat
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py7zr
import pytest
from support.archives import content

from kagglekit.errors import ArchiveError
from kagglekit.files import archive
from kagglekit.files.archive import checks
from kagglekit.files.archive import program as seven_zip

FILES = {
    "train/audio/yes/a.wav": b"yes" * 5000,
    "train/audio/no way/b c.wav": b"no" * 7000,
    "train/audio/außen/ö \u65e5\u672c.wav": b"x" * 9000,
}
COPY = [{"id": py7zr.FILTER_COPY}]

Make = Callable[..., Path]
Files = dict[str, bytes] | list[tuple[str, bytes]]


def pairs(files: Files) -> list[tuple[str, bytes]]:
    return list(files.items()) if isinstance(files, dict) else files


def make_zip(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Also with names that zipfile would clean or warn of."""
    with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in pairs(files):
            info = zipfile.ZipInfo()
            info.filename = name
            info.compress_type = method
            file.writestr(info, data)
    return path


def make_7z(path: Path, files: Files, filters: list[dict[str, int]] | None = None) -> Path:
    """Also with names that py7zr would not write."""
    with py7zr.SevenZipFile(path, "w", filters=filters) as file:
        for i, (name, data) in enumerate(pairs(files)):
            file.writestr(data, f"{i}")
            file.header.files_info.files[-1]["filename"] = name
    return path


both = pytest.mark.parametrize("make", [make_zip, make_7z])


@pytest.fixture(autouse=True, params=["py7zr", "7-Zip"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """7z archives, with and without the program that kagglekit decodes them with where it is installed."""
    if request.param == "py7zr":
        monkeypatch.setattr(seven_zip, "PROGRAMS", ())
    elif seven_zip.find() is None:
        pytest.skip("7-Zip is not installed")


@both
def test_members_and_stream(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a.bin", FILES)  # the format is told by the magic number
    assert archive.members(path) == [(name, len(data)) for name, data in FILES.items()]
    taken = content(path)
    assert list(taken.items()) == list(FILES.items())


@both
def test_only_wanted_members(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a", FILES)
    assert list(content(path, lambda name: "no way" in name)) == ["train/audio/no way/b c.wav"]
    assert content(path, lambda name: False) == {}


@both
def test_empty_members_and_empty_archive(make: Make, tmp_path: Path) -> None:
    assert content(make(tmp_path / "a", {"e.wav": b"", "f.wav": b"f"})) == {"e.wav": b"", "f.wav": b"f"}
    assert content(make(tmp_path / "b", {"e.wav": b""})) == {"e.wav": b""}
    assert archive.members(make(tmp_path / "c", {})) == []


@both
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "C:/x", "..\\..\\b", "a//b", "a/./x", "a\nb", "..", "a\x00b"]
)
def test_unsafe_names_are_refused(make: Make, name: str, tmp_path: Path) -> None:
    if make is make_7z and ("\x00" in name or "\\" in name):
        pytest.skip("a 7z name ends at its NUL, and py7zr reads a backslash as /")
    path = make(tmp_path / "a", {name: b"x"})
    with pytest.raises(ArchiveError, match="unsafe path") as caught:
        archive.copy_member(path, name, tmp_path / "out")
    assert repr(name.replace("\\", "/")) in str(caught.value)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a", {"q": b"x"})
    data = path.read_bytes()
    at = data.rindex(
        b"PK\x01\x02"
    )  # in the table of contents, the name's length is 0, and its byte a comment
    entry = bytearray(data[at:])
    entry[28:30], entry[32:34] = (0).to_bytes(2, "little"), (1).to_bytes(2, "little")
    path.write_bytes(data[:at] + bytes(entry))
    with pytest.raises(ArchiveError, match="unsafe path") as caught:
        archive.members(path)
    assert caught.value.hint


def test_what_a_library_quotes_of_a_damaged_archive_is_cut(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a", {"a.wav": b"x" * 5000})
    data = bytearray(path.read_bytes())
    data[26:28] = (4000).to_bytes(2, "little")  # the name's length in the member's own header
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="is damaged") as caught:
        archive.copy_member(path, "a.wav", tmp_path / "out")
    assert len(str(caught.value)) < 400


@both
@pytest.mark.parametrize(
    "names", [("a/x.wav", "a/x.wav"), ("a/x.wav", "./a/x.wav"), ("t\u00fcr", "tu\u0308r")]
)
def test_a_name_that_stands_twice_is_refused(make: Make, names: list[str], tmp_path: Path) -> None:
    path = make(tmp_path / "a", [(names[0], b"1"), (names[1], b"2")])
    with pytest.raises(ArchiveError, match="twice"):
        archive.members(path)


@both
def test_names_that_differ_in_case_are_two(make: Make, tmp_path: Path) -> None:
    files = {"Masse/x.wav": b"1", "Maße/x.wav": b"2", "masse/x.wav": b"3"}
    assert content(make(tmp_path / "a", files)) == files


@both
def test_names_as_other_tools_pack_them(make: Make, tmp_path: Path) -> None:
    stored = {"./a/x.wav": b"1", "a\\y.wav": b"2", "a/Icon\r": b""}
    if make is make_7z:
        del stored["a\\y.wav"]  # py7zr itself reads a backslash as /
    path = make(tmp_path / "a", stored)
    expected = {"a/x.wav": b"1", "a/y.wav": b"2"}
    assert (
        content(path).items() == {name: expected[name] for name in list(expected)[: len(stored) - 1]}.items()
    )
    assert content(path, lambda name: name == "a/x.wav") == {"a/x.wav": b"1"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
def test_zip_link_or_device(kind: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (kind | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link or device: 'link'"):
        archive.members(tmp_path / "a.zip")


def test_7z_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as file:
        file.write(tmp_path / "link", "link")
    with pytest.raises(ArchiveError, match="link or device: 'link'"):
        archive.members(tmp_path / "a.7z")


@both
def test_bomb(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_BOMB_BYTES", 2**20)
    path = make(tmp_path / "a", {"zeros": bytes(2**21)})
    with pytest.raises(ArchiveError, match="bomb"):
        archive.members(path)


@both
def test_size_bounds(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a", FILES)
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 10_000)
    with pytest.raises(ArchiveError, match=r"'train/audio/yes/a.wav' has 15,000 bytes"):
        content(path)
    monkeypatch.setattr(checks, "MAX_TOTAL_BYTES", 20_000)
    with pytest.raises(ArchiveError, match="would unpack to 38,000 bytes"):
        archive.members(path)


def test_zip_whose_header_lies_about_size(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": bytes(50_000)})
    data = path.read_bytes()
    path.write_bytes(data.replace((50_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(ArchiveError, match="'x' is damaged"):
        content(path)


@both
def test_bad_crc_names_the_member(make: Make, tmp_path: Path) -> None:
    files = {"a.wav": b"a" * 5000, "b.wav": b"b" * 5000, "c.wav": b"c" * 5000}
    if make is make_zip:
        path = make_zip(tmp_path / "t.zip", files, zipfile.ZIP_STORED)
    else:
        path = make_7z(tmp_path / "t.zip", files, COPY)
    path.write_bytes(path.read_bytes().replace(b"b" * 50, b"b" * 49 + b"?", 1))
    taken: list[str] = []
    with pytest.raises(ArchiveError, match=r"t\.zip: member 'b\.wav' is damaged") as caught:
        archive.stream(path, lambda member, data: taken.append(member.name))
    assert taken == ["a.wav"]
    assert "fetch --force" in str(caught.value.hint)


@both
def test_truncated(make: Make, tmp_path: Path) -> None:
    whole = make(tmp_path / "a", FILES).read_bytes()
    for size in (8, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(ArchiveError, match="truncated") as caught:
            archive.members(tmp_path / "cut")
        assert "fetch --force" in str(caught.value.hint)


@both
def test_damage_anywhere_is_explained_or_harmless(make: Make, tmp_path: Path) -> None:
    whole = make(tmp_path / "a", FILES).read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "bad").write_bytes(data)
        try:
            taken = content(tmp_path / "bad")
        except ArchiveError:
            refused += 1
        else:
            assert all(data in FILES.values() for data in taken.values())
    assert refused > 100


@pytest.mark.parametrize(("data", "what"), [(b"", "is empty"), (b"RIFF....", "not a zip, 7z or tar archive")])
def test_not_an_archive(data: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match=what):
        archive.members(tmp_path / "a.zip")


def test_encrypted(tmp_path: Path) -> None:
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as file:
        file.writestr(b"x", "x")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("x", b"x")
        zipped.infolist()[0].flag_bits |= 1
    for name in ("a.7z", "a.zip"):
        with pytest.raises(ArchiveError, match="encrypted"):
            archive.members(tmp_path / name)


@both
def test_errors_of_the_taker_come_through(make: Make, tmp_path: Path) -> None:
    def full(member: archive.Member, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        archive.stream(make(tmp_path / "a", FILES), full)
    assert caught.value.errno == errno.ENOSPC


@both
def test_memory_does_not_grow_with_the_archive(make: Make, tmp_path: Path) -> None:
    rng = random.Random(0)
    files = {f"{i}": rng.randbytes(200_000) for i in range(30)}
    small = [{"id": py7zr.FILTER_LZMA2, "preset": 0, "dict_size": 65_536}]
    path = make_7z(tmp_path / "a", files, small) if make is make_7z else make_zip(tmp_path / "a", files)
    held: list[int] = []
    tracemalloc.start()
    archive.stream(path, lambda member, data: held.append(tracemalloc.get_traced_memory()[0]))
    tracemalloc.stop()
    assert held[-1] - held[0] < 1_000_000  # of 6 MB


@pytest.mark.parametrize("name", ["*.7z", "@a", "-so", "a b.7z"])
def test_any_name_of_an_archive(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_7z(Path("another.7z"), {"z": b"z"})
    assert content(make_7z(Path(name), FILES)) == FILES


def test_7zip_takes_most_files_and_not_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_7z(tmp_path / "a", FILES | {"empty": b""})
    given: list[set[str]] = []
    real = seven_zip.extract

    def pump(path: Path, stored: list[py7zr.py7zr.ArchiveFile], *rest: Any) -> set[str]:
        given.append(real(path, stored, *rest))
        return given[-1]

    monkeypatch.setattr(seven_zip, "extract", pump)
    assert content(path) == FILES | {"empty": b""}
    assert content(path, lambda name: "yes" in name) == {"train/audio/yes/a.wav": b"yes" * 5000}
    assert given == [{*FILES, "empty"} if seven_zip.find() else set()]


@pytest.mark.parametrize("script", ["#!/bin/sh\necho yes", "#!/bin/sh\nexit 1", "\x7fELF", "#!/no/such"])
def test_a_program_that_is_not_7zip(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "7zz"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(seven_zip, "PROGRAMS", (str(program),))
    assert content(make_7z(tmp_path / "a", FILES)) == FILES
