"""Competition hosts, Kaggle and a local folder, opened by `open_host`; downloads; see `base.Host`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.config.names import HOSTS
from kagglekit.hosts.base import Host

if TYPE_CHECKING:
    from kagglekit.config import Config


def open_host(config: Config, folder: Path) -> Host:
    """Open the host that competition.yaml names.

    Args:
        folder: the workspace; a host keeps its own files in folder/host/<slug>.

    Raises:
        HostError: signing in failed, or the host cannot be reached.
    """
    host: Host = import_module(HOSTS[config.competition.host]).connect(config, folder)
    return host
