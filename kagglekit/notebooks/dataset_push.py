"""Bring the files of a built notebook to the host, as a version of a data set.

Each step looks on the host for what an earlier call may have done, does the rest, and is kept in
`state.Progress`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kagglekit.errors import HostError, KagglekitError, SubmissionError, listed
from kagglekit.hosts.notebooks import DatasetSpec, DatasetVersion, HostDataset, NotebookService
from kagglekit.notebooks.folder import DATASET_METADATA, Built, sha256_of
from kagglekit.notebooks.source import dataset_title
from kagglekit.notebooks.state import Progress
from kagglekit.notebooks.waiting import AGAIN, Patience
from kagglekit.submission.send import may_have_arrived
from kagglekit.terminal import console, progress

READY_S = 3600.0
"""How long a data set may be processed, in seconds."""


@dataclass(frozen=True)
class DatasetPush:
    """Pushes the data set of one built folder."""

    built: Built
    service: NotebookService
    progress: Progress
    patience: Patience

    def push(self) -> None:
        """Upload the files of the data set, and make it or another version of it.

        Raises:
            HostError: the host refused, or does not show whether it was made.
        """
        steps = self.progress.steps
        if steps.dataset_version is not None:
            return
        slug = self.built.record.dataset
        there = self.service.dataset(slug)
        version, reason = self._noted(there), ""
        if version is not None and version.state == "failed":
            self._spoilt(version)
            version = None
        if version is None:
            files = self._uploaded()
            title = dataset_title(self.built.dataset / DATASET_METADATA)
            spec = DatasetSpec(slug=slug, title=title, files=files, note=steps.dataset_mark)
            try:
                self.service.save_dataset(spec, new=there is None)
            except HostError as error:
                if not may_have_arrived(error):
                    self.progress.set(tokens={})  # they may be what was refused
                    raise
                console.note(f"no reply from the host; checking whether it made the data set {slug}")
                reason = f": {error}"
            version = self.patience.found(lambda: self._noted(self.service.dataset(slug)))
        if version is None:
            raise HostError(
                f"cannot tell whether the host made the data set {slug}{reason}",
                hint=f"{AGAIN}: it looks there first",
            )
        self.progress.set(dataset_version=version.number)

    def _noted(self, dataset: HostDataset | None) -> DatasetVersion | None:
        """Return the newest version with our files, but for those that were found to be bad."""
        version = None if dataset is None else dataset.noted(self.progress.steps.dataset_mark)
        return None if version is None or version.number <= self.progress.steps.dataset_bad else version

    def _spoilt(self, version: DatasetVersion) -> None:
        """Have a version that is no good passed over, and the files uploaded again."""
        self.progress.set(dataset_version=None, tokens={}, dataset_bad=version.number)

    def _uploaded(self) -> tuple[str, ...]:
        """Upload what is not yet, and return the tokens of all files. They are kept by the files' SHA-256."""
        files = [path for path in self._dataset_files() if path.is_file()]
        with progress.bar(
            "uploading the data set", sum(path.stat().st_size for path in files), "B"
        ) as advance:
            for path in files:
                digest = sha256_of(path)
                if digest not in self.progress.steps.tokens:
                    token = self.service.upload(path)
                    self.progress.set(tokens={**self.progress.steps.tokens, digest: token})
                advance(path.stat().st_size)
        return tuple(self.progress.steps.tokens[sha256_of(path)] for path in files)

    def _dataset_files(self) -> list[Path]:
        """Return the files of the data set. The host takes no folders: they would be left out in silence."""
        inside = sorted(self.built.dataset.iterdir())
        if folders := [path.name for path in inside if path.is_dir()]:
            raise KagglekitError(
                f"{self.built.dataset} has the folder {folders[0]}: a data set of the host takes files alone",
                hint="pack it into an archive",
            )
        return [path for path in inside if path.name != DATASET_METADATA]

    def wait(self) -> None:
        """Wait until notebooks can use the data set, and check that all of its files are there.

        Raises:
            SubmissionError: the host has failed to take it, or has lost files.
            HostError: it is not ready after READY_S.
        """
        steps, slug = self.progress.steps, self.built.record.dataset
        if steps.dataset_ready:
            return
        sizes = {path.name: path.stat().st_size for path in self._dataset_files()}

        def look(show: object) -> DatasetVersion | None:
            there = self.service.dataset(slug)
            version = self._noted(there)
            if there is None or version is None:
                return None
            # the status of a data set has no version: "ready" may be that of the version before
            is_current = there.current == version.number
            return version if version.state == "failed" or (is_current and version.state == "ready") else None

        version = self.patience.until(f"the data set {slug}", look, READY_S)
        if version is None:
            raise HostError(
                f"the host still processes the data set {slug} after {READY_S / 60:.0f} minutes",
                hint=f"look at it on the host's pages; {AGAIN}",
            )
        if version.state == "failed":
            self._spoilt(version)
            raise SubmissionError(
                f"the host could not process version {version.number} of the data set {slug}",
                hint="the same command uploads it again, as another version",
            )
        self._check_files(sizes, version)
        self.progress.set(dataset_version=version.number, dataset_ready=True)

    def _check_files(self, sizes: dict[str, int], version: DatasetVersion) -> None:
        """Check that the host lists every file, with its size where it lists one."""
        slug, number = self.built.record.dataset, version.number

        def look(show: object) -> dict[str, int | None] | None:
            there = self.service.dataset_files(slug, number)
            return there if set(sizes) <= set(there) else None

        there = self.patience.until(f"the files of {slug}", look, 60.0)
        there = self.service.dataset_files(slug, number) if there is None else there
        wrong = [
            name for name, bytes_ in sizes.items() if name not in there or there[name] not in (None, bytes_)
        ]
        if wrong:
            self._spoilt(version)
            raise SubmissionError(
                f"version {number} of the data set {slug} lacks {listed(wrong)}, or has other bytes there",
                hint="the same command uploads them again, as another version",
            )
