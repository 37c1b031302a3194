"""What is damaged: whole files of every kind, and competitions as far as they have come."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import py7zr
import pyarrow as pa
import pyarrow.parquet as pq

import kagglekit
from support import tiny
from support.sounds import FFMPEG, by_ffmpeg, encode, tone

PACKAGE = Path(kagglekit.__file__).parent
STAGES: dict[str, tuple[str, ...]] = {
    "host": (),
    "tables": (),
    "trained": (
        *("fetch", "prepare", "train --model tcresnet", "train --model gru", "ensemble --model tcresnet,gru"),
        *("submit --ensemble tcresnet --upload --yes", "tune --model tcresnet --no-train --trials 1"),
    ),
}
TABLES = """\
competition:
  slug: tiny
  metric: accuracy
  host: local
  local: {files: host, solution: host/solution.csv, grading_seconds: 0}
data:
  sample: sample_submission.csv
  train:
    - {files: train.zip/train/*.wav, table: train.csv, file: fname, label: label, start: start, end: end,
       group: speaker, fold: fold, weight: weight}
  test: {files: test.zip/test/audio/*.wav}
audio: {sample_rate: 8000, seconds: 0.5}
labels: {classes: [low, mid], filler: unknown}
validation: {folds: 2}
features: {n_mels: 20, window_ms: 32, hop_ms: 16, fmin: 50, fmax: 3900}
submission: {shape: label, id: fname}
"""
_boxes = Path(tempfile.gettempdir())


def make_boxes(folder: Path) -> None:
    """Make a competition for each stage; in a process of its own, as polars and torch start threads."""
    global _boxes
    _boxes = folder
    pid = os.fork()
    if not pid:
        status = 1
        try:
            for stage, commands in STAGES.items():
                _make_box(folder / stage, stage, commands)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0, "the competitions could not be made"


def _make_box(box: Path, stage: str, commands: tuple[str, ...]) -> None:
    from contextlib import chdir, redirect_stdout

    from kagglekit.cli import main

    yaml = tiny.make(box, speakers=4, test_clips=8)
    text = (
        yaml.read_text()
        .replace("epochs: 12", "epochs: 8")
        .replace("trials: 3, epochs: 2", "trials: 1, epochs: 1")
    )
    yaml.write_text(text.replace("jobs: auto", "") + "jobs: 1\n")
    if stage == "tables":
        _with_tables(box)
    with chdir(box), redirect_stdout(io.StringIO()):
        for command in commands:
            assert main([*command.split(), "--quiet"]) == 0, command


def _with_tables(box: Path) -> None:
    """The same recordings, with labels in a table, in the second edition."""
    archive = box / "host" / "train.zip"
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist() if "_noise_" not in name}
    rows = ["fname,label,start,end,speaker,fold,weight"]
    with zipfile.ZipFile(archive, "w") as new:
        for number, (name, data) in enumerate(files.items()):
            word, speaker = name.split("/")[2], name.split("/")[3][:8]
            new.writestr(f"train/{number:03d}.wav", data)
            rows.append(f"{number:03d}.wav,{word},0.0,0.5,{speaker},{int(speaker, 16) % 2},1.0")
    (box / "host" / "train.csv").write_text("\n".join(rows) + "\n")
    (box / "competition.yaml").write_text(TABLES)


def copy(stage: str, folder: Path) -> Path:
    """Return a new copy of a competition."""
    box = folder / "box"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(_boxes / stage, box)
    return box


def yaml_of(box: Path) -> str:
    return (box / "competition.yaml").read_text()


@cache
def yamls() -> list[str]:
    shipped = sorted((PACKAGE / "competitions").glob("*.yaml"))
    return [tiny.YAML, *(path.read_text(encoding="utf-8") for path in shipped), tiny.YAML, TABLES, TABLES]


@cache
def recordings() -> list[tuple[str, bytes]]:
    """A recording of a quarter of a second in every format that this machine can write."""
    sound = tone(16_000, 0.25)
    kinds = (
        *(
            ("WAV", None),
            ("WAV", "FLOAT"),
            ("WAV", "PCM_24"),
            ("WAV", "IMA_ADPCM"),
            ("WAVEX", "PCM_U8"),
            ("RF64", None),
            ("W64", None),
        ),
        *(
            ("FLAC", None),
            ("OGG", "VORBIS"),
            ("OGG", "OPUS"),
            ("MP3", None),
            ("AIFF", None),
            ("AU", None),
            ("CAF", None),
            ("NIST", None),
        ),
    )
    written = [(f"{kind} {subtype or ''}", encode(sound, 16_000, kind, subtype)) for kind, subtype in kinds]
    return [*written, *((kind, by_ffmpeg(kind, 0.25)) for kind in FFMPEG)]


@cache
def archives() -> list[tuple[str, bytes]]:
    """An archive of four recordings and a table, of every kind."""
    wav = encode(tone(8000, 0.05), 8000)
    files = {f"train/a/{n}.wav": wav for n in range(3)} | {
        "train/b/4.wav": wav,
        "train.csv": b"fname,label\n4.wav,b\n",
    }
    kept = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        kept.append(("a.zip", zip_of(files, method)))
    for mode, ending in (("w:", ""), ("w:gz", ".gz"), ("w:bz2", ".bz2"), ("w:xz", ".xz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        kept.append((f"a.tar{ending}", file.getvalue()))
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as seven:
        for name, data in files.items():
            seven.writestr(data, name)
    kept.append(("a.7z", file.getvalue()))
    sounds = pa.table(
        {"audio": [{"bytes": data, "path": name} for name, data in files.items()], "label": ["a"] * 5}
    )
    file = io.BytesIO()
    pq.write_table(sounds, file)
    return [*kept, ("a.parquet", file.getvalue())]


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method
            archive.writestr(info, data)
    return file.getvalue()


NAMES = (
    "",
    "/",
    ".",
    "..",
    "../x",
    "/etc/x",
    "a/../../x",
    "C:\\x",
    "\\\\host\\x",
    "a\\b",
    "a//b",
    "./a",
    "a/",
    "x" * 300,
    "a\nb",
    "\x1b[31m",
    "CON",
    "\u202e",
)


def odd_archives() -> list[Callable[[random.Random], bytes]]:
    """Archives with unsafe names, links, devices, bombs, and too many members."""
    return [_zip_of_odd_names, _tar_of_links, _bomb, _many, _overlapping]


def _zip_of_odd_names(rng: random.Random) -> bytes:
    return zip_of(
        {rng.choice(NAMES) + rng.choice(("", "a.wav", ".wav")): b"x" for _ in range(rng.randint(1, 4))}
    )


def _tar_of_links(rng: random.Random) -> bytes:
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file,
        mode=rng.choice(("w:", "w:gz")),
        format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)),
    ) as tar:
        for kind in rng.choices(
            (
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.CHRTYPE,
                tarfile.FIFOTYPE,
                tarfile.REGTYPE,
                tarfile.DIRTYPE,
                b"S",
                b"?",
            ),
            k=3,
        ):
            info = tarfile.TarInfo(rng.choice(NAMES))
            info.type, info.linkname, info.size = kind, rng.choice(NAMES), 0
            if kind == tarfile.REGTYPE and rng.random() < 0.3:
                info.pax_headers = {"size": rng.choice(("-1", "x", "9" * 30)), "path": rng.choice(NAMES)}
            tar.addfile(info)
    return file.getvalue()


def _bomb(rng: random.Random) -> bytes:
    """Zeros that unpack to 100 times a clip's limit in no time, with a true or a false size."""
    data = bytearray(zip_of({"a.wav": bytes(50_000_000)}))
    if rng.random() < 0.5:
        at = data.find(b"PK\x01\x02") + 24
        data[at : at + 4] = rng.choice((0, 100, 2**32 - 1)).to_bytes(4, "little")
    return bytes(data)


def _many(rng: random.Random) -> bytes:
    return zip_of({f"{n}.wav": b"" for n in range(3000)}, zipfile.ZIP_STORED)


def _overlapping(rng: random.Random) -> bytes:
    """Two names for the same bytes (a bomb needs thousands)."""
    data = bytearray(zip_of({"a.wav": b"x" * 99, "b.wav": b"x" * 99}, zipfile.ZIP_STORED))
    second = data.rfind(b"PK\x01\x02") + 42
    data[second : second + 4] = bytes(4)
    return bytes(data)


@cache
def tables() -> list[tuple[str, bytes]]:
    """A table in every coding, separated by everything, plain and packed."""
    rows = [
        ("fname", "label", "größe"),
        *((f"{n:03d}.wav", ("low", "mid", "a,b", 'a "b"')[n % 4], str(n / 7)) for n in range(30)),
    ]

    def text(mark: str) -> str:
        return (
            "\n".join(
                mark.join(
                    '"' + cell.replace('"', '""') + '"' if set(cell) & set(mark + '"') else cell
                    for cell in row
                )
                for row in rows
            )
            + "\n"
        )

    comma = text(",")
    frame = pa.table({name: [row[n] for row in rows[1:]] for n, name in enumerate(rows[0])})
    file = io.BytesIO()
    pq.write_table(frame, file)
    packed = zlib.compressobj(wbits=31)
    gzip = packed.compress(comma.encode()) + packed.flush()
    seven = io.BytesIO()
    with py7zr.SevenZipFile(seven, "w") as archive:
        archive.writestr(comma, "a.csv")
    return [
        *(("a.csv", comma.encode(coding)) for coding in ("utf-8", "utf-8-sig", "utf-16", "cp1252")),
        *(("a.csv", text(mark).encode()) for mark in "\t;|"),
        *(
            ("a.csv.gz", gzip),
            ("a.zip", zip_of({"a.csv": comma.encode()})),
            ("a.7z", seven.getvalue()),
            ("a.parquet", file.getvalue()),
        ),
    ]
