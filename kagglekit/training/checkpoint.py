"""Weights and the state of training on disk, without pickle: safetensors, with JSON in the header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kagglekit.errors import MissingError
from kagglekit.files.atomic import replacing


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Replace a file by tensors and a JSON-serialisable `state`."""
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as part:
        safetensors.torch.save_file(contiguous, part, {"state": json.dumps(state or {})})


def load(path: Path, hint: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        MissingError: absent or damaged; `hint` says what to do.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise MissingError(
            f"{path} cannot be read: {error}",
            hint=hint or f"remove the folder {path.parent} and run the same command again",
        ) from error


def load_weights(model: nn.Module, path: Path, hint: str) -> None:
    """Load the weights of a freshly built model.

    Raises:
        MissingError: the file is damaged or belongs to another architecture; `hint` says what to do.
    """
    tensors, _ = load(path, hint)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise MissingError(f"{path} does not fit the model: {first}", hint=hint) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return moments and step counts by parameter number and name: `optim.3.exp_avg`."""
    return {
        f"optim.{number}.{name}": torch.as_tensor(value)
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optim."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
