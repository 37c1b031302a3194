"""A loopback server that speaks the protocol of Kaggle's official client, with faults on demand.

The client itself is never replaced: `environment` points a fresh process at the server through a
proxy variable, `point_client_at` does it for this process.
"""

from __future__ import annotations

import csv
import io
import json
import threading
import urllib.parse
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

SLUG = "tiny-speech"
USER, KEY = "tester", "0123456789abcdef0123456789abcdef"


class Fault(NamedTuple):
    """A reply that a method gives instead of its own."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def flat(status: int, message: str) -> Fault:
    """The form of an error whose message the client keeps."""
    return Fault(status, json.dumps({"code": status, "message": message}).encode())


def nested(status: int, message: str, *headers: tuple[str, str]) -> Fault:
    """The form of an error whose message the client loses."""
    return Fault(
        status, json.dumps({"error": {"code": status, "message": message}}).encode(), headers=headers
    )


HTML = Fault(200, b"<html>Sign in to the hotel's network</html>", "text/html")


def point_client_at(address: str) -> None:
    """Lead the client of this process there; KAGGLE_API_ENVIRONMENT=LOCALHOST must precede its import."""
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = address


@dataclass
class KaggleServer:
    """One competition. Use as a context manager; `faults` maps a method to what it answers instead."""

    files: dict[str, bytes] = field(default_factory=dict)
    solution: dict[str, str] = field(default_factory=dict)
    daily_limit: int = 5
    polls_pending: int = 1
    page_size: int = 2
    short_by: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.kaggle = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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
    def etag(data: bytes) -> str:
        """The name that storage gives these bytes."""
        return f'"{zlib.crc32(data):08x}"'

    # --- the methods, named as on the wire ---

    def GetCompetition(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "ref": SLUG,
            "title": "Tiny Speech",
            "deadline": "2030-01-02T23:59:00.1234567Z",
            "evaluationMetric": "Categorization Accuracy",
            "maxDailySubmissions": self.daily_limit,
            "userHasEntered": True,
        }

    def ListDataFiles(self, request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("pageToken") or 0)
        names = sorted(self.files)
        page = names[start : start + self.page_size]
        end = start + len(page)
        files = [{"name": n, "totalBytes": len(self.files[n]), "creationDate": _now()} for n in page]
        return {"files": files, "nextPageToken": str(end) if end < len(names) else ""}

    def StartSubmissionUpload(self, request: dict[str, Any]) -> dict[str, Any]:
        token = f"token-{len(self.uploads)}"
        self.uploads[token] = b""
        return {"token": token, "createUrl": f"{self.address}/upload/{token}?name={request['fileName']}"}

    def CreateSubmission(self, request: dict[str, Any]) -> dict[str, Any]:
        ref = len(self.submissions) + 1
        score = self._accuracy(self.uploads[request["blobFileTokens"]])
        self.submissions.append(
            {
                "ref": ref,
                "date": _now(),
                "fileName": "submission.csv",
                "description": request.get("submissionDescription", ""),
                "status": "PENDING",
                "score": f"{score:.5f}",
                "polls": self.polls_pending,
            }
        )
        return {"message": f"Successfully submitted to {SLUG}", "ref": ref}

    def GetSubmission(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.submissions[request["ref"] - 1]
        if found["polls"] == 0:
            found |= {"status": "COMPLETE", "publicScore": found["score"], "privateScore": ""}
        found["polls"] = max(0, found["polls"] - 1)
        return {key: value for key, value in found.items() if key not in ("polls", "score")}

    def ListSubmissions(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "submissions": [self.GetSubmission(s) for s in reversed(self.submissions)],
            "nextPageToken": "",
        }

    def GetSubmissionLimits(self, _: dict[str, Any]) -> dict[str, Any]:
        made = len(self.submissions)
        return {"numToday": made, "numTotal": made, "numAllowedNow": self.daily_limit - made}

    def GetLeaderboard(self, _: dict[str, Any]) -> dict[str, Any]:
        rows = [("Heng", "0.91060"), ("tester", "0.86"), ("nobody", "")]
        return {
            "submissions": [
                {"teamId": i, "teamName": team, "submissionDate": _now(), "score": score}
                for i, (team, score) in enumerate(rows)
            ]
        }

    def IntrospectToken(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"active": request.get("token") == KEY, "username": USER}

    def _accuracy(self, data: bytes) -> float:
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        right = [self.solution[row["fname"]] == row["label"] for row in rows if row["fname"] in self.solution]
        return sum(right) / max(1, len(right))


class _Handler(BaseHTTPRequestHandler):
    @property
    def kaggle(self) -> KaggleServer:
        server: KaggleServer = self.server.kaggle  # type: ignore[attr-defined]
        return server

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_POST(self) -> None:
        method = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1]
        request = json.loads(self._body() or b"{}")
        self.kaggle.calls.append(method)
        if method in self.kaggle.faults:
            return self._reply(*self.kaggle.faults[method])
        if method != "IntrospectToken" and not self.headers.get("Authorization", "").startswith(
            ("Basic", "Bearer")
        ):
            return self._reply(*flat(401, "Unauthenticated"))
        if method == "DownloadDataFile":
            where = (
                f"http://{self.headers['Host']}/storage/{urllib.parse.quote(request['fileName'])}?signed=1"
            )
            return self._reply(302, b"", headers=(("Location", where),))
        return self._reply(200, json.dumps(getattr(self.kaggle, method)(request)).encode())

    def do_GET(self) -> None:
        """A file from storage, whole or from a byte on."""
        self.kaggle.calls.append("storage")
        if "storage" in self.kaggle.faults:
            return self._reply(*self.kaggle.faults["storage"])
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        data = self.kaggle.files[path.removeprefix("/storage/")]
        data = data[: len(data) - self.kaggle.short_by]
        etag = self.kaggle.etag(data)
        headers = [("ETag", etag), ("Accept-Ranges", "bytes")]
        wanted = self.headers.get("Range", "")
        self.kaggle.ranges.append(wanted)
        if wanted and self.headers.get("If-Range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers.append(("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
            return self._reply(206, data[start:], "application/octet-stream", tuple(headers))
        return self._reply(200, data, "application/octet-stream", tuple(headers))

    def do_PUT(self) -> None:
        self.kaggle.calls.append("upload")
        token = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1]
        data = self._body()
        if "upload" in self.kaggle.faults:
            return self._reply(*self.kaggle.faults["upload"])
        self.kaggle.uploads[token] = data
        return self._reply(200, b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
