"""Kaggle as a host, through its official client (client.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from kagglekit.config import Config, Network
from kagglekit.errors import HostError
from kagglekit.hosts import base
from kagglekit.hosts.base import HostFile, SubmissionState
from kagglekit.hosts.client import PATIENCE, Client, sign_in, upload
from kagglekit.hosts.download import Download, PartialFile
from kagglekit.hosts.kaggle_notebooks import KaggleNotebooks
from kagglekit.hosts.replies import explained, one_line, submission_ref
from kagglekit.hosts.retry import Retry
from kagglekit.hosts.values import number, size, utc

PAGE_SIZE = 200  # the most that a list request may ask for


def connect(config: Config, folder: Path) -> KaggleHost:
    """Sign in. Kaggle keeps all submissions itself, so `folder` is not used."""
    return KaggleHost(config.competition.slug, sign_in(config.network), config.network)


class KaggleHost:
    """A competition on Kaggle; see `base.Host`. Every error is a HostError.

    Args:
        slug: the last part of the competition's URL.
        client: from `sign_in`.
        sleep: waits so many seconds before the next try.
    """

    def __init__(
        self,
        slug: str,
        client: Client,
        network: Network = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._slug = slug
        self._client = client
        self._timeout_s = network.timeout_s
        self._retry = Retry(network, sleep)
        self._listed: dict[str, HostFile] = {}
        self.notebooks = KaggleNotebooks(slug, client, network.timeout_s, self._retry)

    def details(self) -> base.Details:
        """Return what the competition's page says."""
        page = self._ask("read the competition", "get_competition")
        return base.Details(
            slug=self._slug,
            title=one_line(page.title or self._slug),
            metric=one_line(page.evaluation_metric or ""),
            deadline=utc(page.deadline),
            daily_limit=page.max_daily_submissions or None,
            files_url=f"https://www.kaggle.com/competitions/{self._slug}/data",
            rules_url=f"https://www.kaggle.com/competitions/{self._slug}/rules",
            entered=page.user_has_entered,
            closed=page.submissions_disabled,
            notebooks_only=page.is_kernels_submissions_only,
            teams=page.team_count or None,
            rank=page.user_rank or None,
        )

    def evaluation(self) -> str:
        """Return the page about evaluation, which shows what a submission looks like."""
        reply = self._ask("read the page about evaluation", "list_competition_pages", page_name="evaluation")
        return "\n".join(page.content or "" for page in reply.pages or [] if page is not None)

    def files(self, most: int | None = None) -> list[HostFile]:
        """List every file, over all pages; or the first `most` of them."""
        files = islice(self._ask_all("list the files", "list_data_files", "files"), most)
        listed = [HostFile(f.name or "", size(f.total_bytes), utc(f.creation_date)) for f in files]
        self._listed = {file.name: file for file in listed}
        return listed

    def bundle(self) -> HostFile:
        """Return what the page's "Download all" gives. Kaggle does not say how large it is."""
        return HostFile(f"{self._slug}.zip", None, None)

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> base.Arrived:
        """Download one file, or the bundle; an interrupted download continues where it stopped.

        Raises:
            HostError: also where the file does not have the listed size.
        """
        base.target_path(folder, name)  # refuses an unsafe name before anything is asked for
        if name not in self._listed and name == self.bundle().name:
            request = self._request("download_data_files")
            return self._download(request, self.bundle(), folder, advance, self._slug)
        file = self._listed.get(name) or base.pick_file(self.files(), name)
        request = self._request("download_data_file", file_name=name)
        return self._download(request, file, folder, advance, self._slug)

    def download_dataset(
        self, owner: str, slug: str, folder: Path, advance: Callable[[int], None]
    ) -> base.Arrived:
        """Download another Kaggle data set, whole, as the archive <owner>/<slug>.zip in `folder`."""
        request = self._client.request("download_dataset", "", owner_slug=owner, dataset_slug=slug)
        file = HostFile(f"{owner}/{slug}.zip", None, None)
        return self._download(request, file, folder, advance, f"datasets/{owner}/{slug}")

    def _download(
        self, request: Any, file: HostFile, folder: Path, advance: Callable[[int], None], slug: str
    ) -> base.Arrived:
        """Download a file to its place in `folder`; until it is whole, it is beside that folder."""
        target = base.target_path(folder, file.name)
        part = PartialFile(base.target_path(folder.with_name(f"{folder.name}.partial"), file.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        base.check_space(target.parent, (file.size or 0) - part.size, file.name)
        link = partial(self._client.storage_url, request, self._timeout_s)
        what = f"download {file.name}"
        with explained(what, slug):
            sign = partial(self._retry, what, link)
            proven = Download(file.name, sign, part, file.size, advance, self._retry).run()
        part.move_to(target)
        return base.Arrived(target, proven)

    def submit(self, path: Path, message: str) -> str:
        """Upload a CSV and submit it. The upload is retried; the submission itself is sent once.

        Raises:
            HostError: one of its causes is an OSError where Kaggle may have received the submission.
        """
        if not path.is_file():
            raise HostError(f"{path} does not exist", hint="write a submission first: kagglekit submit")
        try:
            token = self._repeat(f"upload {path.name}", partial(self._upload, path))
        except HostError as error:  # without its cause: nothing was submitted
            raise HostError(str(error), hint=error.hint) from None
        request = self._request("create_submission", blob_file_tokens=token, submission_description=message)
        with explained("submit", self._slug):
            reply = self._send("create_submission", request)
        return submission_ref(reply, path.name)

    def submission(self, ref: str) -> SubmissionState:
        """Return the current state of one submission."""
        if not ref.isdecimal():
            raise HostError(f"'{ref}' is not a Kaggle submission reference", hint="it must be a number")
        return _state(self._ask("read the submission", "get_submission", ref=int(ref)))

    def submissions(self) -> list[SubmissionState]:
        """List the team's submissions, newest first."""
        return [_state(s) for s in self._ask_all("list the submissions", "list_submissions", "submissions")]

    def selected(self) -> set[str] | None:
        """Return the final submissions: chosen on the site or, until then, by Kaggle."""
        group = self._client.type("SubmissionGroup").SUBMISSION_GROUP_SELECTED
        chosen = self._ask_all(
            "list the selected submissions", "list_submissions", "submissions", group=group
        )
        return {str(submission.ref) for submission in chosen}

    def limits(self) -> base.Limits:
        """Return how many submissions Kaggle accepts today; `details` has the daily limit."""
        limits = self._ask("read the limits", "get_submission_limits")
        return base.Limits(today=limits.num_today, allowed_now=limits.num_allowed_now, daily=None)

    def leaderboard(self) -> list[base.LeaderboardRow]:
        """Return the public leaderboard, best first, also after the competition has ended."""
        rows = self._ask_all("read the leaderboard", "get_leaderboard", "submissions", override_public=True)
        return [
            base.LeaderboardRow(i, one_line(row.team_name or ""), number(row.score))
            for i, row in enumerate(rows, 1)
        ]

    def _ask(self, what: str, method: str, **fields: Any) -> Any:
        """Send a request that may be repeated, and return the reply."""
        return self._repeat(what, partial(self._send, method, self._request(method, **fields)))

    def _repeat(self, what: str, action: Callable[[], Any]) -> Any:
        """Return the result of `action`, which may be tried several times."""
        with explained(what, self._slug):
            return self._retry(what, action)

    def _ask_all(self, what: str, method: str, items: str, **fields: Any) -> Iterator[Any]:
        """Yield the items of every page."""
        token, seen = "", set[str]()
        while token not in seen:  # a server that repeats its pages would never end
            seen.add(token)
            page = self._ask(what, method, page_size=PAGE_SIZE, page_token=token, **fields)
            yield from getattr(page, items) or []
            token = page.next_page_token or ""

    def _request(self, method: str, **fields: Any) -> Any:
        return self._client.request(method, self._slug, **fields)

    def _send(self, method: str, request: Any) -> Any:
        return self._client.send(method, request, self._timeout_s)

    def _upload(self, path: Path) -> str:
        """Upload a file to storage and return its token, which `submit` submits."""
        stat = path.stat()
        request = self._request(
            "start_submission_upload",
            file_name=path.name,
            content_length=stat.st_size,
            last_modified_epoch_seconds=int(stat.st_mtime),
        )
        started = self._send("start_submission_upload", request)
        upload(started.create_url, path, self._timeout_s)
        token: str = started.token
        return token


def _state(submission: Any) -> SubmissionState:
    date = utc(submission.date)
    if date is None:
        raise HostError(
            f"Kaggle returned submission {submission.ref} without a date",
            hint="run the same command again later",
        )
    return SubmissionState(
        ref=str(submission.ref),
        date=date,
        file_name=one_line(submission.file_name or ""),
        status=submission.status.name,
        public=number(submission.public_score),
        private=number(submission.private_score),
        error=one_line(submission.error_description or ""),
        message=one_line(submission.description or ""),
    )
