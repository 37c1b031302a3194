"""The folder of a local host, filled with a competition's files."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import py7zr

Table = Sequence[Sequence[object]]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a CSV as pandas writes it; without a header where it is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header] if header else [])
    writer.writerows(rows)
    return text.getvalue()


class HostFolder:
    """`folder`/host, which the local host offers, and `folder`/solution.csv, which it keeps to itself."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.root = folder / "host"
        self.solution_path = folder / "solution.csv"
        self.rng = np.random.default_rng(seed)

    def file(self, name: str, content: bytes | str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self.file(name, csv_text(header, rows))

    def solution(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write the solution: the columns of a submission, and Usage."""
        self.solution_path.write_text(csv_text([*header, "Usage"], rows), encoding="utf-8")

    def zip(self, name: str, members: Mapping[str, bytes | str]) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        self.file(name, buffer.getvalue())

    def tar(self, name: str, members: Mapping[str, bytes | str]) -> None:
        """Write a tar archive, packed by gzip if the name ends in .gz."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz" if name.endswith(".gz") else "w:") as archive:
            for member, content in members.items():
                data = content if isinstance(content, bytes) else content.encode()
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        self.file(name, buffer.getvalue())

    def sevenzip(self, name: str, members: Mapping[str, bytes | str]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "packed.7z")
            with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
                for member, content in members.items():
                    archive.writestr(content, member)
            self.file(name, path.read_bytes())
