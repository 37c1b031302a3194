"""The script that the host runs: find the data set, add the packages that the image lacks, and predict.

It is a text of its own, as it runs before kagglekit can be imported.
"""

from kagglekit.notebooks.wheel import least_versions

TOGETHER = {
    "polars": ("polars", "polars-runtime-32"),
    "pydantic": (
        *("pydantic", "pydantic-core", "annotated-types", "typing-extensions"),
        "typing-inspection",
    ),
}
"""Packages that are installed with others, as their versions must fit."""

BEGIN = '''\
"""{title}, build {key}. Written by kagglekit {version}; build it again rather than edit it.

{about}
"""

import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

STARTED = time.perf_counter()
KEY = "{key}"
MOUNTS = Path(os.environ.get("KAGGLEKIT_KAGGLE", "/kaggle")) / "input"
LEAST = {least!r}
TOGETHER = {together!r}


def data_set() -> Path:
    """Return the folder of the data set with this build, in either layout of mounts."""
    others = []
    for layout in ("*/manifest.json", "datasets/*/*/manifest.json", "*/*/manifest.json"):
        for path in sorted(MOUNTS.glob(layout)):
            if f'"key": "{{KEY}}"' in path.read_text(encoding="utf-8"):
                return path.parent
            others.append(str(path.parent))
    found = f"found other builds in {{', '.join(others)}}" if others else "found none"
    sys.exit(f"error: no data set below {{MOUNTS}} has the build {{KEY}}: {{found}}\\n"
             "hint:  add the data set {dataset} to the notebook, in its newest version")


def number(text: str) -> list[int]:
    """Return a version as numbers that can be compared."""
    return [int(part) if part.isdigit() else 0 for part in text.split(".")[:3]]


def lacking() -> list[str]:
    """Return the packages that the image lacks, or has in a version that is too old."""
    found = []
    for name, least in LEAST.items():
        try:
            old = number(version(name)) < number(least or "0")
        except PackageNotFoundError:
            old = True
        found += TOGETHER.get(name, (name,)) if old else ()
    return found


def install(folder: Path, names: list[str]) -> None:
    """Install packages from the wheels of the data set, where they do not change the image's own."""
    target = Path(os.environ.get("TMPDIR", "/tmp")) / f"kagglekit-packages-{{KEY}}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade",
               "--disable-pip-version-check", "--find-links", str(folder), "--target", str(target), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        python = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"error: {{', '.join(names)}} cannot be installed for Python {{python}}: "
                 f"{{done.stderr.strip()[-500:]}}\\n"
                 f"hint:  build the notebook again with {{python}} in competition.limits.python")
    sys.path.insert(0, str(target))


folder = data_set()
if names := lacking():
    print(f"installing {{', '.join(names)}} from {{folder}}", flush=True)
    install(folder, names)
'''
"""What every script begins with."""

PREDICT = """\
sys.path.insert(0, str(next(folder.glob("{wheel}-*.whl"))))

from kagglekit.inference.submit import main  # noqa: E402

sys.exit(main(folder, Path("{output}").absolute(), STARTED))
"""


def script(key: str, title: str, about: str, dataset: str, output: str, version: str, wheel: str) -> str:
    """Return the script's text.

    Args:
        key: of the build, which the data set must have.
        title: of the kernel.
        about: a line about the blend, without quotes.
        dataset: slug of the data set.
        output: name of the file to write.
        version: of kagglekit.
        wheel: name of kagglekit's wheel, without its version.
    """
    return (BEGIN + PREDICT).format(
        key=key,
        title=title,
        about=about,
        dataset=dataset,
        output=output,
        version=version,
        wheel=wheel,
        least=least_versions(),
        together=TOGETHER,
    )
