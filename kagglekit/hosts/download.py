"""Download one file from storage, resuming at the exact byte, with a new link where one is refused."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3

from kagglekit.errors import ArchiveError
from kagglekit.files import archive
from kagglekit.files.atomic import move_into_place, read_json, write_json
from kagglekit.files.json_shape import shaped
from kagglekit.files.patterns import is_archive
from kagglekit.hosts.base import check_space
from kagglekit.hosts.packed import packing, unpack
from kagglekit.hosts.replies import DamagedDownloadError, StorageError, UnreadableError, reaching
from kagglekit.hosts.retry import Retry, is_temporary

BACKLOG = 8  # chunks that may wait for the MD5
CHUNK_BYTES = 2**20  # at most; every chunk is written at once, so that a drop or a kill loses nothing


@dataclass(frozen=True)
class Origin:
    """How storage describes the file that it sends."""

    etag: str
    """Changes with the bytes; empty where it cannot be used to resume."""
    size: int | None
    md5: str
    """In Base64; empty where storage gives none."""
    coded: bool = False
    """The bytes are a gzip file with the file in it ("Content-Encoding: gzip")."""

    @classmethod
    def from_response(cls, response: requests.Response) -> Origin:
        """Read the headers. Google's storage, where Kaggle keeps its files, sends all three."""
        headers = response.headers
        etag = headers.get("ETag", "")
        _, _, total = headers.get("Content-Range", "").rpartition("/")
        size = total if response.status_code == 206 else headers.get("Content-Length", "")
        md5 = re.search(r"md5=([\w+/=]+)", headers.get("x-goog-hash", ""))
        return cls(
            etag="" if etag.startswith("W/") else etag,
            size=int(size) if size.isdecimal() else None,
            md5=md5[1] if md5 else "",
            coded=headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"),
        )


@dataclass(frozen=True)
class PartialFile:
    """An unfinished download in a folder of its own, where no other file of the host can be."""

    folder: Path

    @property
    def path(self) -> Path:
        """The bytes so far."""
        return self.folder / "bytes"

    @property
    def unpacked(self) -> Path:
        """The content of a file that came packed."""
        return self.folder / "unpacked"

    @property
    def origin(self) -> Origin | None:
        """The file that an earlier download began, or None where it is unknown."""
        try:
            return shaped(Origin, read_json(self._origin_path))
        except (OSError, ValueError):
            return None

    @property
    def size(self) -> int:
        """Number of bytes; 0 where their file is unknown."""
        return self.path.stat().st_size if self.origin and self.path.is_file() else 0

    def start(self, origin: Origin) -> None:
        """Start a download. The file is emptied first, so that a kill in between never joins two files."""
        self.delete()
        self.folder.mkdir(parents=True)
        self.path.write_bytes(b"")
        write_json(self._origin_path, asdict(origin))

    def move_to(self, target: Path) -> None:
        """Move the finished download into place."""
        move_into_place(self.unpacked if self.unpacked.is_file() else self.path, target)
        self.delete()

    def delete(self) -> None:
        """Delete a download that cannot be resumed."""
        if self.folder.is_dir() and not self.folder.is_symlink():
            shutil.rmtree(self.folder)
        else:
            self.folder.unlink(missing_ok=True)

    @property
    def _origin_path(self) -> Path:
        return self.folder / "origin.json"


def _new_md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


class _Md5:
    """Computes the MD5 of arriving bytes in its own thread, because it is slower than a fast network."""

    def __init__(self) -> None:
        self._md5 = _new_md5()
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def add_file(self, path: Path) -> None:
        """Add the bytes of an earlier download."""
        with path.open("rb") as file:
            self._md5 = hashlib.file_digest(file, _new_md5)

    def add(self, chunk: bytes) -> None:
        """Add a chunk."""
        self._pending.append(self._thread.submit(self._md5.update, chunk))
        if len(self._pending) > BACKLOG:  # bounds the memory
            self._pending.popleft().result()

    def base64(self) -> str:
        """Return the digest in the form that storage sends."""
        while self._pending:
            self._pending.popleft().result()
        return base64.b64encode(self._md5.digest()).decode()


