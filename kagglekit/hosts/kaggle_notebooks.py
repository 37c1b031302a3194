"""Kaggle's kernels, which are its notebooks and scripts, and code submissions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from kagglekit.errors import HostError
from kagglekit.hosts import base
from kagglekit.hosts.client import Client
from kagglekit.hosts.download import Download, PartialFile
from kagglekit.hosts.kaggle_datasets import KaggleDatasets
from kagglekit.hosts.kaggle_requests import AGAIN, PAGE_SIZE
from kagglekit.hosts.notebooks import KernelSpec, Quota, SavedKernel, Session, SessionStatus
from kagglekit.hosts.replies import UnreadableError, explained, one_line, submission_ref
from kagglekit.hosts.retry import Retry
from kagglekit.hosts.values import utc

STATUSES: dict[str, SessionStatus] = {
    "NEW_SCRIPT": "QUEUED",
    "QUEUED": "QUEUED",
    "RUNNING": "RUNNING",
    "CANCEL_REQUESTED": "RUNNING",
    "CANCEL_ACKNOWLEDGED": "CANCELLED",
    "COMPLETE": "COMPLETE",
    "ERROR": "ERROR",
}
"""Of KernelWorkerStatus; for a name that kagglesdk does not know itself, it raises an error."""


class KaggleNotebooks(KaggleDatasets):
    """What Kaggle offers for notebooks; see `notebooks.NotebookService`."""

    def __init__(self, competition: str, client: Client, timeout_s: float, retry: Retry) -> None:
        super().__init__(client, timeout_s, retry)
        self._competition = competition

    def gpu_quota(self) -> Quota | None:
        """Return the week's hours of GPUs."""
        reply = self._ask("read the GPU quota", "", "get_accelerator_quota_statistics")
        if (gpu := reply.gpu_quota) is None or gpu.total_time_allowed is None:
            return None
        used = (gpu.time_used or timedelta()) + (gpu.time_reserved or timedelta())
        refresh = utc(reply.quota_refresh_time)
        return Quota(_hours(used), _hours(gpu.total_time_allowed), refresh and refresh.astimezone(UTC))

    def kernel(self, slug: str) -> SavedKernel | None:
        """Return a kernel's current version; None where there is none of that name."""
        what, page = f"read the notebook {slug}", self._page("code", slug)
        names = self._kernel_names(slug)
        found = self._owned(what, page, "get_kernel", names, partial(self._has_kernel, slug))
        if found is None:
            return None
        if found.metadata is None or not found.metadata.current_version_number:
            raise self._unreadable(what, "no version")
        source = "" if found.blob is None else found.blob.source or ""
        name = (found.metadata.ref or slug).rpartition("/")[2]
        return SavedKernel(name, found.metadata.current_version_number, source)

    def save_kernel(self, spec: KernelSpec) -> SavedKernel:
        """Save a kernel, which runs it; sent once.

        Kaggle's refusals (quota, too many sessions, a title that is taken) come as replies of status 200.
        """
        what, page = f"push the notebook {spec.slug}", self._page("code", spec.slug)
        request = self._client.request(
            "save_kernel",
            "",
            slug=f"{self.account}/{spec.slug}",
            new_title=spec.title,
            text=spec.source,
            language="python",
            kernel_type=spec.kernel_type,
            is_private=spec.private,
            enable_gpu=bool(spec.accelerator),
            enable_tpu=False,
            enable_internet=spec.internet,  # left out, it would be on
            dataset_data_sources=list(spec.datasets),
            competition_data_sources=list(spec.competitions),
            kernel_data_sources=list(spec.kernels),
            model_data_sources=list(spec.models),
            category_ids=[],
            machine_shape=spec.accelerator,
            session_timeout_seconds=spec.timeout_s,
        )
        with explained(what, page):
            reply = self._send("save_kernel", request)
        if reply.error:
            raise HostError(
                f"could not {what}: Kaggle says {one_line(reply.error)}", hint=_push_hint(reply.error)
            )
        if not reply.version_number:
            raise self._unreadable(what, "no version number")
        # the name follows from the title, whatever was asked for
        name = (reply.ref or reply.url or spec.slug).rstrip("/").rpartition("/")[2]
        unknown = (
            reply.invalid_dataset_sources,
            reply.invalid_competition_sources,
            reply.invalid_kernel_sources,
            reply.invalid_model_sources,
        )
        left_out = tuple(one_line(source) for sources in unknown for source in sources or [] if source)
        return SavedKernel(name, reply.version_number, spec.source, left_out)

    def session(self, slug: str, version: int) -> Session:
        """Return how the run of a version goes."""
        reply = self._ask_kernel("read the state of", "get_kernel_session_status", slug, version)
        status = STATUSES.get(reply.status.name)
        if status is None:
            raise self._unreadable(f"read the state of {slug}", f"the unknown status {reply.status.name}")
        return Session(status, one_line(reply.failure_message or ""))

    def log(self, slug: str, version: int) -> str:
        """Return the log of a version's run, a JSON array; "" while there is none."""
        reply = self._ask_kernel("read the log of", "list_kernel_session_output", slug, version, page_size=1)
        return reply.log or ""

    def output_names(self, slug: str, version: int) -> list[str]:
        """List the files that a version's run has written."""
        return [file.file_name or "" for file in self._outputs(slug, version)]

    def fetch_output(
        self, slug: str, version: int, name: str, folder: Path, advance: Callable[[int], None]
    ) -> Path:
        """Download a file that a version's run has written; an address that has expired is asked for anew."""
        target = base.target_path(folder, name)
        part = PartialFile(base.target_path(folder.with_name(f"{folder.name}.partial"), name))
        target.parent.mkdir(parents=True, exist_ok=True)
        with explained(f"download {name}", self._page("code", slug)):
            sign = partial(self._output_url, slug, version, name)
            Download(name, sign, part, None, advance, self._retry).run()
        part.move_to(target)
        return target

    def submit(self, slug: str, version: int, file_name: str, message: str) -> str:
        """Submit a kernel's version; sent once."""
        request = self._client.request(
            "create_code_submission",
            self._competition,
            kernel_owner=self.account,
            kernel_slug=slug,
            kernel_version=version,
            file_name=file_name,
            submission_description=message,
        )
        with explained("submit the notebook", self._competition):
            reply = self._send("create_code_submission", request)
        return submission_ref(reply, f"{slug} version {version}")

    def _outputs(self, slug: str, version: int) -> Iterator[Any]:
        fields = {"version_label": f"v{version}", **self._kernel_names(slug)}
        what, page = f"list the output of the notebook {slug}", self._page("code", slug)
        for reply in self._pages(what, page, "list_kernel_session_output", **fields):
            yield from (file for file in reply.files or [] if file is not None)

    def _output_url(self, slug: str, version: int, name: str) -> str:
        urls = [file.url for file in self._outputs(slug, version) if file.file_name == name]
        if not urls or not urls[0]:
            raise UnreadableError(f"no address of {one_line(name)}")
        return str(urls[0])

    def _ask_kernel(self, what: str, method: str, slug: str, version: int, **fields: Any) -> Any:
        what = f"{what} the notebook {slug} version {version}"
        names = self._kernel_names(slug)
        return self._ask(
            what, self._page("code", slug), method, version_label=f"v{version}", **names, **fields
        )

    def _has_kernel(self, slug: str) -> bool:
        mine = self._client.type("KernelsListViewType").PROFILE
        request = self._client.request("list_kernels", "", group=mine, search=slug, page_size=PAGE_SIZE)
        reply = self._retry("list the notebooks", partial(self._send, "list_kernels", request))
        return any((one.ref or "").endswith(f"{self.account}/{slug}") for one in reply.kernels or [])

    def _kernel_names(self, slug: str) -> dict[str, str]:
        return {"user_name": self.account, "kernel_slug": slug}


def _hours(time: timedelta) -> float:
    return time.total_seconds() / 3600


def _push_hint(words: str) -> str:
    """Return what to do about a refusal of a push."""
    if re.search(r"(?i)quota", words):
        return f"the week's quota is used up: {AGAIN} when it is renewed"
    if re.search(r"(?i)\bsession|concurren|maximum", words):
        where = "https://www.kaggle.com/code"
        return f"wait until a running notebook has ended, or stop one at {where}, then {AGAIN}"
    if re.search(r"(?i)title|slug", words):
        return "another notebook of yours has that title: rename or delete it at https://www.kaggle.com/code"
    return f"the message is Kaggle's: follow it, then {AGAIN}"
