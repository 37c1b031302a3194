"""A fresh Python with what the host's image has and nothing else: no kagglekit, no torch."""

import os
import sys
import venv
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from kagglekit.notebooks.script import TOGETHER
from kagglekit.notebooks.wheel import PACKAGES

BESIDES = ("pip", "cffi", "pycparser", "protobuf", "flatbuffers", "packaging")
"""Packages of the image that PACKAGES need."""


def fresh_python(folder: Path, travelling: Collection[Path]) -> Path:
    """Make an environment in a folder, and return its interpreter.

    Its packages are links to those that are installed here, save those that travel along as wheels for this
    version of Python.
    """
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    (site,) = folder.glob("lib/python3*/site-packages")
    there = {_plain(path.name.partition("-")[0]) for path in travelling if _fits(path.name)}
    for names in ((*TOGETHER.get(name, (name,)),) for name in (*PACKAGES, *BESIDES)):
        if not {_plain(name) for name in names} <= there:
            for name in names:
                _link(name, site)
    return folder / "bin" / "python"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _fits(wheel: str) -> bool:
    """Tell whether a wheel is for this version of Python."""
    tags = wheel.removesuffix(".whl").split("-")[2].split(".") if wheel.count("-") >= 4 else []
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return bool({own, "py3"} & set(tags))


def _link(name: str, site: Path) -> None:
    """Link the folders and modules of an installed package."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return
    for top in _tops(package):
        source = Path(str(package.locate_file(top)))
        if source.exists() and not (site / top).exists():
            (site / top).symlink_to(source)


def _tops(package: Distribution) -> Iterable[str]:
    parts = (Path(str(path)).parts for path in package.files or ())
    return dict.fromkeys(part[0] for part in parts if part and part[0] not in ("..", "/", "__pycache__"))
