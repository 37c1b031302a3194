"""Weights and the state of training on disk, without pickle: safetensors, with JSON in the header."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kagglekit.errors import MissingError
from kagglekit.files.atomic import replacing
from kagglekit.files.checksums import KEY, DamagedFileError, home_of


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Replace a file by tensors, a JSON-serialisable `state` and their checksum."""
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(state or {})
    metadata = {"state": text, KEY: _digest(contiguous, text, home_of(path))}
    with replacing(path) as part:
        safetensors.torch.save_file(contiguous, part, metadata)
        usual = part.with_name("mode")
        usual.touch()
        shutil.copymode(usual, part)  # safetensors lets nobody else read it, whatever the umask says


def load(path: Path, hint: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        MissingError: absent, damaged, or of another run or fold; `hint` says what to do.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            text = metadata.get("state", "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if KEY in metadata and metadata[KEY] != _digest(tensors, text, home_of(path)):
                raise DamagedFileError
            return tensors, json.loads(text)
    except (OSError, SafetensorError, ValueError) as error:
        raise MissingError(
            f"{path} cannot be read: {error}",
            hint=hint or f"remove the folder {path.parent} and run the same command again",
        ) from error


def _digest(tensors: Mapping[str, Tensor], state: str, home: str) -> str:
    """Hash names, types, shapes and values of tensors, the state, and the place that the file belongs to."""
    hasher = xxhash.xxh3_64(json.dumps([home, state]).encode())
    for name, tensor in sorted(tensors.items()):
        hasher.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


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
