"""The shipped competition.yaml of every audio classification competition that Kaggle has run, by name."""

from importlib.resources import files

from kagglekit.errors import ConfigError, close_match

SUFFIX = ".yaml"


def names() -> list[str]:
    """Return the names, such as birdclef-2026, in order."""
    shipped = (path.name for path in files(__name__).iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in shipped if name.endswith(SUFFIX))


def read(name: str) -> str:
    """Return the text of a shipped competition.yaml.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in names():
        raise ConfigError(
            f"no competition.yaml of the name '{name}' is shipped", hint=close_match(name, names())
        )
    return (files(__name__) / f"{name}{SUFFIX}").read_text(encoding="utf-8")
