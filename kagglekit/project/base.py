"""What a project opens: config, workspace, host and prepared data, each at its first use."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.config.names import ALL_DECISIONS, AUTO, METHODS
from kagglekit.errors import ConfigError, close_match
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.metrics import make_metric

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared
    from kagglekit.hosts.base import Host
    from kagglekit.scoring.metrics import Metric

Names = str | Sequence[str]
"""`"gru,lstm"` or `["gru", "lstm"]`."""


def split_names(names: Names) -> list[str]:
    """Return names as a list, whether given as one string or as several."""
    parts = names.split(",") if isinstance(names, str) else names
    return [name.strip() for name in parts if name.strip()]


def check_names(method: str | None, decision: str | None) -> None:
    """Refuse a blending method or decision that does not exist, before work begins; None is allowed.

    Raises:
        ConfigError: there is none of that name.
    """
    for what, name, known in (("method", method, METHODS), ("decision", decision, ALL_DECISIONS)):
        if name is not None and name not in (AUTO, *known):
            raise ConfigError(f"there is no {what} '{name}'", hint=close_match(name, (AUTO, *known)))


class ProjectBase:
    """Open a competition."""

    def __init__(self, path: str | Path | None = None, *settings: str) -> None:
        self.path = None if path is None else Path(path)
        self.settings = settings

    @cached_property
    def config(self) -> Config:
        """All of competition.yaml.

        Raises:
            ConfigError: the file is missing or has problems.
        """
        return load_config(self.path, self.settings)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of logits and probabilities."""
        return self.workspace.resolved().config.labels.all_classes

    @property
    def metric(self) -> Metric:
        """The competition's metric."""
        competition = self.config.competition
        return make_metric(competition.metric, self.config.labels.kind, competition.metric_parameters)

    @cached_property
    def workspace(self) -> Workspace:
        """The paths of everything that kagglekit writes."""
        return Workspace(self.config)

    @cached_property
    def host(self) -> Host:
        """The competition's host, signed in.

        Raises:
            HostError: it cannot be reached, or there is no credential.
        """
        from kagglekit.hosts import open_host

        return open_host(self.config, self.workspace.root)

    @cached_property
    def prepared(self) -> Prepared:
        """Decoded audio and the clips table.

        Raises:
            MissingError: the archives have not been fetched, or the first edition wrote the workspace.
        """
        from kagglekit.data.prepare import prepare

        self.workspace.check_edition()
        return prepare(self.workspace)

    def with_settings(self, *settings: str) -> Self:
        """Return the same competition with further overrides."""
        return type(self)(self.path, *self.settings, *settings) if settings else self

    def command(self, verb: str = "") -> str:
        """Return the command line of a verb: `kagglekit -C FILE --set A.B=VALUE VERB`."""
        options = [] if self.path is None else ["-C", str(self.path)]
        options += [word for setting in self.settings for word in ("--set", setting)]
        return " ".join(["kagglekit", *map(shlex.quote, options), verb]).rstrip()
