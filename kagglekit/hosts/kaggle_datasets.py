"""Kaggle's data sets: made, versioned, and looked at."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Literal

from kagglekit.errors import HostError
from kagglekit.hosts.client import upload
from kagglekit.hosts.kaggle_requests import AGAIN, LATER, PAGE_SIZE, KaggleRequests
from kagglekit.hosts.notebooks import DatasetSpec, DatasetVersion, HostDataset
from kagglekit.hosts.replies import UnreadableError, explained, one_line
from kagglekit.hosts.values import size

READY = ("READY",)
FAILED = ("FAILED", "DELETED")
"""Names of DatabundleVersionStatus; any other is a step on the way."""


class KaggleDatasets(KaggleRequests):
    """The data sets of the user who is signed in; see `notebooks.NotebookService`."""

    def dataset(self, slug: str) -> HostDataset | None:
        """Return a data set; None where there is none.

        Kaggle says 403 of a name that nobody has, so the list of one's own tells which it is.
        """
        what, page, names = (
            f"read the data set {slug}",
            self._page("datasets", slug),
            self._dataset_names(slug),
        )
        found = self._owned(what, page, "get_dataset", names, partial(self._has_dataset, slug))
        if found is None:
            return None
        if not found.current_version_number:
            raise self._unreadable(what, "no version")
        state = self._ask(what, page, "get_dataset_status", **names).status.name
        current: int = found.current_version_number
        listed = {v.version_number: v for v in found.versions or [] if v is not None}
        versions = [
            DatasetVersion(number, v.version_notes or "", _state(v.status or ""))
            for number, v in listed.items()
            if number != current
        ]
        note = getattr(listed.get(current), "version_notes", None) or ""
        if current == 1:  # it has no note of ours: what was given with it is the description
            note = f"{note} {found.description or ''}"
        return HostDataset(current, (*versions, DatasetVersion(current, note, _state(state))))

    def dataset_files(self, slug: str, version: int) -> dict[str, int | None]:
        """Return the names and sizes of a version's files, over all pages."""
        what, names = f"list the files of the data set {slug}", self._dataset_names(slug)
        pages = self._pages(
            what, self._page("datasets", slug), "list_dataset_files", dataset_version_number=version, **names
        )
        files: dict[str, int | None] = {}
        for page in pages:
            if page.error_message:
                raise HostError(f"could not {what}: Kaggle says {one_line(page.error_message)}", hint=LATER)
            files |= {file.name or "": size(file.total_bytes) for file in page.dataset_files or []}
        return files

    def upload(self, path: Path) -> str:
        """Upload a file of a data set and return its token."""
        return str(self._repeat(f"upload {path.name}", "", partial(self._upload, path)))

    def save_dataset(self, spec: DatasetSpec, *, new: bool) -> None:
        """Make a private data set, or another version of it.

        Raises:
            HostError: also where Kaggle refuses with status 200, as it does for a name that is taken.
        """
        files = [self._client.message("ApiDatasetNewFile", token=token) for token in spec.files]
        if new:
            request = self._client.request(
                "create_dataset",
                "",
                owner_slug=self.account,
                slug=spec.slug,
                title=spec.title,
                license_name=spec.license,
                is_private=True,
                description=spec.note,
                files=files,
            )
        else:
            body = self._client.message(
                "ApiCreateDatasetVersionRequestBody", version_notes=spec.note, files=files
            )
            request = self._client.request(
                "create_dataset_version", "", body=body, **self._dataset_names(spec.slug)
            )
        what = f"save the data set {spec.slug}"
        with explained(what, self._page("datasets", spec.slug)):
            reply = self._send("create_dataset" if new else "create_dataset_version", request)
        if reply.error or (reply.status or "").lower() == "error":
            words = one_line(reply.error or "no reason")
            raise HostError(
                f"could not {what}: Kaggle says {words}",
                hint=f"look at https://www.kaggle.com/{self._page('datasets', spec.slug)}, then {AGAIN}",
            )
        if not (reply.ref or reply.url or reply.status):
            raise self._unreadable(what, "an empty reply")

    def _has_dataset(self, slug: str) -> bool:
        mine = self._client.type("DatasetSelectionGroup").DATASET_SELECTION_GROUP_MY
        request = self._client.request("list_datasets", "", group=mine, search=slug, page_size=PAGE_SIZE)
        reply = self._retry("list the data sets", partial(self._send, "list_datasets", request))
        return any(one.ref == f"{self.account}/{slug}" for one in reply.datasets or [])

    def _upload(self, path: Path) -> str:
        stat = path.stat()
        request = self._client.request(
            "start_blob_upload",
            "",
            type=self._client.type("ApiBlobType").DATASET,
            name=path.name,
            content_length=stat.st_size,
            last_modified_epoch_seconds=int(stat.st_mtime),
        )
        started = self._send("start_blob_upload", request)
        upload(started.create_url, path, self._timeout_s)
        if not started.token:
            raise UnreadableError("no token")
        return str(started.token)

    def _dataset_names(self, slug: str) -> dict[str, str]:
        return {"owner_slug": self.account, "dataset_slug": slug}


def _state(name: str) -> Literal["pending", "ready", "failed"]:
    """Return a version's state, by kagglesdk's name for it or by the site's."""
    plain = re.sub(r"[^A-Z_]", "", name.upper())
    return "ready" if plain in READY else "failed" if plain in FAILED else "pending"
