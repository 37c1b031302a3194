"""Check `competition.metric`: a name of the registry or of a plug-in, and its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kagglekit.config.names import METRIC_ALIASES, METRIC_PLUGINS, METRICS
from kagglekit.errors import close_match


def plugins() -> dict[str, EntryPoint]:
    """Return the metrics that installed packages offer, by name. Nothing is imported."""
    return {point.name: point for point in entry_points(group=METRIC_PLUGINS)}


@dataclass(frozen=True)
class MetricName:
    """A field type: the name of a metric. An earlier name is replaced by the present one."""

    def check(self, name: str) -> str:
        """Return the present name.

        Raises:
            ValueError: neither the registry nor an installed package has such a metric.
        """
        name = METRIC_ALIASES.get(name, name)
        if name not in METRICS and name not in (offered := plugins()):
            raise ValueError(f"there is no metric '{name}'; {close_match(name, {*METRICS, *offered})}")
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        named = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        return {"anyOf": [{"enum": list(METRICS)}, handler(core), named]}


def checked_parameters(metric: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a metric, those not given at their defaults.

    A plug-in checks its parameters itself.

    Raises:
        ValueError: the metric has no such parameter, or the parameter no such value.
    """
    if metric not in METRICS:
        return dict(parameters)
    known = METRICS[metric].parameters
    for name, value in parameters.items():
        if name not in known:
            hint = close_match(name, known) if known else "it has none"
            raise ValueError(f"the metric {metric} has no parameter '{name}'; {hint}")
        default = known[name][0]
        if isinstance(default, int):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} of the metric {metric} must be a number from 1, not {value!r}")
        elif value not in known[name]:
            raise ValueError(
                f"{name} of the metric {metric} must be {', '.join(map(str, known[name]))}, not {value!r}"
            )
    return {name: parameters.get(name, choices[0]) for name, choices in known.items()}
