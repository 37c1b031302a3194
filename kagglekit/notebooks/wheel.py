"""A wheel of kagglekit with the modules that inference imports, and no others.

They are found in the import graph, imports inside functions included; imports for types alone are not.
"""

import ast
import base64
import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import kagglekit
from kagglekit import __version__

ENTRY = "kagglekit.inference.submit"
NAME = "kagglekit_inference"
PACKAGES = ("numpy", "polars", "pydantic", "onnxruntime", "soundfile", "soxr", "filelock", "xxhash")
"""What the modules need besides the standard library. Others are imported where a file needs them alone:
py7zr for a 7z archive, pyarrow for a Parquet table, PyAV for AAC."""
_ROOT = Path(kagglekit.__file__).parent
_WHEN = (2020, 1, 1, 0, 0, 0)  # of each file in the wheel, so that the same code gives the same bytes


def _path(module: str) -> Path | None:
    """Return the file of a module of kagglekit; None where the name is none."""
    path = _ROOT.joinpath(*module.split(".")[1:])
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module imports when it runs, those of `from a import b` as a.b."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _imported(other)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imported(node)


def _modules_of(name: str) -> list[str]:
    """Return the modules of ours that importing a name runs: the packages around it, and the module."""
    parts = name.split(".")
    if parts[0] != "kagglekit":
        return []
    names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return [module for module in names if _path(module) is not None]


@cache
def inference_modules() -> dict[str, Path]:
    """Return the modules that inference may import, with their files, in the order of their names."""
    found: dict[str, Path] = {}
    waiting = _modules_of(ENTRY)
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if module in found or path is None:
            continue
        found[module] = path
        # the package itself imports the whole of kagglekit for `open`, which inference does not call
        if module != "kagglekit":
            for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
                waiting += _modules_of(name)
        else:
            waiting += _modules_of("kagglekit.errors")
    return dict(sorted(found.items()))


def all_files() -> dict[str, Path]:
    """Return all files of kagglekit by their paths in a wheel, for a training on the host."""
    files = (path for path in sorted(_ROOT.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(_ROOT.parent).as_posix(): path for path in files}


def least_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the lowest version of each package that kagglekit works with; "" for any."""
    try:
        listed = requires("kagglekit") or []
    except PackageNotFoundError:  # run from a folder
        listed = []
    found = dict.fromkeys(packages, "")
    for line in listed:
        name, _, version = line.partition(";")[0].partition(">=")
        if name.strip() in found and not found[name.strip()]:
            found[name.strip()] = version.partition(",")[0].strip()
    return found


def write_wheel(folder: Path) -> Path:
    """Write the wheel for inference into a folder."""
    files = {path.relative_to(_ROOT.parent).as_posix(): path for path in inference_modules().values()}
    return pack(folder, NAME, files, least_versions())


def pack(folder: Path, name: str, sources: Mapping[str, Path], needed: Mapping[str, str]) -> Path:
    """Write a wheel.

    Args:
        name: with underscores.
        sources: the files, by their paths in the wheel.
        needed: packages and their lowest versions, "" for any.
    """
    info = f"{name}-{__version__}.dist-info"
    path = folder / f"{name}-{__version__}-py3-none-any.whl"
    files = {place: source.read_bytes() for place, source in sources.items()}
    needs = "".join(f"Requires-Dist: {other}{f'>={v}' * bool(v)}\n" for other, v in needed.items())
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {__version__}\n{needs}".encode()
    )
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: kagglekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    rows = [f"{place},sha256={_digest(data)},{len(data)}\n" for place, data in files.items()]
    files[f"{info}/RECORD"] = ("".join(rows) + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for place, data in files.items():
            entry = zipfile.ZipInfo(place, _WHEN)
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
