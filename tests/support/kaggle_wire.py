"""The wire of the loopback Kaggle in kaggle_server.py: requests in, replies out, and what can go wrong."""

from __future__ import annotations

import json
import mimetypes
import socket
import struct
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from support.kaggle_server import KaggleServer


class Fault(NamedTuple):
    """A reply that a method gives instead of its own; the method does nothing."""

    status: int
    body: bytes | memoryview
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Drop(NamedTuple):
    """The method does its work and the connection ends after `at` bytes of the reply's body.

    at: None for no byte of a reply at all.
    reset: end it by RST, not FIN.
    """

    at: int | None = None
    reset: bool = False


class Stall(NamedTuple):
    """The method does its work, but after `at` bytes of the reply's body no more come; at: as for Drop."""

    at: int | None = None


class Flip(NamedTuple):
    """A byte of the reply's body is another one."""

    at: int = 0


class Short(NamedTuple):
    """The last bytes of the reply's body are missing, and its Content-Length agrees."""

    by: int = 1


class Unheard(NamedTuple):
    """The connection ends before the method has done anything."""

    reset: bool = False


class Masked(NamedTuple):
    """The method does its work, but something between answers for it."""

    by: Fault


Trouble = Fault | Drop | Stall | Flip | Short | Unheard | Masked


def flat(status: int, message: str, *headers: tuple[str, str]) -> Fault:
    """The form of an error whose message the client keeps."""
    return Fault(status, json.dumps({"code": status, "message": message}).encode(), headers=headers)


def nested(status: int, message: str, *headers: tuple[str, str]) -> Fault:
    """The form of an error whose message the client loses."""
    return Fault(
        status, json.dumps({"error": {"code": status, "message": message}}).encode(), headers=headers
    )


HTML = Fault(200, b"<html>Sign in to the hotel's network</html>", "text/html")
EXPIRED = Fault(400, b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>", "application/xml")


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    kaggle: KaggleServer

    def handle_error(self, *_: Any) -> None:
        """A client that goes away, killed or tired of waiting, is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*_)


class Handler(BaseHTTPRequestHandler):
    server: HttpServer

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_POST(self) -> None:
        method = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1]
        self._serve(method, json.loads(self._body() or b"{}"))

    def do_GET(self) -> None:
        self._serve("storage", None)

    def do_PUT(self) -> None:
        self._serve("upload", self._body())

    def _serve(self, method: str, request: Any) -> None:
        trouble = self.server.kaggle.trouble(method)
        if isinstance(trouble, Unheard):
            return self._hang_up(trouble.reset)
        if not isinstance(trouble, Fault):
            own = {"storage": self._stored, "upload": self._uploaded}.get(method)
            reply = own(request) if own else self._called(method, request)
            return self._send(trouble.by if isinstance(trouble, Masked) else reply, trouble)
        return self._send(trouble, None)

    def _called(self, method: str, request: dict[str, Any]) -> Fault:
        """The reply of a method of the API."""
        reply = self.server.kaggle.call(method, request, self.headers.get("Authorization", ""))
        if not isinstance(reply, Fault):
            return Fault(200, json.dumps(reply).encode())
        headers = (
            (n, f"http://{self.headers['Host']}{v}" if n == "Location" else v) for n, v in reply.headers
        )
        return reply._replace(headers=tuple(headers))

    def _stored(self, _: None) -> Fault:
        """A file from storage, whole or from a byte on, as long as its address is good."""
        kaggle, url = self.server.kaggle, urllib.parse.urlsplit(self.path)
        wanted = self.headers.get("Range", "")
        kaggle.ranges.append(wanted)
        if kaggle.expired(urllib.parse.parse_qs(url.query)["signed"][0]):
            return EXPIRED
        name = urllib.parse.unquote(url.path).removeprefix("/storage/")
        file = kaggle.sent(name)
        data = file.data[: len(file.data) - kaggle.short_by]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = [("ETag", file.etag), ("Accept-Ranges", "bytes")]
        headers += [("X-Goog-Hash", file.md5)] if kaggle.tells_md5 else []
        headers += [("Content-Encoding", "gzip")] if kaggle.sends_packed == "gzip" else []
        current = self.headers.get("If-Range") in (None, file.etag)
        if not wanted or not kaggle.takes_ranges or not current:
            return Fault(200, data, kind, tuple(headers))
        start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start >= len(data):
            return Fault(416, b"", kind, (("Content-Range", f"bytes */{len(data)}"),))
        part = ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        return Fault(206, data[start:], kind, (*headers, part))

    def _uploaded(self, data: bytes) -> Fault:
        self.server.kaggle.put(urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1], data)
        return Fault(200, b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, reply: Fault, trouble: Trouble | None) -> None:
        """Send a reply, as far as the trouble lets it through."""
        body = memoryview(reply.body)
        match trouble:
            case Drop(at=None) | Stall(at=None):
                return self._break_off(trouble)
            case Flip(at=at) if len(body):
                at = min(at, len(body) - 1)
                body = memoryview(bytes(body[:at]) + bytes([body[at] ^ 0xFF]) + bytes(body[at + 1 :]))
            case Short(by=by):
                body = body[: max(0, len(body) - by)]
        self.send_response(reply.status)
        length = ("Content-Length", str(len(body)))
        for name, value in (("Content-Type", reply.content_type), length, *reply.headers):
            self.send_header(name, value)
        self.end_headers()
        if isinstance(trouble, Drop | Stall):
            self._write(body[: trouble.at])
            return self._break_off(trouble)
        self._write(body)

    def _write(self, body: memoryview) -> None:
        rate, start = self.server.kaggle.bytes_per_second, time.monotonic()
        step = len(body) if rate is None else max(1, int(rate / 100))
        for at in range(0, len(body), step or 1):
            self.wfile.write(body[at : at + step])
            if rate is not None:
                time.sleep(max(0.0, start + (at + step) / rate - time.monotonic()))

    def _break_off(self, trouble: Drop | Stall) -> None:
        if isinstance(trouble, Stall):
            self.server.kaggle.closing.wait(60)
        self._hang_up(isinstance(trouble, Drop) and trouble.reset)

    def _hang_up(self, reset: bool) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()  # really, once the handler has closed its files, too
