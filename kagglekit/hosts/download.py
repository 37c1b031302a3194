"""One file from storage: resumed at the exact byte, from a fresh address when the old one is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3

from kagglekit.files.atomic import move_into_place, write_json
from kagglekit.hosts.replies import DamagedError, StorageError, UnreadableError
from kagglekit.hosts.retry import Retry, passes

BACKLOG = 8  # chunks that wait for the MD5
CHUNK_BYTES = 2**20  # at most: what has come is written at once, so that a drop or a kill loses nothing


@dataclass(frozen=True)
class Origin:
    """What storage says of the file whose bytes it sends."""

    etag: str
    """Changes with the bytes; empty where it cannot be used to resume."""
    size: int | None
    md5: str
    """Base64; empty where storage does not tell."""

    @classmethod
    def of(cls, response: requests.Response) -> Origin:
        """Google's storage, where Kaggle keeps its files, gives all three."""
        headers = response.headers
        etag = headers.get("ETag", "")
        _, _, total = headers.get("Content-Range", "").rpartition("/")
        size = total if response.status_code == 206 else headers.get("Content-Length", "")
        md5 = re.search(r"md5=([\w+/=]+)", headers.get("x-goog-hash", ""))
        return cls(
            etag="" if etag.startswith("W/") else etag,
            size=int(size) if size.isdecimal() else None,
            md5=md5[1] if md5 else "",
        )


@dataclass(frozen=True)
class Part:
    """The bytes that have come, and a note beside them of what they are a part of."""

    path: Path

    @property
    def origin(self) -> Origin | None:
        """What an earlier download noted; None where nothing can be made of it."""
        try:
            return Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def size(self) -> int:
        """Bytes there are; 0 where nobody knows what they belong to."""
        return self.path.stat().st_size if self.origin and self.path.is_file() else 0

    def begin(self, origin: Origin) -> None:
        """Note what comes from now on; emptied first, so that a kill in between never joins two files."""
        self.path.write_bytes(b"")
        write_json(self._note, asdict(origin))

    def become(self, target: Path) -> None:
        """It is whole."""
        move_into_place(self.path, target)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """It is of no use."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")


def _new_md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


class _Md5:
    """MD5 of bytes as they come, taken in a thread of its own: it is slower than a fast network."""

    def __init__(self) -> None:
        self._md5 = _new_md5()
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def begin(self, path: Path) -> None:
        """Take those that came before."""
        with path.open("rb") as file:
            self._md5 = hashlib.file_digest(file, _new_md5)

    def add(self, chunk: bytes) -> None:
        """Take some more."""
        self._pending.append(self._thread.submit(self._md5.update, chunk))
        if len(self._pending) > BACKLOG:  # memory stays flat
            self._pending.popleft().result()

    def base64(self) -> str:
        """As storage names it."""
        while self._pending:
            self._pending.popleft().result()
        return base64.b64encode(self._md5.digest()).decode()


@dataclass
class Download:
    """A download that goes on until the file is whole, or until several tries in a row brought nothing new.

    Args:
        name: the file, for notes.
        sign: asks for an address of the file, good for some minutes.
        part: where the bytes go, and where those of an earlier run are.
        size: bytes that the host lists; None where it does not.
        advance: hears of bytes as they come, and of fewer where the file had to be begun again.
        retry: how patient to be.
    """

    name: str
    sign: Callable[[], str]
    part: Part
    size: int | None
    advance: Callable[[int], None]
    retry: Retry
    _told: int = field(default=0, init=False)
    _md5: _Md5 = field(default_factory=_Md5, init=False)
    """Of the bytes in `part`."""

    def run(self) -> bool:
        """Fetch what is missing.

        Returns:
            Whether storage told an MD5, which then fits.

        Raises:
            requests.RequestException: the last failure. What can be resumed is left in `part`.
        """
        address, failures, most = "", 0, self.part.size
        self._tell(most)
        if most and self._tells_md5:
            self._md5.begin(self.part.path)
        while True:
            reused = bool(address)
            try:
                if self.part.origin is None or self.part.size != self._expected():
                    address = address or self.sign()
                    self._stream(address)
                return self._check_whole()
            except requests.RequestException as error:
                expired = isinstance(error, StorageError) and not passes(error)
                if not expired and not passes(error):
                    raise
                if not isinstance(error, requests.ConnectionError | requests.Timeout):
                    address = ""  # sign anew: who knows who answered
                if expired and reused:
                    continue
                failures = 1 if self.part.size > most else failures + 1
                most = max(most, self.part.size)
                if failures >= self.retry.network.tries:
                    raise
                self.retry.pause(f"download {self.name}", error, failures)

    def _expected(self) -> int | None:
        origin = self.part.origin
        return self.size if self.size is not None or origin is None else origin.size

    def _stream(self, address: str) -> None:
        """One request, from the first byte that is missing to where it ends."""
        have, origin = self.part.size, self.part.origin
        headers = {"Accept-Encoding": "identity"}  # ranges of compressed bytes would not fit together
        if have and origin and origin.etag:
            headers |= {"Range": f"bytes={have}-", "If-Range": origin.etag}
        timeout = self.retry.network.timeout_s
        with requests.get(address, headers=headers, stream=True, timeout=timeout) as response:
            self._accept(response)
            self._tell(self.part.size)
            tells_md5 = self._tells_md5
            with self.part.path.open("ab") as file:
                for chunk in _chunks(response):
                    file.write(chunk)
                    file.flush()
                    if tells_md5:
                        self._md5.add(chunk)
                    self._tell(self._told + len(chunk))
        if self.part.size < (self._expected() or 0):
            raise requests.ConnectionError(f"cut off after {self.part.size:,} bytes")

    def _accept(self, response: requests.Response) -> None:
        """See that what comes continues the part, or begins it again; good bytes are not given up for bad."""
        found = Origin.of(response)
        if response.status_code >= 400:
            if response.status_code == 416:
                self._discard()
            raise StorageError(response=response)
        if response.status_code == 206:
            start = re.match(rf"bytes {self.part.size}-", response.headers.get("Content-Range", ""))
            origin = self.part.origin
            if (
                start is None
                or origin is None
                or found.etag not in ("", origin.etag)
                or found.size != origin.size
            ):
                self._discard()
                raise UnreadableError("a range that was not asked for")
            return
        html = response.headers.get("Content-Type", "").startswith("text/html")
        if html and not self.name.endswith((".html", ".htm")):
            raise UnreadableError("a web page")
        self._check_size(found.size)
        self.part.begin(found)
        self._md5 = _Md5()

    def _check_size(self, size: int | None) -> None:
        if size is not None and self.size is not None and size != self.size:
            raise DamagedError(f"{self.name} arrives with {size:,} bytes, Kaggle lists {self.size:,}")

    @property
    def _tells_md5(self) -> bool:
        origin = self.part.origin
        return origin is not None and origin.md5 != ""

    def _check_whole(self) -> bool:
        """The size, and the MD5; whether storage named one."""
        origin = self.part.origin
        try:
            self._check_size(self.part.size)
            if origin and origin.md5 not in ("", self._md5.base64()):
                raise DamagedError(f"{self.name} arrives with bytes that do not fit its MD5")
        except DamagedError:
            self._discard()
            raise
        return self._tells_md5

    def _discard(self) -> None:
        self.part.discard()
        self._md5 = _Md5()

    def _tell(self, size: int) -> None:
        if size != self._told:
            self.advance(size - self._told)
            self._told = size


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes: each piece is there before a drop or a stall can take it away."""
    try:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(type(error).__name__) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(type(error).__name__) from error
