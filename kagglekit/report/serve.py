"""Serve the report on a loopback address, with sounds from the audio store."""

import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from kagglekit.data.store import Store
from kagglekit.errors import KagglekitError
from kagglekit.report.listening import wav_bytes
from kagglekit.report.source import Source

HOST = "127.0.0.1"
SOUND = re.compile(r"/audio/([a-z]+)/([0-9]{1,9})\.wav")


def make_server(html: str, source: Source, port: int) -> ThreadingHTTPServer:
    """Bind a server that is not yet running; port 0 takes any free port.

    It serves the page, and clips by split and row; no path of a request is ever used as a path on the disk.
    Requests with another Host header are refused, so that no other web page can read from it.

    Raises:
        KagglekitError: the port is in use.
    """
    stores = {split: source.prepared.store(split) for split in source.prepared.folders}
    handler = _handler(html.encode(), stores, source)
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise KagglekitError(
            f"port {port} cannot be used: {error.strerror or error}",
            hint="choose another: --port 0 finds one",
        ) from error
    server.daemon_threads = True
    return server


def _handler(page: bytes, stores: dict[str, Store], source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET / and GET /audio/<split>/<row>.wav."""

        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            port = cast(ThreadingHTTPServer, self.server).server_port
            if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
                self._answer(
                    HTTPStatus.FORBIDDEN, "text/plain", b"this report is served to this machine only\n"
                )
            elif self.path == "/":
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page)
            elif (sound := _sound(self.path, stores, source)) is not None:
                self._answer(HTTPStatus.OK, "audio/wav", sound)
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not match\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: a line for every sound would help nobody."""

    return Handler


def _sound(path: str, stores: dict[str, Store], source: Source) -> bytes | None:
    """Return the wav file for a request's path, or None where there is no such clip."""
    match = SOUND.fullmatch(path)
    if match is None or match[1] not in stores or int(match[2]) >= len(stores[match[1]]):
        return None
    samples = source.sound(stores[match[1]], match[1], int(match[2]))
    return wav_bytes(samples, source.config.audio.sample_rate)
