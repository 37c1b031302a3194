"""Data sets, notebooks and code submissions of a local host, which runs them in a sandbox on this machine.

    host/<slug>/datasets/NAME/3/      files/, and the version's note in done.json
    host/<slug>/notebooks/NAME/2/     script.py, kernel.json and, once it has run, session.json and working/

The owner of all is called "you".
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kagglekit.config import Config
from kagglekit.errors import HostError
from kagglekit.files.atomic import building, done_key, move_into_place, read_json, write_json
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import lock_file
from kagglekit.hosts.base import target_path
from kagglekit.hosts.notebooks import (
    DatasetSpec,
    DatasetVersion,
    HostDataset,
    KernelSpec,
    Quota,
    SavedKernel,
    Session,
)
from kagglekit.hosts.sandbox import Finished, Sandbox, inputs_of

ACCOUNT = "you"
Accept = Callable[[str, str, Callable[[], bytes | str]], str]
"""Takes a submission: its file name, its message, and what answers with its bytes, or with an error."""


@dataclass(frozen=True)
class Ran:
    """What session.json holds."""

    code: int
    timed_out: bool
    log: str
    """JSON, as Kaggle's."""


class LocalNotebooks:
    """What a local host offers for notebooks; see `notebooks.NotebookService`."""

    def __init__(self, config: Config, state_dir: Path, accept: Accept) -> None:
        assert config.competition.local is not None  # checked by the config
        self._competition = config.competition
        self._local = config.competition.local
        self._state_dir = state_dir
        self._accept = accept

    @property
    def account(self) -> str:
        """The only user."""
        return ACCOUNT

    def gpu_quota(self) -> Quota | None:
        """Return None: nobody counts."""
        return None

    # --- data sets ---

    def dataset(self, slug: str) -> HostDataset | None:
        """Return a data set; None where there is none of that name."""
        numbers = _numbers(self._datasets / slug)
        if not numbers:
            return None
        versions = (
            DatasetVersion(n, done_key(self._datasets / slug / str(n)) or "", "ready") for n in numbers
        )
        return HostDataset(numbers[-1], tuple(versions))

    def dataset_files(self, slug: str, version: int) -> dict[str, int | None]:
        """Return the names and sizes of a version's files."""
        folder = self._datasets / slug / str(version) / "files"
        return {path.name: path.stat().st_size for path in folder.iterdir()}

    def upload(self, path: Path) -> str:
        """Copy a file; the token is its SHA-256 and its name."""
        data = path.read_bytes()
        folder = self._state_dir / "uploads" / hashlib.sha256(data).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part := folder / f".{path.name}.part")
        move_into_place(part, target_path(folder, path.name))
        return f"{folder.name}/{path.name}"

    def save_dataset(self, spec: DatasetSpec, *, new: bool) -> None:
        """Make the next version of uploaded files."""
        root = self._datasets / spec.slug
        root.mkdir(parents=True, exist_ok=True)
        number = max(_numbers(root), default=0) + 1
        with building(root / str(number), spec.note) as folder:
            assert folder is not None  # the number is new
            (folder / "files").mkdir()
            for token in spec.files:
                path = target_path(self._state_dir / "uploads", token)
                if not path.is_file():
                    raise HostError(f"there is no upload {token}", hint="run the same command again")
                shutil.copyfile(path, folder / "files" / path.name)

    # --- notebooks ---

    def kernel(self, slug: str) -> SavedKernel | None:
        """Return the newest version; None where there is none of that name."""
        numbers = _numbers(self._kernels / slug)
        if not numbers:
            return None
        source = (self._kernels / slug / str(numbers[-1]) / "script.py").read_text(encoding="utf-8")
        return SavedKernel(slug, numbers[-1], source)

    def save_kernel(self, spec: KernelSpec) -> SavedKernel:
        """Save a script; it runs when its session is first asked for."""
        if spec.kernel_type != "script":
            raise HostError("the local host runs scripts alone", hint="set kernel_type to script")
        unknown = [name for name in spec.datasets if not self._data_of(name)]
        root = self._kernels / spec.slug
        root.mkdir(parents=True, exist_ok=True)
        number = max(_numbers(root), default=0) + 1
        # a version of a data set is chosen when a notebook is saved, as on Kaggle
        data = {name: str(self._data_of(name)) for name in spec.datasets if name not in unknown}
        with building(root / str(number), "kernel") as folder:
            assert folder is not None  # the number is new
            (folder / "script.py").write_text(spec.source, encoding="utf-8")
            write_json(folder / "kernel.json", {"datasets": data})
        return SavedKernel(spec.slug, number, spec.source, (*unknown, *spec.kernels, *spec.models))

    def session(self, slug: str, version: int) -> Session:
        """Run a version on the visible files, unless it has run, and return how it went."""
        ran = self._ran(slug, version)
        if ran.timed_out:
            return Session("ERROR", "Notebook Timeout")
        return Session("COMPLETE") if ran.code == 0 else Session("ERROR", f"exited with code {ran.code}")

    def log(self, slug: str, version: int) -> str:
        """Return the log of a version's run."""
        return self._ran(slug, version).log

    def output_names(self, slug: str, version: int) -> list[str]:
        """List the files that a version's run has written."""
        folder = self._version(slug, version) / "working"
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def fetch_output(
        self, slug: str, version: int, name: str, folder: Path, advance: Callable[[int], None]
    ) -> Path:
        """Copy one of these files."""
        target = target_path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(target_path(self._version(slug, version) / "working", name), target)
        advance(target.stat().st_size)
        return target

    def submit(self, slug: str, version: int, file_name: str, message: str) -> str:
        """Run a version on the hidden test, and grade what it writes."""
        source = self._version(slug, version)
        working = source / "hidden"

        def answer() -> bytes | str:
            shutil.rmtree(working, ignore_errors=True)
            done = self._run(source, working, self._local.hidden or self._local.files)
            if done.timed_out:
                return "Notebook Timeout"
            if done.code != 0:
                return "Notebook Threw Exception"
            path = working / file_name
            return path.read_bytes() if path.is_file() else "Submission CSV Not Found"

        return self._accept(file_name, message, answer)

    # --- running ---

    def _ran(self, slug: str, version: int) -> Ran:
        folder = self._version(slug, version)
        with lock_file(folder / "lock"):
            try:
                return shaped(Ran, read_json(folder / "session.json"))
            except (OSError, ValueError):
                shutil.rmtree(folder / "working", ignore_errors=True)
            done = self._run(folder, folder / "working", self._local.files)
            ran = Ran(done.code, done.timed_out, json.dumps(done.events))
            write_json(folder / "session.json", asdict(ran))
        return ran

    def _run(self, folder: Path, working: Path, files: Path) -> Finished:
        data: dict[str, Any] = read_json(folder / "kernel.json")["datasets"]
        inputs = inputs_of(self._competition.slug, files, {name: Path(path) for name, path in data.items()})
        sandbox = Sandbox(inputs, working, hidden=(self._local.solution,))
        return sandbox.run(folder / "script.py", self._competition.limits.minutes * 60)

    def _version(self, slug: str, version: int) -> Path:
        folder = self._kernels / slug / str(version)
        if not folder.is_dir():
            raise HostError(f"there is no notebook {slug} version {version}", hint="push it first")
        return folder

    def _data_of(self, name: str) -> Path | None:
        """Return the folder of a data set's newest version."""
        owner, _, slug = name.partition("/")
        numbers = _numbers(self._datasets / slug) if owner == ACCOUNT else []
        return self._datasets / slug / str(numbers[-1]) / "files" if numbers else None

    @property
    def _datasets(self) -> Path:
        return self._state_dir / "datasets"

    @property
    def _kernels(self) -> Path:
        return self._state_dir / "notebooks"


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the whole versions in a folder, ascending."""
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.name.isdecimal() and done_key(path) is not None]
    return sorted(map(int, names))
