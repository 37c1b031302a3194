"""Data sets, kernels and code submissions of the loopback Kaggle, which runs what is pushed in a sandbox.

A part of kaggle_server.KaggleServer. The names of the methods and of what they take are those of kagglesdk's
services; what nobody says about the real site is marked (?).
"""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kagglekit.hosts.sandbox import Sandbox, inputs_of
from support.kaggle_wire import Fault, flat

if TYPE_CHECKING:
    from support.kaggle_server import KaggleServer

USER = "tester"
MARK = re.compile(r"kagglekit [0-9a-f]{12}-[0-9]+-[0-9]+")
SECONDS = 60.0
NEVER = math.inf
"""Looks after which something is there."""


@dataclass
class DatasetVersion:
    """Files by name, and how many looks the version stays pending."""

    files: dict[str, bytes]
    note: str
    looks: float
    fails: bool = False

    @property
    def ready(self) -> bool:
        return self.looks <= 0 and not self.fails


@dataclass
class StoredDataset:
    """A data set and its versions, the oldest first."""

    description: str
    private: bool
    versions: list[DatasetVersion] = field(default_factory=list)

    @property
    def current(self) -> int:
        """The newest version that is ready; the first one before any is."""
        return max((i for i, version in enumerate(self.versions, 1) if version.ready), default=1)


@dataclass
class Run:
    """What a script did in the sandbox."""

    code: int
    log: str
    files: dict[str, bytes]


@dataclass
class KernelVersion:
    """A saved version: what was sent, the data that it sees, and how often its state is asked for."""

    request: dict[str, Any]
    data: dict[str, dict[str, bytes]]
    looks: int = 0
    run: Run | None = None

    @property
    def source(self) -> str:
        return str(self.request["text"])


_RUNS: dict[str, Run] = {}
"""Scripts that have run, by all that they see: the same is not run in each of a thousand cells."""


