"""A small competition on the loopback Kaggle, and signing in to it in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from support.kaggle_server import KEY

FILES = {
    "train.7z": os.urandom(300_000),
    "my file.csv": b"a,b\n",
    "notes.json": b'{"code": 500, "message": "only data"}',
    "audio/first clip.wav": os.urandom(1000),
    "sample_submission.csv": b"fname,label\na,x\nb,x\n",
}
SOLUTION = {"a": "yes", "b": "no"}

SCRIPT = """
import sys
from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.hosts.client import sign_in
from kagglekit.hosts.credentials import credential
from kagglekit.hosts.kaggle import KaggleHost
print(credential(), "kaggle" in sys.modules)
network = Network(tries=2, timeout_s=0.3, pause_s=0.01)
try:
    print(len(KaggleHost("tiny-speech", sign_in(network), network).files()))
except HostError as error:
    print(error, error.hint, sep="|", file=sys.stderr)
"""


def sign_in_apart(environment: dict[str, str], *options: str) -> tuple[str, str, str]:
    """What credential() says, what the listing gives, and what stands on stderr; `options` are Python's."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)} | environment
    done = subprocess.run(
        [sys.executable, *options, "-c", SCRIPT], env=environment, text=True, capture_output=True, check=True
    )
    assert KEY not in done.stdout + done.stderr
    found, _, listing = done.stdout.partition("\n")
    return found, listing, done.stderr