@dataclass
class Download:
    """A download that continues until the file is whole, or until several tries in a row brought no new byte.

    Args:
        sign: requests a download link, valid for some minutes.
        part: receives the bytes, and has those of an earlier run.
        size: listed by the host, in bytes; None where it lists none.
        advance: called with each number of new bytes, negative where the download starts again.
    """

    name: str
    sign: Callable[[], str]
    part: PartialFile
    size: int | None
    advance: Callable[[int], None]
    retry: Retry
    _reported: int = field(default=0, init=False)
    _md5: _Md5 = field(default_factory=_Md5, init=False)
    """The MD5 of the bytes in `part`."""

    def run(self) -> bool:
        """Download the missing bytes, and unpack what came packed.

        Returns:
            Whether the bytes are proven: they have the listed size, and storage's MD5. An archive of another
            size than listed is for `fetch` to test.

        Raises:
            requests.RequestException: the last failure; `part` stays where it can be resumed.
        """
        url, failures, most = "", 0, self.part.size
        self._report(most)
        if most and self._has_md5:
            self._md5.add_file(self.part.path)
        while True:
            reused = bool(url)
            try:
                if self.part.origin is None or self.part.size != self._expected():
                    url = url or self.sign()
                    self._stream(url)
                return self._check_whole()
            except requests.RequestException as error:
                expired = isinstance(error, StorageError) and not is_temporary(error)
                if not expired and not is_temporary(error):
                    raise
                if not isinstance(error, requests.ConnectionError | requests.Timeout):
                    url = ""  # the reply may come from another server: sign again
                if expired and reused:
                    continue
                failures = 1 if self.part.size > most else failures + 1
                most = max(most, self.part.size)
                if failures >= self.retry.network.tries:
                    raise
                self.retry.pause(f"download {self.name}", error, failures)

    def _expected(self) -> int | None:
        """Return how many bytes are to come: as storage says, or as the list does; None where unknown."""
        origin = self.part.origin
        if origin is None:
            return self.size
        return self.size if origin.size is None and not origin.coded else origin.size

    def _stream(self, url: str) -> None:
        """Send one request for all missing bytes, and write what it brings."""
        have, origin = self.part.size, self.part.origin
        headers = {"Accept-Encoding": "identity"}  # ranges of a compressed body would not fit together
        if have and origin and origin.etag:
            headers |= {"Range": f"bytes={have}-", "If-Range": origin.etag}
        timeout = self.retry.network.timeout_s
        with reaching(url), requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            self._accept(response)
            self._report(self.part.size)
            has_md5 = self._has_md5
            with self.part.path.open("ab") as file:
                for chunk in _chunks(response):
                    file.write(chunk)
                    file.flush()
                    if has_md5:
                        self._md5.add(chunk)
                    self._report(self._reported + len(chunk))
        if self.part.size < (self._expected() or 0):
            raise requests.ConnectionError(f"cut off after {self.part.size:,} bytes")

    def _accept(self, response: requests.Response) -> None:
        """Check that the reply continues the partial file, or start it again.

        An error or a web page leaves the bytes that are there untouched.
        """
        arriving = Origin.from_response(response)
        if response.status_code >= 400:
            if response.status_code == 416:
                self._restart()
            raise StorageError(response=response)
        if response.status_code == 206:
            start = re.match(rf"bytes {self.part.size}-", response.headers.get("Content-Range", ""))
            origin = self.part.origin
            if (
                start is None
                or origin is None
                or arriving.etag not in ("", origin.etag)
                or arriving.size != origin.size
            ):
                self._restart()
                raise UnreadableError("a range that was not requested")
            return
        html = response.headers.get("Content-Type", "").startswith("text/html")
        if html and not self.name.endswith((".html", ".htm")):
            raise UnreadableError("a web page")
        check_space(self.part.folder, arriving.size or 0, self.name)  # not known before for a bundle
        self.part.start(arriving)
        self._md5 = _Md5()

    @property
    def _has_md5(self) -> bool:
        origin = self.part.origin
        return origin is not None and origin.md5 != ""

    def _check_whole(self) -> bool:
        """Check the size and the MD5, and unpack; return whether the bytes are proven."""
        origin, size, path = self.part.origin, self.part.size, self.part.path
        how = packing(path, self.name, self.size, coded=origin is not None and origin.coded)
        is_listed = how is not None or self.size in (None, size)
        try:
            if not is_listed and not (is_archive(self.name) and _is_readable(path)):
                raise DamagedDownloadError(f"{self.name} has {size:,} bytes, but Kaggle lists {self.size:,}")
            if origin and origin.md5 not in ("", self._md5.base64()):
                raise DamagedDownloadError(f"the bytes of {self.name} do not match its MD5")
            if how:
                unpack(path, self.part.unpacked, self.name, self.size, how)
        except DamagedDownloadError:
            self._restart()
            raise
        return self._has_md5 and is_listed

    def _restart(self) -> None:
        self.part.delete()
        self._md5 = _Md5()

    def _report(self, size: int) -> None:
        if size != self._reported:
            self.advance(size - self._reported)
            self._reported = size


def _is_readable(path: Path) -> bool:
    """Tell whether an archive's list of members is whole, which ends it in a zip or 7z file."""
    try:
        archive.members(path)
    except ArchiveError:
        return False
    return True


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body in pieces as they arrive, so that a drop or a stall loses none."""
    try:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(type(error).__name__) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(type(error).__name__) from error