@dataclass
class NotebookServices:
    """The state of a user's data sets and kernels, and what goes wrong with them."""

    visible: dict[str, bytes] = field(default_factory=dict)
    """The competition's files as a notebook sees them, by path."""
    hidden: dict[str, bytes] = field(default_factory=dict)
    """The same while a submission runs."""
    missing_is: int = 403
    """What is said of a data set or kernel that is not there."""
    dataset_looks: float = 1
    """Looks that a version of a data set stays pending; NEVER for one that is stuck."""
    dataset_fails: int = 0
    """So many versions end as failed."""
    drops: list[str] = field(default_factory=list)
    """Files that data sets lose."""
    queue_looks: float = 1
    run_looks: float = 1
    session_says: str = ""
    """A failure of the site while a kernel runs: memory, timeout, cancelled, exception, unknown."""
    submission_says: str = ""
    """The error of code submissions."""
    push_says: str = ""
    """A refusal of pushes, in a reply of status 200."""
    unknown_sources: list[str] = field(default_factory=list)
    other_slug: str = ""
    """The name that a kernel gets whatever was asked for."""
    ignores_versions: bool = False
    """The state, the log and the output are those of the newest version, whichever was asked for."""
    output_looks: float = 0
    """Lists that come without the output; NEVER for output that is lost."""
    log_is_text: bool = False
    own_datasets: dict[str, StoredDataset] = field(default_factory=dict)
    kernels: dict[str, list[KernelVersion]] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    gpu_hours: tuple[float, float] = (3.5, 30.0)

    # --- data sets ---

    def StartBlobUpload(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            token = f"blob-{len(self.blobs)}"
            self.blobs[token] = request["name"]
        return {"token": token, "createUrl": f"{self.address}/upload/{token}"}

    def CreateDataset(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        name = f"{request['ownerSlug']}/{request['slug']}"
        if name in self.own_datasets:
            return {"status": "error", "error": f'The requested slug "{request["slug"]}" is already in use'}
        stored = StoredDataset(request.get("description", ""), request.get("isPrivate", False))
        return self._add_version(name, stored, request["files"], "Initial release")

    def CreateDatasetVersion(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        name, body = f"{request['ownerSlug']}/{request['datasetSlug']}", request["body"]
        if name not in self.own_datasets:
            return flat(404, "Not found")
        return self._add_version(name, self.own_datasets[name], body["files"], body.get("versionNotes", ""))

    def _add_version(
        self: KaggleServer, name: str, stored: StoredDataset, files: list[dict[str, str]], note: str
    ) -> dict[str, Any] | Fault:
        if any(file["token"] not in self.uploads for file in files):
            return flat(400, "A file was not uploaded")
        there = {self.blobs[file["token"]]: self.uploads[file["token"]] for file in files}
        kept = {file: data for file, data in there.items() if file not in self.drops}
        with self._lock:
            fails, self.dataset_fails = self.dataset_fails > 0, max(0, self.dataset_fails - 1)
            stored.versions.append(DatasetVersion(kept, note, self.dataset_looks, fails))
            self.own_datasets[name] = stored
        return {"ref": name, "url": f"https://www.kaggle.com/datasets/{name}", "status": "ok"}

    def GetDataset(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        stored = self._dataset(request)
        if stored is None:
            return flat(self.missing_is, "Permission 'datasets.get' was denied")
        versions = [
            {
                "versionNumber": number,
                "versionNotes": version.note,
                "status": "Failed" if version.fails else "Ready" if version.ready else "Pending",
            }
            for number, version in enumerate(stored.versions, 1)
        ]
        return {
            "ref": f"{request['ownerSlug']}/{request['datasetSlug']}",
            "currentVersionNumber": stored.current,
            "description": stored.description,
            "versions": versions,
        }

    def GetDatasetStatus(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        """The state of the current version, which may be the one before."""
        stored = self._dataset(request)
        if stored is None:
            return flat(self.missing_is, "Permission 'datasets.get' was denied")
        with self._lock:
            stored.versions[-1].looks -= 1
            version = stored.versions[stored.current - 1]
        return {"status": "FAILED" if version.fails else "READY" if version.ready else "BLOBS_RECEIVED"}

    def ListDatasetFiles(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        stored = self._dataset(request)
        if stored is None:
            return flat(self.missing_is, "Permission 'datasets.get' was denied")
        files = stored.versions[request["datasetVersionNumber"] - 1].files
        page, token = self._page(sorted(files), request)
        listed = [{"name": name, "totalBytes": len(files[name])} for name in page]
        return {"datasetFiles": listed, "nextPageToken": token}

    def ListDatasets(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any]:
        return {"datasets": [{"ref": name} for name in self.own_datasets if request["search"] in name]}

    def _dataset(self: KaggleServer, request: dict[str, Any]) -> StoredDataset | None:
        return self.own_datasets.get(f"{request['ownerSlug']}/{request['datasetSlug']}")

    # --- kernels ---

    def SaveKernel(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        if self.push_says:
            return {"error": self.push_says}
        owner, _, _ = request["slug"].partition("/")
        slug = self.other_slug or re.sub(r"[^a-z0-9]+", "-", request["newTitle"].lower()).strip("-")
        data = {}
        for name in request.get("datasetDataSources", []):
            if name in self.own_datasets and name not in self.unknown_sources:
                stored = self.own_datasets[name]
                data[name] = stored.versions[stored.current - 1].files
        with self._lock:
            versions = self.kernels.setdefault(f"{owner}/{slug}", [])
            versions.append(KernelVersion(request, data))
            number = len(versions)
        return {
            "ref": f"/code/{owner}/{slug}",
            "url": f"https://www.kaggle.com/code/{owner}/{slug}",
            "versionNumber": number,
            "invalidDatasetSources": [n for n in request.get("datasetDataSources", []) if n not in data],
        }

    def GetKernel(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        name = f"{request['userName']}/{request['kernelSlug']}"
        if name not in self.kernels:
            return flat(self.missing_is, "Permission 'kernels.get' was denied")
        versions = self.kernels[name]
        metadata = {"ref": name, "currentVersionNumber": len(versions)}
        return {"metadata": metadata, "blob": {"source": versions[-1].source}}

    def ListKernels(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any]:
        return {"kernels": [{"ref": name} for name in self.kernels if request["search"] in name]}

    def GetKernelSessionStatus(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        version = self._version(request)
        if version is None:
            return flat(self.missing_is, "Permission 'kernels.get' was denied")
        with self._lock:
            version.looks += 1
        if version.looks <= self.queue_looks:
            return {"status": "QUEUED"}
        if version.looks <= self.queue_looks + self.run_looks:
            return {"status": "RUNNING"}
        match self.session_says:
            case "memory":
                return {
                    "status": "ERROR",
                    "failureMessage": "Your notebook tried to allocate more memory than is available.",
                }
            case "timeout":
                return {"status": "ERROR", "failureMessage": "Notebook Timeout"}
            case "cancelled":
                return {"status": "CANCEL_ACKNOWLEDGED"}
            case "unknown":
                return {"status": "PAUSED_FOR_REVIEW"}
        run = self._ran(version)
        return {"status": "COMPLETE"} if run.code == 0 else {"status": "ERROR", "failureMessage": ""}

    def ListKernelSessionOutput(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        version = self._version(request)
        if version is None:
            return flat(self.missing_is, "Permission 'kernels.get' was denied")
        name = f"{request['userName']}/{request['kernelSlug']}"
        run = self._ran(version)
        with self._lock:
            self.output_looks -= 1
            files = {} if self.output_looks >= 0 else run.files
            number = self.kernels[name].index(version) + 1
            places = {file: f"output/{name}/{number}/{file}" for file in files}
            self.outputs |= {places[file]: data for file, data in files.items()}
        page, token = self._page(sorted(files), request)
        listed = [{"fileName": file, "url": f"{self.address}{self._address(places[file])}"} for file in page]
        events = [{"stream_name": "stdout", "time": 1.0, "data": line} for line in run.log.splitlines(True)]
        log = run.log if self.log_is_text else json.dumps(events)
        return {"files": listed, "log": log, "nextPageToken": token}

    def GetAcceleratorQuotaStatistics(self: KaggleServer, _: dict[str, Any]) -> dict[str, Any]:
        used, allowed = (f"{round(hours * 3600)}s" for hours in self.gpu_hours)
        quota = {"timeUsed": used, "totalTimeAllowed": allowed}
        return {"quotaRefreshTime": "2030-01-05T00:00:00.000Z", "gpuQuota": quota}

    def CreateCodeSubmission(self: KaggleServer, request: dict[str, Any]) -> dict[str, Any] | Fault:
        version = self.kernels.get(f"{request['kernelOwner']}/{request['kernelSlug']}", [])[
            request["kernelVersion"] - 1
        ]
        with self._lock:
            made = len(self.submissions)
            if made >= self.daily_limit:
                used = f"{made} of {self.daily_limit}"
                return flat(400, f"Your team has used its daily submission allowance ({used}).")
        run, name = self._sandboxed(version, self.hidden), request["fileName"]
        error = self.submission_says
        error = error or ("Notebook Threw Exception" if run.code else "")
        error = error or ("" if name in run.files else "Submission CSV Not Found")
        data = b"" if error else run.files[name]
        ref = self.add_submission(name, data, request.get("submissionDescription", ""), error)
        return {"message": "Successfully submitted", "ref": ref}

    def _version(self: KaggleServer, request: dict[str, Any]) -> KernelVersion | None:
        versions = self.kernels.get(f"{request['userName']}/{request['kernelSlug']}", [])
        label = request.get("versionLabel", "")
        number = len(versions) if self.ignores_versions or not label else int(label.removeprefix("v"))
        return versions[number - 1] if 1 <= number <= len(versions) else None

    def _ran(self: KaggleServer, version: KernelVersion) -> Run:
        if version.run is None:
            version.run = self._sandboxed(version, self.visible)
        return version.run

    def run_before(
        self: KaggleServer, source: str, competition: str, data: dict[str, dict[str, bytes]]
    ) -> None:
        """Run a script before it is pushed, so that no request waits for it longer than its time-out."""
        version = KernelVersion({"text": source, "competitionDataSources": [competition]}, data)
        for files in (self.visible, self.hidden):
            self._sandboxed(version, files)

    def _sandboxed(self: KaggleServer, version: KernelVersion, files: Mapping[str, bytes]) -> Run:
        """Run a version's script with what it sees."""
        marks = MARK.findall(version.source) or [""]
        plain = version.source.replace(marks[0], "MARK") if marks[0] else version.source
        data = {name: sorted(inside.items()) for name, inside in sorted(version.data.items())}
        seen = repr((plain, sorted(files.items()), data))
        if seen not in _RUNS:
            with TemporaryDirectory() as folder:
                root = Path(folder)
                _write(root / "files", files)
                for name, inside in version.data.items():
                    _write(root / "data" / name, inside)
                (root / "script.py").write_text(plain)
                datasets = {name: root / "data" / name for name in version.data}
                competition = version.request["competitionDataSources"][0]
                inputs = inputs_of(competition, root / "files", datasets)
                done = Sandbox(inputs, root / "working").run(root / "script.py", SECONDS)
                written = [path for path in (root / "working").rglob("*") if path.is_file()]
                out = {path.relative_to(root / "working").as_posix(): path.read_bytes() for path in written}
                _RUNS[seen] = Run(done.code, done.log, out)
        run = _RUNS[seen]
        return Run(run.code, run.log.replace("MARK", marks[0]), run.files)

    def _address(self: KaggleServer, name: str) -> str:
        """Where storage has a file, for a while."""
        with self._lock:
            signature = f"signature-{len(self._uses)}"
            self._uses[signature] = 0
        return f"/storage/{urllib.parse.quote(name)}?signed={signature}"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
