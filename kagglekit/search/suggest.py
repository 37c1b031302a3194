"""Sources of a trial's parameters: Optuna, or the recipe or another study's trial moved into the space.

All answer the calls of optuna.Trial, with which an architecture describes its search space.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kagglekit.config.search import Range
from kagglekit.models import Suggester


def setting_of(name: str) -> str:
    """Return the setting of a parameter: `train.lr@sgd` -> `train.lr`."""
    return name.partition("@")[0]


class Draw:
    """Draws parameters from a trial. Ranges of the YAML come first; all ranges include the recipe's value."""

    def __init__(
        self, trial: Suggester, recipe: Mapping[str, Any], overrides: Mapping[str, Range | None]
    ) -> None:
        self.trial, self.recipe, self.overrides = trial, recipe, overrides
        self.params: dict[str, Any] = {}
        self.visited: set[str] = set()
        """Settings that were drawn, or fixed at the recipe's value."""
        self.prefix = ""
        """Prefix of the names that follow: `model.` while an architecture draws its parameters."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        return self._ranged(name, Range(low=low, high=high, log=log))

    def suggest_int(self, name: str, low: int, high: int) -> Any:
        return self._ranged(name, Range(low=low, high=high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._ranged(name, Range(choices=tuple(choices)))

    def _ranged(self, name: str, default: Range) -> Any:
        name = self.prefix + name
        base = setting_of(name)
        if base not in self.overrides:
            return self.suggest(name, default)
        rule = self.overrides[base]
        self.visited.add(base)
        return self.recipe[base] if rule is None else self.suggest(base, rule)

    def suggest(self, name: str, rule: Range) -> Any:
        """Draw a parameter; a value that a log range cannot include keeps the recipe's."""
        self.visited.add(setting_of(name))
        base = self.recipe.get(name)  # None for train.lr@sgd, which the recipe does not have
        if rule.choices:
            choices = rule.choices if base is None or base in rule.choices else (base, *rule.choices)
            value = self.trial.suggest_categorical(name, list(choices))
        else:
            assert rule.low is not None and rule.high is not None
            if base is not None and rule.log and base <= 0:
                return base
            low, high = (rule.low, rule.high) if base is None else (min(rule.low, base), max(rule.high, base))
            integers = all(isinstance(end, int) for end in (rule.low, rule.high)) and not rule.log
            if integers and (base is None or isinstance(base, int)):
                value = self.trial.suggest_int(name, int(low), int(high))
            else:
                value = self.trial.suggest_float(name, low, high, log=rule.log)
        self.params[name] = value
        return value


class NearestValues:
    """Answers with the values nearest to given parameters; those not given come from the recipe."""

    def __init__(self, given: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
        self.given = {**recipe, **given}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        given = self.given.get(name)
        middle = math.sqrt(low * high) if log else (low + high) / 2
        return min(max(float(given), low), high) if isinstance(given, int | float) else middle

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return round(self.suggest_float(name, low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        given = self.given.get(name)
        return given if given in choices else choices[0]
