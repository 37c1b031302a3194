"""The list of architectures."""

from __future__ import annotations

from pathlib import Path

from support.verbs import Run


def test_models_need_no_competition(run: Run) -> None:
    done = run("models")
    assert done.code == 0 and done.out.endswith("next: kagglekit train --model tcresnet\n")
    assert "facebook/wav2vec2-base" in done.out and "missing" in done.out


def test_models_are_counted_for_the_competition(bare: Path, run: Run) -> None:
    default, narrow = (
        {row["model"]: row["parameters"] for row in run("--json", "models", *more).data["models"]}
        for more in ([], ["--set", "models.gru.model.hidden=8"])
    )
    assert default["gru"] > narrow["gru"] and default["tcresnet"] == narrow["tcresnet"]
