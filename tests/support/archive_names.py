"""Read zips and tars with odd names by any Python, and print what comes of each as JSON.

Python's zipfile and tarfile change with its version: how a name with a NUL or a backslash is cut, how cp437 is
told from UTF-8. This needs Python alone, and no package: what the readers import besides, for other formats,
is stood in for. So it also runs in Pyodide (npm), which has Python 3.12 to 3.14; docs/LOG.md says how.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
import types
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] if "__file__" in globals() else Path("/repo")
ERRORS = ("ArchiveError", "CrcError", "PasswordRequired", "PpmdError", "ZstdError", "LZMAError")
NAMES = (
    *(
        "a/x.wav",
        "./a/x.wav",
        "a\\x.wav",
        "..\\x.wav",
        "../x",
        "a/../../x",
        "/etc/x",
        "C:/x",
        "a//b",
        "a/./x",
    ),
    *(
        "a/",
        "a\\",
        "",
        ".",
        "..",
        "a\nb",
        "a\x00b",
        "a.wav\x00../b",
        "tür.wav",
        "tu\u0308r.wav",
        "鳥.wav",
        "🐦.wav",
    ),
    *("[x].wav", "a b.wav", "a.WAV", "Icon\r", "x" * 300 + ".wav"),
)
PAIRS = (
    ("a/x.wav", "./a/x.wav"),
    ("a/x.wav", "a\\x.wav"),
    ("a.wav", "A.wav"),
    ("tür", "tu\u0308r"),
    ("a", "a/b"),
)


def missing(name: str) -> type:
    """Return an empty class of this name, as the attribute of a module that is not there."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (Exception if name in ERRORS else object,), {})


def stand_in() -> None:
    """Let kagglekit's readers be imported without their packages, and without the package's other modules."""
    for name in ("py7zr", "py7zr.exceptions", "py7zr.io", "pyppmd", "backports", "lzma", "compression"):
        try:
            __import__(name)
        except ImportError:
            module = types.ModuleType(name)
            module.__getattr__ = missing  # type: ignore[method-assign]
            sys.modules[name] = module
    sys.modules["lzma"].open = getattr(sys.modules["lzma"], "open", None)  # type: ignore[attr-defined]
    zstd = types.SimpleNamespace(open=None, ZstdError=type("ZstdError", (Exception,), {}))
    for name in ("backports", "compression"):
        if not hasattr(sys.modules[name], "__path__"):
            sys.modules[name].zstd = zstd  # type: ignore[attr-defined]
    for name in ("kagglekit", "kagglekit.files", "kagglekit.files.archive"):
        package = types.ModuleType(name)
        package.__path__ = [str(ROOT / name.replace(".", "/"))]
        sys.modules[name] = package


def zipped(path: Path, names: tuple[str, ...], *, utf8: bool) -> None:
    """Write a zip by hand, whose names no library has corrected: in UTF-8 and marked so, or as old tools do."""
    local, central = io.BytesIO(), io.BytesIO()
    for name in names:
        raw = name.encode("utf-8" if utf8 or not _is_cp437(name) else "cp437")
        flags = (0x800 if utf8 else 0).to_bytes(2, "little")
        common = flags + bytes(6) + _crc() + (1).to_bytes(4, "little") * 2 + len(raw).to_bytes(2, "little")
        start = local.tell().to_bytes(4, "little")
        local.write(b"PK\x03\x04\x14\x00" + common + bytes(2) + raw + b"x")
        central.write(b"PK\x01\x02\x14\x00\x14\x00" + common + bytes(12) + start + raw)
    count, size = len(names).to_bytes(2, "little"), central.tell().to_bytes(4, "little")
    end = b"PK\x05\x06" + bytes(4) + count * 2 + size + local.tell().to_bytes(4, "little") + bytes(2)
    path.write_bytes(local.getvalue() + central.getvalue() + end)


def _crc() -> bytes:
    return zipfile.crc32(b"x").to_bytes(4, "little")  # type: ignore[attr-defined]


def _is_cp437(name: str) -> bool:
    try:
        name.encode("cp437")
    except UnicodeError:
        return False
    return True


def tarred(path: Path, names: tuple[str, ...]) -> None:
    with tarfile.open(path, "w") as out:
        for name in names:
            entry = tarfile.TarInfo("x")
            entry.name, entry.size = name, 1
            out.addfile(entry, io.BytesIO(b"x"))


def outcome(reader: object, path: Path) -> object:
    """Return the names of the members that are read, or the error."""
    try:
        with reader(path) as archive:  # type: ignore[operator]
            return [member.name for member in archive.members]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    stand_in()
    from kagglekit.files.archive.tar import open_tar
    from kagglekit.files.archive.zip import open_zip

    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for names in (*((name,) for name in NAMES), *PAIRS):
            key = " | ".join(names)
            for utf8 in (True, False):
                path = Path(folder, "a.zip")
                zipped(path, names, utf8=utf8)
                results[f"zip {'UTF-8' if utf8 else 'cp437'} {key!r}"] = outcome(open_zip, path)
            path = Path(folder, "a.tar")
            path.unlink(missing_ok=True)
            tarred(path, names)
            results[f"tar {key!r}"] = outcome(open_tar, path)
    print(json.dumps({"python": sys.version.split()[0], "results": results}))


if __name__ == "__main__":
    main()
