"""Kaggle, through its official client. The only file that imports `kaggle`.

What the client does that shapes this file (seen in 2.2.4 and 2.2.5): importing it signs in, prints a
banner on stdout without credentials, and may raise SystemExit; a failed upload returns a message
instead of raising; a download is checked against the length of the reply, not of the file; nested
error messages of the server get lost.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import requests

from kagglekit.config import Config
from kagglekit.errors import HostError
from kagglekit.hosts.base import (
    Details,
    HostFile,
    LeaderboardRow,
    Limits,
    SubmissionState,
    check_space,
    pick_file,
    target_path,
)

T = TypeVar("T")

PAGE_SIZE = 200  # the most that a list request may ask for
POLL_SECONDS = 0.2  # between two looks at how far a download has come
SIGN_IN_HINT = (
    "create a token at kaggle.com > Settings > API, then set KAGGLE_API_TOKEN to it "
    "or save it as ~/.kaggle/access_token"
)


class Client(NamedTuple):
    """The signed-in client, and the module that holds its request classes."""

    api: Any
    types: Any


def connect(config: Config, folder: Path) -> KaggleHost:
    """Sign in; Kaggle itself remembers everything, so `folder` is not used."""
    return KaggleHost(config.competition.slug, sign_in())


def sign_in() -> Client:
    """Import the client, which signs in, and see that it did.

    Raises:
        HostError: no credentials, credentials that Kaggle refuses, no network, or no room for the
            client's own folder.
    """
    try:
        with _silence():
            api = import_module("kaggle").api
            # A user's VERBOSE=1 would make the client print every request, key included.
            api.args = [arg for arg in api.args if arg != "--verbose"]
            api.already_printed_version_warning = True
            if not api._authenticated:  # the import hides why: ask again to hear it
                _call("sign in", "", api.authenticate)
    except SystemExit as error:
        refused = "KAGGLE_API_TOKEN" in os.environ
        message = (
            "Kaggle does not know the token in KAGGLE_API_TOKEN" if refused else "not signed in to Kaggle"
        )
        raise HostError(message, hint=SIGN_IN_HINT) from error
    except (ImportError, OSError) as error:  # it makes its folder while it is imported
        raise HostError(
            f"Kaggle's client does not start: {_one_line(str(error))}",
            hint="set KAGGLE_CONFIG_DIR to a folder you can write to, or reinstall: pip install kaggle six",
        ) from error
    return Client(api, import_module("kagglesdk.competitions.types.competition_api_service"))


class KaggleHost:
    """See `base.Host`. Every request goes through `_call`, which turns its errors into ours."""

    def __init__(self, slug: str, client: Client) -> None:
        self._slug = slug
        self._client = client
        self._listed: list[HostFile] | None = None

    def details(self) -> Details:
        """The competition's page."""
        found = self._ask("read the competition", "get_competition")
        return Details(
            slug=self._slug,
            title=found.title or self._slug,
            metric=found.evaluation_metric or "",
            deadline=_utc(found.deadline),
            daily_limit=found.max_daily_submissions or None,
            files_url=_page(self._slug, "data"),
            rules_url=_page(self._slug, "rules"),
            entered=found.user_has_entered,
        )

    def files(self) -> list[HostFile]:
        """Every file, over all pages."""
        files = self._ask_all("list the files", "list_data_files", "files")
        # A length of 0 is how the client spells an absent one.
        self._listed = [HostFile(f.name or "", f.total_bytes or None, _utc(f.creation_date)) for f in files]
        return self._listed

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Path:
        """Fetch one file through a folder beside it, where the client can resume what a drop left.

        Raises:
            HostError: also when what came is not as long as the listing says.
        """
        file = pick_file(self.files() if self._listed is None else self._listed, name)
        target = target_path(folder, name)
        staging = target.with_name(target.name + ".part")
        staging.mkdir(parents=True, exist_ok=True)
        check_space(staging, (file.size or 0) - _bytes_in(staging), name)
        self._fetch(name, staging, advance)
        got = [path for path in staging.iterdir() if path.suffix != ".kaggle-partial"]
        size = got[0].stat().st_size if len(got) == 1 else 0
        if len(got) != 1 or (file.size is not None and size != file.size):
            shutil.rmtree(staging)
            raise HostError(
                f"{name} arrived with {size:,} bytes, Kaggle lists {file.size or 0:,}",
                hint="nothing was kept; run the same command again",
            )
        os.replace(got[0], target)
        shutil.rmtree(staging)
        return target

    def submit(self, path: Path, message: str) -> str:
        """Upload a CSV.

        Raises:
            HostError: also when the client reports the failure instead of raising it.
        """
        if not path.is_file():
            raise HostError(f"no file {path} to submit", hint="`kagglekit submit` writes one")
        api = self._client.api
        with _silence():
            reply = self._run(
                "submit", lambda: api.competition_submit(str(path), message, self._slug, quiet=True)
            )
        ref = getattr(reply, "ref", 0)
        if not ref:
            words = _one_line(str(getattr(reply, "message", reply)))
            raise HostError(
                f"Kaggle did not take {path.name}: {words}",
                hint="see `kagglekit leaderboard` for what Kaggle has, then submit again",
            )
        return str(ref)

    def submission(self, ref: str) -> SubmissionState:
        """One submission as it stands."""
        if not ref.isdecimal():
            raise HostError(f"'{ref}' is no reference of a Kaggle submission", hint="it is a number")
        return _state(self._ask("read the submission", "get_submission", ref=int(ref)))

    def submissions(self) -> list[SubmissionState]:
        """All of ours, newest first."""
        return [_state(s) for s in self._ask_all("list the submissions", "list_submissions", "submissions")]

    def limits(self) -> Limits:
        """What Kaggle still takes from this team today; the day's total is in `details`."""
        limits = self._ask("read the limits", "get_submission_limits")
        return Limits(today=limits.num_today, allowed_now=limits.num_allowed_now, daily=None)

    def leaderboard(self) -> list[LeaderboardRow]:
        """The public leaderboard, best first."""
        rows = self._ask_all("read the leaderboard", "get_leaderboard", "submissions")
        return [LeaderboardRow(i, row.team_name or "", _score(row.score)) for i, row in enumerate(rows, 1)]

    # --- requests ---

    def _run(self, what: str, action: Callable[[], T]) -> T:
        return _call(what, self._slug, action)

    def _ask(self, what: str, method: str, **fields: Any) -> Any:
        """One request by its name in the client, such as "get_submission"."""
        request = getattr(self._client.types, f"Api{_pascal(method)}Request")()
        if hasattr(request, "competition_name"):
            request.competition_name = self._slug
        for field, value in fields.items():
            setattr(request, field, value)

        def action() -> Any:
            with self._client.api.build_kaggle_client() as http:
                return getattr(http.competitions.competition_api_client, method)(request)

        return self._run(what, action)

    def _ask_all(self, what: str, method: str, items: str) -> Iterator[Any]:
        """The items of every page."""
        token, seen = "", set[str]()
        while token not in seen:  # a server that repeats itself must not keep us for ever
            seen.add(token)
            page = self._ask(what, method, page_size=PAGE_SIZE, page_token=token)
            yield from getattr(page, items) or []
            token = page.next_page_token or ""

    def _fetch(self, name: str, staging: Path, advance: Callable[[int], None]) -> None:
        """Let the client download into `staging`; only what a dropped connection left may stay there."""
        api = self._client.api

        def action() -> None:
            api.competition_download_file(self._slug, name, path=str(staging), quiet=True)

        try:
            with _watched(staging, advance):
                self._run(f"download {name}", action)
        except HostError as error:
            if not isinstance(error.__cause__, requests.ConnectionError | requests.Timeout):
                shutil.rmtree(staging)
            raise


