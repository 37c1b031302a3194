"""Where a competition lives. `open_host` is the only way in; see `base.Host` for the verbs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.config.names import HOSTS
from kagglekit.hosts.base import Host

if TYPE_CHECKING:
    from kagglekit.config import Config


def open_host(config: Config, folder: Path) -> Host:
    """The host that competition.yaml names.

    Args:
        config: the whole configuration.
        folder: the workspace; a host keeps what it must remember in folder/host/<slug>.

    Raises:
        HostError: signing in failed, or the host cannot be reached.
    """
    host: Host = import_module(HOSTS[config.competition.host]).connect(config, folder)
    return host
