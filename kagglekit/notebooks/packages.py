"""Wheels of the packages that the host's image may lack, for its versions of Python, from PyPI."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.notebooks.script import TOGETHER
from kagglekit.notebooks.wheel import PACKAGES
from kagglekit.terminal import console

IN_IMAGE = ("numpy", "polars")
"""Packages that every image of Kaggle has, and whose wheels are large."""
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)
TIMEOUT_S = 600
MOST_BYTES = 100 * 10**6
"""Of all wheels that travel along."""


def _pins(packages: Sequence[str]) -> list[str]:
    """Return `name==version` of each package as it is installed here, since it was tried with that.

    Raises:
        ConfigError: one is not installed.
    """
    names = [other for name in packages if name not in IN_IMAGE for other in TOGETHER.get(name, (name,))]
    try:
        return [f"{name}=={version(name)}" for name in names]
    except PackageNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'kagglekit[onnx]'") from error


def wheels(
    root: Path, pythons: Sequence[str], folder: Path | None = None, packages: Sequence[str] = PACKAGES
) -> list[Path]:
    """Return wheels of the packages, downloaded once.

    Args:
        root: the workspace's folder of notebooks, in which they are kept.
        pythons: versions such as 3.12.
        folder: with wheels of your own, which are taken instead.
        packages: what is needed.

    Raises:
        ConfigError: the folder has no wheel, or the wheels are too large.
        KagglekitError: PyPI cannot be reached, or has no wheel for a version of Python.
    """
    if folder is not None:
        found = sorted(folder.glob("*.whl"))
        if not found:
            raise ConfigError(
                f"{folder} has no wheel", hint="fill it: pip download --dest FOLDER onnxruntime"
            )
    else:
        pins = _pins(packages)
        key = key_of(pins, list(pythons))
        kept = root / f"wheels-{key}"
        with building(kept, key) as part:
            if part is not None:
                for python in pythons:
                    console.note(f"downloading the wheels of {len(pins)} packages for Python {python}")
                    _download(part, pins, python)
        found = sorted(kept.glob("*.whl"))
    if (size := sum(path.stat().st_size for path in found)) > MOST_BYTES:
        raise ConfigError(
            f"the wheels have {size / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:,.0f}",
            hint="name fewer versions in competition.limits.python",
        )
    return found


def _download(folder: Path, pins: Sequence[str], python: str) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--python-version", python, *platforms, "--dest", str(folder), *pins),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(python, str(error)) from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise _failed(python, (lines or done.stderr.splitlines() or ["pip failed"])[-1].strip()[:300])


def _failed(python: str, why: str) -> KagglekitError:
    return KagglekitError(
        f"the wheels for Python {python} cannot be downloaded: {why}",
        hint="check the network and competition.limits.python, or name a folder with wheels: --wheels FOLDER",
    )