# --- errors ---


def _call(what: str, slug: str, action: Callable[[], T]) -> T:
    """Do one thing with the client; whatever it raises leaves as a HostError."""
    try:
        return action()
    except requests.HTTPError as error:
        raise _refusal(what, slug, error) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise HostError(
            f"no network: could not {what} ({type(error).__name__})",
            hint="check the connection (and HTTPS_PROXY), then run the same command again",
        ) from error
    except requests.exceptions.InvalidHeader:  # its text holds the key, so it goes no further
        raise HostError(
            f"could not {what}: the key has a character that keys do not have", hint=SIGN_IN_HINT
        ) from None
    # The client decodes replies without looking: HTML, or JSON of another shape, ends in one of these.
    except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostError(
            f"could not {what}: Kaggle's answer makes no sense ({type(error).__name__})",
            hint="does a login page or a proxy answer instead? Try again in some minutes",
        ) from error


def _refusal(what: str, slug: str, error: requests.HTTPError) -> HostError:
    status, words = _server_words(error)
    hint = "run the same command again in some minutes"
    if status == 429:
        hint = "Kaggle asks for a pause: " + _pause(error)
    elif error.response is not None and error.response.history:  # Kaggle said yes, and sent us on to storage
        hint = "Kaggle's storage says so, whose addresses expire: run the same command again"
    elif status == 400:
        hint = "those are Kaggle's words; is a daily limit used up, or the deadline over?"
    elif status == 401:
        hint = f"Kaggle refuses the credentials: {SIGN_IN_HINT}"
    elif status == 403 and slug:
        hint = f"accept the rules at {_page(slug, 'rules')}, then run the same command again"
    elif status == 404 and slug:
        hint = f"is '{slug}' the last part of the competition's address? See competition.slug"
    return HostError(f"could not {what}: Kaggle says {status} {words}".rstrip(), hint=hint)


