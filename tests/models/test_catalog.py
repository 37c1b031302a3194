"""The list of architectures: what each needs, and its parameters without its weights."""

from __future__ import annotations

from pathlib import Path

from support.checkpoints import save_tiny_ast

from kagglekit import models
from kagglekit.config import ModelSection
from kagglekit.models.catalog import catalog
from kagglekit.models.hub import find
from kagglekit.models.timm_package import SMALL


def test_parameters_are_those_of_the_built_model(tmp_path: Path) -> None:
    checkpoint = str(save_tiny_ast(tmp_path / "ast", ["yes", "no"]))
    sections = {
        "gru": ModelSection(model={"hidden": 16}),
        "ast": ModelSection(checkpoint=checkpoint),
    }
    rows = {row.model: row for row in catalog(sections, num_classes=5)}
    assert list(rows) == [*models.MODELS, *(f"timm:{name}" for name in SMALL)]
    for name, params in (("gru", {"hidden": 16}), ("tcresnet", {}), ("ast", {"checkpoint": checkpoint})):
        built = models.build(name, params, 5)
        assert rows[name].parameters == sum(p.numel() for p in built.parameters()), name
    assert (rows["ast"].needs, rows["ast"].weights) == (checkpoint, str(find(checkpoint)))


def test_what_is_not_on_this_machine_is_not_downloaded() -> None:
    rows = {row.model: row for row in catalog({}, num_classes=12)}
    assert rows["wav2vec2"][2:] == (None, "arXiv:2006.11477", "facebook/wav2vec2-base", None, "")
    assert rows["gru"].needs == "" and rows["speech_embedding"].needs == "kagglekit[speech]"
