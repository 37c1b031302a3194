"""The paths of competition.yaml, wherever their files lie."""

from __future__ import annotations

import io
import os
import random
import socket
import stat
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from support.tiny import make

from kagglekit.config.load import load_config
from kagglekit.errors import ArchiveError, ConfigError, KagglekitError, MissingError
from kagglekit.files import archive, places
from kagglekit.files.resolve import File, fingerprint_of, is_there, list_files, read_file, stream
from kagglekit.files.workspace import Workspace

TABLE = b"fname,label\n1.wav,yes\n"
AUDIO = {f"{label}/{i}.wav": f"{label}{i}".encode() * 50 for label in ("yes", "no") for i in range(3)}
"""The same file names in two folders."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    config = load_config(make(tmp_path, speakers=1, test_clips=1), ["competition.slug=birds"])
    for path in (tmp_path / "host").iterdir():
        path.unlink()
    return Workspace(config)


def as_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def as_7z(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(data, name)
    return buffer.getvalue()


def as_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def as_tgz(files: dict[str, bytes]) -> bytes:
    return as_tar(files, "w:gz")


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contents(workspace: Workspace, *patterns: str, root: Path | None = None) -> dict[str, bytes]:
    taken: dict[str, bytes] = {}
    stream(workspace, patterns, lambda file, data: taken.update({file.path: data}), root=root)
    return taken


def within(folder: str, files: dict[str, bytes] = AUDIO) -> dict[str, bytes]:
    return {folder + name: data for name, data in files.items()}


# --- one set, four layouts ---

LAYOUTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "table in the archive": (
        lambda raw: put(raw, {"train.zip": as_zip(within("audio/") | {"train.csv": TABLE})}),
        "train.zip/audio/",
        "train.zip/train.csv",
    ),
    "table beside": (
        lambda raw: put(raw, {"train.7z": as_7z(within("audio/")), "train.csv": TABLE}),
        "train.7z/audio/",
        "train.csv",
    ),
    "table beside, as a zip": (
        lambda raw: put(raw, {"train.tgz": as_tgz(AUDIO), "train.csv.zip": as_zip({"train.csv": TABLE})}),
        "train.tgz/",
        "train.csv",
    ),
    "tar": (
        lambda raw: put(raw, {"train.tar": as_tar(within("./audio/")), "train.csv": TABLE}),
        "train.tar/audio/",
        "train.csv",
    ),
    "tar.bz2": (
        lambda raw: put(raw, {"a b.tar.bz2": as_tar(AUDIO, "w:bz2"), "train.csv": TABLE}),
        "a b.tar.bz2/",
        "train.csv",
    ),
    "loose tree": (lambda raw: put(raw, within("audio/") | {"train.csv": TABLE}), "audio/", "train.csv"),
    "bundle": (
        lambda raw: put(raw, {"birds.zip": as_zip(within("audio/") | {"train.csv": TABLE})}),
        "audio/",
        "train.csv",
    ),
    "bundle of archives": (
        lambda raw: put(raw, {"birds.zip": as_zip({"train.7z": as_7z(AUDIO), "train.csv": TABLE})}),
        "train.7z/",
        "train.csv",
    ),
    "bundle in a bundle": (
        lambda raw: put(
            raw, {"birds.zip": as_zip({"birds-data.zip": as_zip(within("audio/") | {"train.csv": TABLE})})}
        ),
        "audio/",
        "train.csv",
    ),
    "nested": (
        lambda raw: put(
            raw,
            {
                "m.zip": as_zip(
                    {"essential/data.tar.gz": as_tgz(within("wavs/")), "essential/train.csv": TABLE}
                )
            },
        ),
        "m.zip/essential/data.tar.gz/wavs/",
        "m.zip/essential/train.csv",
    ),
    "mounted": (
        lambda raw: put(raw.parents[1] / "input/competitions/birds", within("audio/") | {"train.csv": TABLE}),
        "audio/",
        "train.csv",
    ),
    "mounted in older images": (
        lambda raw: put(raw.parents[1] / "input/birds", {"train.zip": as_zip(AUDIO), "train.csv": TABLE}),
        "train.zip/",
        "train.csv",
    ),
    "mounted, its archive unpacked by Kaggle": (
        lambda raw: put(raw.parents[1] / "input/competitions/birds", within("train/") | {"train.csv": TABLE}),
        "train.zip/",
        "train.csv",
    ),
    "local host": (
        lambda raw: (put(raw.parents[1] / "host", within("audio/")), put(raw, {"train.csv": TABLE})),
        "audio/",
        "train.csv",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_files(layout: str, workspace: Workspace) -> None:
    lay, folder, table = LAYOUTS[layout]
    lay(workspace.raw)
    for pattern in (f"{folder}*/*.wav", f"{folder}**/*.wav"):
        found = list_files(workspace, pattern)
        assert sorted(found) == sorted(File(folder + name, len(data)) for name, data in AUDIO.items())
        assert contents(workspace, pattern) == within(folder)
    assert read_file(workspace, table) == TABLE
    assert [file.path for file in list_files(workspace, f"{folder}yes/?.wav")] == [
        f"{folder}yes/{i}.wav" for i in range(3)
    ]
    first = fingerprint_of(workspace, [f"{folder}*/*.wav", table])
    assert first == fingerprint_of(workspace, [f"{folder}*/*.wav", table])


@pytest.mark.parametrize("layout", ["table beside", "nested", "loose tree", "bundle of archives"])
def test_a_folder_of_ones_own(layout: str, workspace: Workspace, tmp_path: Path) -> None:
    lay, folder, table = LAYOUTS[layout]
    own = tmp_path / "own"
    lay(own)
    if layout == "bundle of archives":  # which is no bundle there
        folder, table = "birds.zip/train.7z/", "birds.zip/train.csv"
    assert contents(workspace, f"{folder}*/*.wav", root=own) == within(folder)
    assert read_file(workspace, table, root=own) == TABLE


def test_a_kaggle_data_set(workspace: Workspace, tmp_path: Path) -> None:
    path = "kaggle:rob/xeno-canto/audio/"
    with pytest.raises(MissingError, match="has not been fetched"):
        list_files(workspace, f"{path}*/*.wav")
    put(workspace.root, {"datasets/rob/xeno-canto.zip": as_zip(within("audio/"))})
    assert contents(workspace, f"{path}*/*.wav") == within(path)
    put(tmp_path / "input/datasets/rob/xeno-canto/audio", {"yes/9.wav": b"mounted"})
    assert contents(workspace, f"{path}*/*.wav") == {f"{path}yes/9.wav": b"mounted"}
    with pytest.raises(ConfigError, match="names no Kaggle data set"):
        list_files(workspace, "kaggle:xeno-canto")


def test_the_environment_names_a_mount(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "mine", within("audio/"))
    put(workspace.raw, {"audio/yes/9.wav": b"fetched"})
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "mine"))
    assert contents(workspace, "audio/*/*.wav") == within("audio/")
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="KAGGLEKIT_INPUT: there is no folder"):
        list_files(workspace, "audio/*/*.wav")


def test_a_read_only_mount_stays_as_it_is(workspace: Workspace, tmp_path: Path) -> None:
    mount = tmp_path / "input/birds"
    put(mount, {"m.zip": as_zip({"data.7z": as_7z(AUDIO)}), "audio/1.wav": b"1"})
    before = sorted(mount.rglob("*"))
    for path in [*before, mount]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert contents(workspace, "m.zip/data.7z/*/*.wav", "audio/*.wav")["audio/1.wav"] == b"1"
        fingerprint_of(workspace, ["m.zip/data.7z/*/*.wav", "audio/*.wav", "audio/1.wav"])
        assert sorted(mount.rglob("*")) == before
    finally:
        for path in [mount, *before]:
            path.chmod(0o755)


# --- patterns ---


@pytest.mark.parametrize("pack", [None, as_zip])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("t/*.wav", ["t/A.WAV", "t/a.wav", "t/b.Wav"]),
        ("t/A.wav", ["t/A.WAV"]),
        ("T/*.wav", []),
        ("t/*.csv", ["t/x.csv"]),  # and not x.CSV
        ("**/*.wav", ["t/A.WAV", "t/a.wav", "t/b.Wav", "t/u/v/c.wav", "tu\u0308r/1.wav"]),
        ("t/**/c.wav", ["t/u/v/c.wav"]),
        ("t/**/u/**/*.wav", ["t/u/v/c.wav"]),
        ("t/u/**", ["t/u/v/c.wav"]),
        ("t/*/c.wav", []),
        ("t/?.csv", ["t/x.csv"]),
        ("t/[ab].wav", ["t/[ab].wav"]),
        ("tür/*.wav", ["tu\u0308r/1.wav"]),  # NFD, as macOS packs
        ("t/x.csv", ["t/x.csv"]),
    ],
)
def test_patterns(
    pattern: str, expected: list[str], pack: Callable[[dict[str, bytes]], bytes] | None, workspace: Workspace
) -> None:
    names = ["t/A.WAV", "t/a.wav", "t/b.Wav", "t/x.csv", "t/y.CSV", "t/u/v/c.wav", "tu\u0308r/1.wav"]
    names += ["t/[ab].wav"] if "[" in pattern else []
    files = {name: name.encode() for name in names}
    put(workspace.raw, {"a.zip": pack(files)} if pack else files)
    prefix = "a.zip/" if pack else ""
    found = list_files(workspace, prefix + pattern, empty_ok=True)
    assert sorted(file.path for file in found) == [prefix + name for name in expected]
    assert contents(workspace, prefix + pattern) == {prefix + name: files[name] for name in expected}


@pytest.mark.parametrize(
    "pattern", ["../x/*.wav", "/etc/passwd", "a//b", "", "a/./b", "C:/x", "a\\b.wav", "a\n"]
)
def test_no_path_of_the_competition(pattern: str, workspace: Workspace) -> None:
    workspace.raw.mkdir(parents=True)
    with pytest.raises(ConfigError, match="is no path inside"):
        list_files(workspace, pattern)


def test_several_archives_by_one_pattern(workspace: Workspace) -> None:
    put(workspace.raw, {f"part{i}.zip": as_zip({"a.wav": str(i).encode()}) for i in (1, 2)})
    assert contents(workspace, "part*.zip/*.wav") == {"part1.zip/a.wav": b"1", "part2.zip/a.wav": b"2"}


def test_what_systems_add_is_no_data(workspace: Workspace) -> None:
    junk = [
        *(
            "__MACOSX/audio/._a.wav",
            "audio/._a.wav",
            "audio/.DS_Store",
            "audio/Thumbs.db",
            "audio/desktop.ini",
        ),
        *("audio/@eaDir/a.wav/SYNOAUDIO.wav", ".ipynb_checkpoints/a-checkpoint.wav", "$RECYCLE.BIN/$R1.wav"),
        *(
            "audio/Icon\r",
            "audio/.ipynb_checkpoints/a.wav",
            "audio/a.wav:Zone.Identifier",
            ".Trash-1000/files/a.wav",
        ),
    ]
    files = {"audio/a.wav": b"a"} | dict.fromkeys(junk, b"junk")
    packed = {name: content for name, content in files.items() if "\r" not in name and ":" not in name}
    put(workspace.raw, {"a.zip": as_zip(packed)} | files)
    assert contents(workspace, "a.zip/**/*.wav") == {"a.zip/audio/a.wav": b"a"}
    assert contents(workspace, "audio/*") == {"audio/a.wav": b"a"}
    assert contents(workspace, "**/*.wav") == {"audio/a.wav": b"a"}


def test_the_solution_of_a_local_host_is_no_data(workspace: Workspace, tmp_path: Path) -> None:
    put(tmp_path / "host", {"solution.csv": b"secret", "a.csv": b"a"})
    assert contents(workspace, "*.csv") == {"a.csv": b"a"}
    with pytest.raises(MissingError):
        read_file(workspace, "solution.csv")


# --- reading ---


def test_one_pass_through_each_archive(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    put(workspace.raw, {"a.zip": as_zip(AUDIO), "b.tgz": as_tgz(AUDIO)})
    streamed: list[str] = []
    real = archive.stream

    def counting(path: Path, *rest: object) -> None:
        streamed.append(path.name)
        real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(archive, "stream", counting)
    taken = contents(workspace, "a.zip/yes/*.wav", "b.tgz/*/*.wav", "a.zip/no/*.wav", "a.zip/*/1.wav")
    assert taken == within("a.zip/") | within("b.tgz/")
    assert streamed == ["a.zip", "b.tgz"]


def test_only_what_is_wanted(workspace: Workspace) -> None:
    put(workspace.raw, {"a.zip": as_zip(AUDIO)} | within("audio/"))
    taken: list[str] = []
    wanted = ["a.zip/yes/1.wav", "audio/no/2.wav"]
    patterns = ["a.zip/*/*.wav", "audio/*/*.wav"]
    stream(workspace, patterns, lambda file, _: taken.append(file.path), wanted)
    assert taken == wanted
    stream(workspace, patterns, lambda file, _: taken.append(file.path), lambda files: [files[-1].path])
    assert taken == [*wanted, "audio/yes/2.wav"]
    with pytest.raises(MissingError, match=r"there is no file 'x'"):
        stream(workspace, patterns, lambda *_: None, ["x"])


def test_a_table_in_an_archive_of_its_name(workspace: Workspace) -> None:
    put(workspace.raw, {"sample.7z": as_7z({"d/sample.csv": TABLE, "readme.md": b"x"})})
    assert read_file(workspace, "sample.7z") == TABLE
    put(
        workspace.raw,
        {"two.zip": as_zip({"a.csv": b"a", "b.csv": b"b"}), "b.csv.zip": as_zip({"b.csv": b"b"})},
    )
    with pytest.raises(ArchiveError, match=r"holds 2 tables, not one: 'a\.csv', 'b\.csv'") as caught:
        read_file(workspace, "two.zip")
    assert caught.value.hint == "name one in competition.yaml, such as two.zip/a.csv"
    assert read_file(workspace, "two.zip/b.csv") == b"b" == read_file(workspace, "b.csv")
    with pytest.raises(ConfigError, match="matches 3 files"):
        read_file(workspace, "*.*")


def test_too_large_for_memory(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1000)
    put(workspace.raw, {"a.zip": as_zip({"x.wav": bytes(1001)}), "audio/x.wav": bytes(1001)})
    for pattern in ("a.zip/*.wav", "audio/*.wav"):
        with pytest.raises(ArchiveError, match=r"x\.wav'? has 1,001 bytes, more than the limit of 1,000"):
            contents(workspace, pattern)
    assert len(read_file(workspace, "a.zip/x.wav")) == 1001  # a table may be larger than a clip


def test_fingerprints_tell_what_has_changed(workspace: Workspace, tmp_path: Path) -> None:
    put(workspace.raw, {"a.zip": as_zip(AUDIO), "train.csv": TABLE} | within("audio/"))
    patterns = ["a.zip/*/*.wav", "audio/*/*.wav", "train.csv", "absent.csv"]
    before = [fingerprint_of(workspace, pattern) for pattern in patterns]
    os.utime(workspace.raw / "a.zip", ns=(1, 1))
    os.utime(workspace.raw / "train.csv", ns=(1, 1))
    assert [fingerprint_of(workspace, pattern) for pattern in patterns] == before  # the bytes are the same
    put(
        workspace.raw,
        {"a.zip": as_zip({"yes/1.wav": b"other"}), "train.csv": b"other", "audio/yes/9.wav": b""},
    )
    after = [fingerprint_of(workspace, pattern) for pattern in patterns]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, False, True]
    assert fingerprint_of(workspace, patterns) != fingerprint_of(workspace, patterns[:2])


# --- what is refused ---


def refused(workspace: Workspace, pattern: str, error: type[KagglekitError] = ArchiveError) -> KagglekitError:
    with pytest.raises(error) as caught:
        contents(workspace, pattern)
    assert caught.value.hint and "\n" not in str(caught.value)
    return caught.value


def test_nothing_matches(workspace: Workspace) -> None:
    put(workspace.raw, {"a.zip": as_zip(within("train/audio/")), "train.csv": TABLE})
    with pytest.raises(ConfigError) as caught:
        list_files(workspace, "a.zip/train/audo/*/*.wav")
    assert str(caught.value) == (
        f"no file matches 'a.zip/train/audo/*/*.wav': {workspace.raw / 'a.zip'} holds 6 files, such as "
        "'train/audio/yes/0.wav', 'train/audio/yes/1.wav', 'train/audio/yes/2.wav', …"
    )
    assert caught.value.hint == (
        "the closest folder is 'a.zip/train/audio'; correct the path in competition.yaml"
    )
    with pytest.raises(ConfigError) as caught:
        list_files(workspace, "a.zip/train/audio/*/*.ogg")
    assert "the folder is there" in str(caught.value.hint)
    with pytest.raises(MissingError) as missing:
        list_files(workspace, "test.zip/*.wav")
    assert missing.value.hint == "fetch it: kagglekit fetch"


def test_traversal_in_a_nested_archive(workspace: Workspace) -> None:
    put(workspace.raw, {"a.zip": as_zip({"b.tar": as_tar({"../../x.wav": b"x"})})})
    assert "unsafe path: '../../x.wav'" in str(refused(workspace, "a.zip/b.tar/*.wav"))
    assert not list(workspace.raw.parent.rglob("x.wav"))


def test_nested_too_deep(workspace: Workspace) -> None:
    inner = data = as_zip({"x.wav": b"x"})
    for level in (3, 2, 1):
        data = as_zip({f"{level}.zip": data})
    put(workspace.raw, {"0.zip": data})
    assert "nested too deep" in str(refused(workspace, "0.zip/1.zip/2.zip/3.zip/*.wav"))
    assert contents(workspace, "0.zip/1.zip/2.zip/*.zip") == {"0.zip/1.zip/2.zip/3.zip": inner}


def test_a_damaged_archive(workspace: Workspace) -> None:
    put(workspace.raw, {"a.zip": as_zip(AUDIO)[:-30], "b.zip": as_zip({"c.7z": as_7z(AUDIO)[:-9]})})
    assert "truncated" in str(refused(workspace, "a.zip/*/*.wav"))
    assert "truncated" in str(refused(workspace, "b.zip/c.7z/*/*.wav"))


def test_links_and_devices_in_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    put(workspace.raw, within("audio/"))
    put(tmp_path / "elsewhere", {"secret.wav": b"secret"})
    audio = workspace.raw / "audio"
    (audio / "inner.wav").symlink_to("yes/1.wav")
    assert contents(workspace, "audio/*.wav") == {"audio/inner.wav": AUDIO["yes/1.wav"]}
    (audio / "yes/up").symlink_to("..")  # a circle
    assert contents(workspace, "audio/**/1.wav") == {
        f"audio/{n}/1.wav": AUDIO[f"{n}/1.wav"] for n in ("no", "yes")
    }
    (audio / "out.wav").symlink_to(tmp_path / "elsewhere/secret.wav")
    assert "audio/out.wav is a link that leads out" in str(refused(workspace, "audio/*.wav"))
    assert contents(workspace, "audio/no/*.wav")  # nobody asks for it here
    (audio / "out.wav").unlink()
    (audio / "gone.wav").symlink_to("nowhere")
    assert "leads nowhere" in str(refused(workspace, "audio/*.wav"))
    (audio / "gone.wav").unlink()
    (audio / "out").symlink_to(tmp_path / "elsewhere")
    for pattern in ("audio/*/*.wav", "audio/**/*.wav", "audio/out/*.wav", "audio/out/secret.wav"):
        assert "leads out" in str(refused(workspace, pattern))
    (audio / "out").unlink()
    os.mkfifo(audio / "pipe.wav")
    assert "no regular file" in str(refused(workspace, "audio/*.wav"))
    (audio / "pipe.wav").unlink()
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(os.path.relpath(audio / "s.wav"))
        assert stat.S_ISSOCK((audio / "s.wav").stat().st_mode)
        assert "no regular file" in str(refused(workspace, "audio/s.wav"))


def test_a_large_tree(workspace: Workspace) -> None:
    """5,000 files: bounded memory and time, and short messages."""
    rng, names = random.Random(0), [f"train_audio/{i % 50:02d}/XC{i:06d}.ogg" for i in range(5_000)]
    for i in range(50):
        (workspace.raw / f"train_audio/{i:02d}").mkdir(parents=True)
    for name in names:
        (workspace.raw / name).touch()
    start = time.perf_counter()
    tracemalloc.start()
    found = list_files(workspace, "train_audio/**/*.ogg")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [file.path for file in found] == sorted(names)
    assert peak < 5e6 and time.perf_counter() - start < 20
    taken: list[str] = []
    some = {rng.choice(names) for _ in range(50)}
    stream(workspace, "train_audio/**/*.ogg", lambda file, _: taken.append(file.path), some)
    assert set(taken) == some
    with pytest.raises(ConfigError) as caught:
        list_files(workspace, "train_audo/**/*.ogg")
    assert len(str(caught.value)) < 400 and "holds 5,000 files" in str(caught.value)


@pytest.mark.parametrize("ending", [".zip", ".7z"])
def test_a_table_that_came_packed_counts_by_its_content(ending: str, workspace: Workspace) -> None:
    pack = as_zip if ending == ".zip" else as_7z
    put(workspace.raw, {f"train.csv{ending}": pack({"train.csv": TABLE})})
    first = fingerprint_of(workspace, "train.csv")
    put(workspace.raw, {f"train.csv{ending}": pack({"train.csv": TABLE + b"2.wav,no\n"})})
    assert read_file(workspace, "train.csv").endswith(b"no\n") and is_there(workspace, "train.csv")
    assert fingerprint_of(workspace, "train.csv") != first != fingerprint_of(workspace, "gone.csv")