def _server_words(error: requests.HTTPError) -> tuple[int, str]:
    """Status and message of a reply: {"code", "message"}, {"error": {...}}, or else the status line."""
    response = error.response
    if response is None:
        return 0, _one_line(str(error))
    try:
        body = response.json()
    except ValueError:
        return response.status_code, _one_line(response.reason or "")
    found = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(found, dict):
        return response.status_code, _one_line(str(found))
    code = found.get("code")
    status = code if isinstance(code, int) and code >= 400 else response.status_code  # 200 can carry a 403
    return status, _one_line(str(found.get("message") or response.reason or ""))


def _pause(error: requests.HTTPError) -> str:
    after = "" if error.response is None else error.response.headers.get("Retry-After", "")
    return f"wait {after} s" if after.isdecimal() else "wait a minute"


def _one_line(text: str) -> str:
    """A server's words, made safe to show: one line, printable, not endless."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:300]


# --- small things ---


def _pascal(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))


def _page(slug: str, name: str) -> str:
    return f"https://www.kaggle.com/competitions/{slug}/{name}"


def _utc(moment: datetime | None) -> datetime | None:
    """The client's times are UTC without saying so."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def _score(text: str | None) -> float | None:
    """Scores come as text, empty while there is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _state(found: Any) -> SubmissionState:
    return SubmissionState(
        ref=str(found.ref),
        date=found.date.replace(tzinfo=UTC),
        file_name=found.file_name or "",
        status=found.status.name,
        public=_score(found.public_score),
        private=_score(found.private_score),
        error=_one_line(found.error_description or ""),
        message=found.description or "",
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the client's prints away from stdout, which is for results. Not for use by two threads at once."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _bytes_in(folder: Path) -> int:
    """Size of the download in a staging folder, without the client's own notes."""
    return sum(p.stat().st_size for p in folder.iterdir() if p.suffix != ".kaggle-partial")


@contextlib.contextmanager
def _watched(folder: Path, advance: Callable[[int], None]) -> Iterator[None]:
    """Report the growth of `folder` while the client, which reports nothing, fills it."""
    stop, told = threading.Event(), 0

    def tell() -> None:
        nonlocal told
        grown = _bytes_in(folder) - told
        if grown > 0:
            told += grown
            advance(grown)

    def watch() -> None:
        while not stop.wait(POLL_SECONDS):
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        tell()
