"""The mark in a pushed script: a first line that it prints, so that its log says which push it is of."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from kagglekit.errors import KagglekitError
from kagglekit.hosts.notebooks import KernelSpec
from kagglekit.notebooks.folder import AGAIN, KERNEL_METADATA, OWNER, Built

MARK = re.compile(r"kagglekit [0-9a-f]{12}-[0-9]+-[0-9]+")


def marked(source: str, mark: str) -> str:
    """Return a script that prints `mark` first of all, after its docstring and __future__ imports.

    Raises:
        SyntaxError: it is no Python.
    """
    lines, at = source.splitlines(keepends=True), 0
    for node in ast.parse(source).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        at = node.end_lineno or at
    before = "".join(lines[:at])
    end = "\n" if before and not before.endswith("\n") else ""
    return f'{before}{end}print("{mark}", flush=True)\n{"".join(lines[at:])}'


def marks_in(text: str) -> set[str]:
    """Return the marks in a source or a log."""
    return set(MARK.findall(text))


def kernel_spec(built: Built, account: str, mark: str) -> KernelSpec:
    """Read kernel-metadata.json and the script of a built folder, with the owner's name filled in.

    Raises:
        KagglekitError: one of them cannot be read.
    """
    path = built.kernel / KERNEL_METADATA
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        source = (built.kernel / metadata["code_file"]).read_text(encoding="utf-8")
        return KernelSpec(
            slug=built.record.kernel,
            title=metadata["title"],
            source=marked(source, mark),
            kernel_type=metadata.get("kernel_type", "script"),
            private=metadata.get("is_private", True) is not False,
            internet=metadata.get("enable_internet", False) is True,
            accelerator=metadata.get("machine_shape") or None,
            datasets=_owned(metadata, "dataset_sources", account),
            competitions=_owned(metadata, "competition_sources", account),
            kernels=_owned(metadata, "kernel_sources", account),
            models=_owned(metadata, "model_sources", account),
        )
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise KagglekitError(f"{path} cannot be read: {type(error).__name__}: {error}", hint=AGAIN) from error


def _owned(metadata: dict[str, Any], name: str, account: str) -> tuple[str, ...]:
    """Return names of sources, with the account in place of OWNER."""
    return tuple(re.sub(rf"^{OWNER}/", f"{account}/", source) for source in metadata.get(name) or [])


def dataset_title(path: Path) -> str:
    """Return the title in dataset-metadata.json.

    Raises:
        KagglekitError: there is none.
    """
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["title"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KagglekitError(f"{path} cannot be read: {type(error).__name__}: {error}", hint=AGAIN) from error
