"""A loopback server that speaks the protocol of Kaggle's official client, with faults on demand.

The client itself is never replaced: `environment` points a fresh process at the server through a
proxy variable, `point_client_at` does it for this process.

    with KaggleServer(files={"train.7z": data}) as server:
        server.faults["ListDataFiles"] = flat(500, "Oops")         # always
        server.faults["storage"] = [Drop(1000), None, Flip(7)]     # first, third request; then well
        server.faults["CreateSubmission"] = [Drop()]               # done, but the reply is lost

A method is named as on the wire; "storage" is a file's GET, "upload" a submission's PUT.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import mmap
import threading
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from support.kaggle_notebooks import NotebookServices
from support.kaggle_wire import (
    EXPIRED,
    HTML,
    Drop,
    Fault,
    Flip,
    Handler,
    HttpServer,
    Short,
    Stall,
    Trouble,
    Unheard,
    flat,
    nested,
)

__all__ = [
    "EXPIRED", "HTML", "KEY", "REFRESH_TOKEN", "SLUG", "USER", "Drop", "Fault", "Flip", "KaggleServer", "Short", "Stall", "Unheard",
    "flat", "nested", "point_client_at",
]  # fmt: skip

SLUG = "tiny-speech"
USER, KEY = "tester", "0123456789abcdef0123456789abcdef"
REFRESH_TOKEN = "refresh-0123456789abcdef"
OPEN_TO_ALL = ("IntrospectToken", "GenerateAccessToken")
NEEDS_RULES = (
    "DownloadDataFile",
    "DownloadDataFiles",
    "StartSubmissionUpload",
    "CreateSubmission",
    "CreateCodeSubmission",
)


def point_client_at(address: str) -> None:
    """Lead the client of this process there; KAGGLE_API_ENVIRONMENT=LOCALHOST must precede its import."""
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = address


# --- the site ---


class Stored:
    """A file in storage, with the names that storage gives to its bytes."""

    def __init__(self, source: bytes | Path) -> None:
        self.source = source
        self.data = memoryview(source if isinstance(source, bytes) else _mapped(source))

    @cached_property
    def etag(self) -> str:
        return KaggleServer.etag(self.data)

    @cached_property
    def md5(self) -> str:
        digest = hashlib.md5(self.data, usedforsecurity=False).digest()
        return f"md5={base64.b64encode(digest).decode()}"


@dataclass
class KaggleServer(NotebookServices):
    """One competition. Use as a context manager.

    `faults` maps a method to what goes wrong: always, or request by request (None: nothing) and then no more.
    """

    files: dict[str, Any] = field(default_factory=dict)
    """Each the bytes, or the path of a file of any size."""
    datasets: dict[str, Any] = field(default_factory=dict)
    """Other data sets, "owner/slug" -> the archive of all its files."""
    solution: dict[str, str] = field(default_factory=dict)
    private_solution: dict[str, str] = field(default_factory=dict)
    """Behind the private score, which is shown where this is not empty."""
    competition: dict[str, Any] = field(default_factory=dict)
    """What GetCompetition says other than usual, such as `deadline`, `isKernelsSubmissionsOnly`."""
    pages: dict[str, str] = field(default_factory=dict)
    """The competition's pages, as HTML: evaluation ..."""
    board: list[tuple[str, str]] = field(
        default_factory=lambda: [("Heng", "0.91060"), ("tester", "0.86"), ("nobody", "")]
    )
    entered: bool = True
    daily_limit: int = 5
    polls_pending: int = 1
    """Times that a submission is seen PENDING."""
    scoring_error: str = ""
    page_size: int = 2
    short_by: int = 0
    bytes_per_second: float | None = None
    """How fast a body is sent; None for as fast as it goes."""
    url_uses: int | None = None
    """Requests after which a signed address has expired."""
    takes_ranges: bool = True
    sends_packed: str = ""
    """How storage packs what it sends: "zip", as a file with another name, or "gzip", as an encoding."""
    lists: dict[str, Any] = field(default_factory=dict)
    """Sizes that the list has in place of the right ones, by name."""
    tells_md5: bool = True
    """As Google's storage does for files that were stored in one piece."""
    faults: dict[str, Trouble | list[Trouble | None] | list[Trouble]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    selected: set[int] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._names: dict[str, str] = {}
        self._uses: dict[str, int] = {}
        self._stored: dict[str, Stored] = {}
        self._bundle, self._bundled_from = b"", None
        self._lock = threading.RLock()
        self.closing = threading.Event()
        self._http = HttpServer(("127.0.0.1", 0), Handler)
        self._http.kaggle = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def environment(self, home: str) -> dict[str, str]:
        """Variables that lead a fresh process's client here, signed in."""
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": USER,
            "KAGGLE_KEY": KEY,
            "HOME": home,
            **dict.fromkeys(("http_proxy", "HTTP_PROXY"), self.address),
            **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1"),
        }

    @staticmethod
    def etag(data: bytes | memoryview) -> str:
        """The name that storage gives these bytes."""
        return f'"{zlib.crc32(data):08x}"'

    def stored(self, name: str) -> Stored:
        """The file in storage, read again where a test has put another in its place."""
        with self._lock:
            if name == self.bundle and name not in self.files and self._bundled_from is not self.files:
                self._bundle, self._bundled_from = _zipped(self.files), self.files
        source = (
            self.files.get(name)
            or self.outputs.get(name)
            or self.datasets.get(name.removesuffix(".zip"))
            or self._bundle
        )
        with self._lock:
            if name not in self._stored or self._stored[name].source is not source:
                self._stored[name] = Stored(source)
            return self._stored[name]

    @property
    def bundle(self) -> str:
        """The name of the archive of all files, which no list has."""
        return f"{SLUG}.zip"

    def sent(self, name: str) -> Stored:
        """What storage has in the place of a file, which may be packed."""
        file = self.stored(name)
        if not self.sends_packed:
            return file
        packed = f"{name} as {self.sends_packed}"
        with self._lock:
            if packed not in self._stored:
                data = bytes(file.data)
                zipped = self.sends_packed == "zip"
                self._stored[packed] = Stored(_zipped({name: data}) if zipped else gzip.compress(data))
            return self._stored[packed]

    def trouble(self, method: str) -> Trouble | None:
        """What goes wrong with this request of the method."""
        self.calls.append(method)
        with self._lock:
            planned = self.faults.get(method)
            if isinstance(planned, list):
                return planned.pop(0) if planned else None
            return planned

    def expired(self, signature: str) -> bool:
        """Count a use of a signed address."""
        with self._lock:
            self._uses[signature] = self._uses.get(signature, 0) + 1
            return self.url_uses is not None and self._uses[signature] > self.url_uses

    def put(self, token: str, data: bytes) -> None:
        """Keep an upload, which is no submission yet."""
        self.uploads[token] = data

    def add_submission(self, file_name: str, data: bytes, description: str = "", error: str = "") -> int:
        """Take a submission, as from the website; its ref."""
        with self._lock:
            self.submissions.append(
                {
                    "ref": len(self.submissions) + 1,
                    "date": _now(),
                    "fileName": file_name,
                    "totalBytes": len(data),
                    "description": description,
                    "status": "PENDING",
                    "scores": ("", "") if error else self.scores(data),
                    "error": error,
                    "polls": self.polls_pending,
                }
            )
            return len(self.submissions)

    def call(self, method: str, request: dict[str, Any], authorization: str) -> dict[str, Any] | Fault:
        """What a method answers, to those it answers at all."""
        basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        if method not in OPEN_TO_ALL and authorization not in (f"Basic {basic}", f"Bearer {KEY}"):
            return flat(401, "Unauthenticated")
        if method in NEEDS_RULES and not self.entered:
            return flat(403, "You must accept this competition's rules before you can do that")
        answer: dict[str, Any] | Fault = getattr(self, method)(request)
        return answer

    def scores(self, data: bytes) -> tuple[str, str]:
        """Public and private."""
        return _accuracy(data, self.solution), _accuracy(data, self.private_solution)

    # --- the methods, named as on the wire ---

    def GetCompetition(self, _: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "ref": SLUG,
            "title": "Tiny Speech",
            "deadline": "2030-01-02T23:59:00.1234567Z",
            "evaluationMetric": "Categorization Accuracy",
            "maxDailySubmissions": self.daily_limit,
            "userHasEntered": self.entered,
            "teamCount": len(self.board),
        }
        return usual | self.competition

    def ListCompetitionPages(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("pageName")
        pages = [name for name in self.pages if not wanted or name == wanted]
        return {"pages": [{"name": name, "content": self.pages[name]} for name in pages]}

    def ListDataFiles(self, request: dict[str, Any]) -> dict[str, Any]:
        names, token = self._page(sorted(self.files), request)
        sizes = [self.lists.get(n, len(self.stored(n).data)) for n in names]
        files = [
            {"name": n, "totalBytes": size, "creationDate": _now()}
            for n, size in zip(names, sizes, strict=True)
        ]
        return {"files": files, "nextPageToken": token}

    def DownloadDataFile(self, request: dict[str, Any]) -> Fault:
        known = request["fileName"] in self.files
        return self._signed(request["fileName"]) if known else flat(404, "Not found")

    def DownloadDataFiles(self, _: dict[str, Any]) -> Fault:
        return self._signed(self.bundle)

    def DownloadDataset(self, request: dict[str, Any]) -> Fault:
        name = f"{request['ownerSlug']}/{request['datasetSlug']}"
        return self._signed(f"{name}.zip") if name in self.datasets else flat(404, "Not found")

    def _signed(self, name: str) -> Fault:
        """Where storage has a file, for a while."""
        return Fault(302, b"", "text/html", (("Location", self._address(name)),))

    def StartSubmissionUpload(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            token = f"token-{len(self._names)}"
            self._names[token] = request["fileName"]
        return {"token": token, "createUrl": f"{self.address}/upload/{token}"}

    def CreateSubmission(self, request: dict[str, Any]) -> dict[str, Any] | Fault:
        token = request["blobFileTokens"]
        if token not in self.uploads:
            return flat(400, "Submission file was not uploaded")
        with self._lock:
            made = len(self.submissions)
            if made >= self.daily_limit:
                used = f"{made} of {self.daily_limit}"
                return flat(400, f"Your team has used its daily submission allowance ({used}).")
            ref = self.add_submission(
                self._names[token], self.uploads[token], request.get("submissionDescription", "")
            )
        return {"message": f"Successfully submitted to {SLUG}", "ref": ref}

    def GetSubmission(self, request: dict[str, Any]) -> dict[str, Any] | Fault:
        if not 1 <= request["ref"] <= len(self.submissions):
            return flat(404, "Submission not found")
        found = self.submissions[request["ref"] - 1]
        with self._lock:
            if found["polls"] == 0 and (error := found["error"] or self.scoring_error):
                found |= {"status": "ERROR", "errorDescription": error}
            elif found["polls"] == 0:
                public, private = found["scores"]
                found |= {"status": "COMPLETE", "publicScore": public, "privateScore": private}
            found["polls"] = max(0, found["polls"] - 1)
            return {key: value for key, value in found.items() if key not in ("polls", "scores", "error")}

    def ListSubmissions(self, request: dict[str, Any]) -> dict[str, Any]:
        shown = self.submissions[::-1]
        if request.get("group") == "SUBMISSION_GROUP_SELECTED":
            shown = [submission for submission in shown if submission["ref"] in self.selected]
        page, token = self._page(shown, request)
        return {"submissions": [self.GetSubmission(s) for s in page], "nextPageToken": token}

    def GetSubmissionLimits(self, _: dict[str, Any]) -> dict[str, Any]:
        made = len(self.submissions)
        return {"numToday": made, "numTotal": made, "numAllowedNow": max(0, self.daily_limit - made)}

    def GetLeaderboard(self, request: dict[str, Any]) -> dict[str, Any]:
        page, token = self._page(list(enumerate(self.board)), request)
        rows = [
            {"teamId": i, "teamName": team, "submissionDate": _now(), "score": score}
            for i, (team, score) in page
        ]
        return {"submissions": rows, "nextPageToken": token}

    def IntrospectToken(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"active": request.get("token") == KEY, "username": USER}

    def GenerateAccessToken(self, request: dict[str, Any]) -> dict[str, Any] | Fault:
        if request.get("refreshToken") != REFRESH_TOKEN:
            return flat(401, "Unauthenticated")
        return {"token": KEY, "expiresIn": 3600}

    def _page(self, items: list[Any], request: dict[str, Any]) -> tuple[list[Any], str]:
        """The page asked for, and the token of the next one; pages are small, whatever was asked for."""
        start = int(request.get("pageToken") or 0)
        end = start + self.page_size
        return items[start:end], str(end) if end < len(items) else ""


def _zipped(files: dict[str, Any]) -> bytes:
    """All files in one archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.writestr(name, source if isinstance(source, bytes) else source.read_bytes())
    return buffer.getvalue()


def _mapped(path: Path) -> mmap.mmap | bytes:
    """A file's bytes without reading them."""
    if path.stat().st_size == 0:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _accuracy(data: bytes, solution: dict[str, str]) -> str:
    """The score as the site writes it, "" where there is no solution."""
    rows = [row for row in csv.DictReader(io.StringIO(data.decode())) if row["fname"] in solution]
    right = sum(solution[row["fname"]] == row["label"] for row in rows)
    return f"{right / max(1, len(rows)):.5f}" if solution else ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
