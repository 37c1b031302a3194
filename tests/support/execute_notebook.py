"""Execute a notebook as "Run all" does, and write it with its outputs: `execute_notebook.py FILE RESULT`.

The kernel is reached through files, as a room without a network has no loopback device either.
"""

from __future__ import annotations

import sys

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


def main(source: str, result: str) -> None:
    notebook = nbformat.read(source, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
    try:
        NotebookClient(notebook, km=manager, timeout=200).execute()
    finally:
        nbformat.write(notebook, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
