"""Settings of students from a round on: `2:train.augment.mixup=0.4`."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.error import YAMLError

from kagglekit.config.yaml_file import parse, problem_of
from kagglekit.errors import ConfigError

OPTION = "--from-round"


def parse_settings(texts: Sequence[str], rounds: int) -> dict[int, dict[str, Any]]:
    """Read settings `ROUND:SETTING=VALUE`, the value as YAML: by round, by dotted name.

    Raises:
        ConfigError: one has another form, or its round is not from 1 to `rounds`.
    """
    settings: dict[int, dict[str, Any]] = {}
    for text in texts:
        head, equals, value = text.partition("=")
        number, colon, name = head.partition(":")
        if not (equals and colon and name and number.isdecimal() and len(number) < 3):
            raise ConfigError(
                f"{OPTION} {text}: not of the form ROUND:SETTING=VALUE",
                hint=f"for example {OPTION} 2:train.augment.mixup=0.4",
            )
        if not 1 <= int(number) <= rounds:
            raise ConfigError(f"{OPTION} {text}: there are rounds 1 to {rounds}", hint="or raise --rounds")
        if name in ("train.soft_targets", "train.soft_share", "train.labels"):
            raise ConfigError(f"{OPTION} {text}: the rounds set {name} themselves", hint="leave it out")
        try:
            settings.setdefault(int(number), {})[name] = parse(value)[1]
        except (YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(
                f"{OPTION} {text}: the value is not YAML: {problem_of(error)}", hint="quote the option"
            ) from error
    return settings
