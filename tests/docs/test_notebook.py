"""The notebook of the docs runs from top to bottom in a room like Kaggle's image, with nothing but its inputs."""

from __future__ import annotations

import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support import notebook_image, tiny

ROOT = Path(__file__).resolve().parents[2]


def mount_tiny(folder: Path) -> None:
    """Mount the tiny competition as Kaggle does: archives are folders, and the solution is not there."""
    tiny.make(folder / "made", speakers=6)
    mount = folder / "input/competitions/tiny-speech"
    mount.mkdir(parents=True)
    for name in ("train", "test"):
        with zipfile.ZipFile(folder / "made/host" / f"{name}.zip") as archive:
            archive.extractall(mount)
    shutil.copy(folder / "made/host/sample_submission.csv", mount)


def texts(cell: dict[str, Any]) -> str:
    """What a cell printed, and its outputs as text."""
    parts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell["outputs"]]
    return "".join("".join(part) for part in parts)


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_with_nothing_but_its_inputs(tmp_path: Path) -> None:
    if not find_spec("nbclient") or not find_spec("ipykernel"):
        pytest.skip("nbclient and ipykernel of the extra 'dev' are not installed")
    notebook_image.skip_unless_possible(tmp_path)
    mount_tiny(tmp_path)
    shutil.copy(ROOT / "docs/kaggle-notebook.ipynb", tmp_path / "working/notebook.ipynb")
    script = ROOT / "tests/support/execute_notebook.py"
    done = notebook_image.run(tmp_path, "python", str(script), "notebook.ipynb", "ran.ipynb")
    assert done.returncode == 0, done.stderr[-3000:]
    ran = json.loads((tmp_path / "working/ran.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in ran["cells"] if cell["cell_type"] == "code"]
    init, doctor, train = (
        next(c for c in code if v in "".join(c["source"])) for v in ("init", "doctor", "train ")
    )
    assert "wrote competition.yaml; 3 lines are guesses" in texts(init)
    assert "the files are mounted in /kaggle/input/competitions/tiny-speech" in texts(doctor)
    pages = [html for output in train["outputs"] if (html := output.get("data", {}).get("text/html"))]
    assert any("tcresnet/" in "".join(html) and "<table>" in "".join(html) for html in pages)  # of the epochs
    assert any("<progress value='1.0000'>" in "".join(html) for html in pages)
    alarms = ["".join(o["text"]) for cell in code for o in cell["outputs"] if o.get("name") == "stderr"]
    assert [text for text in alarms if "ipywidgets" not in text] == []  # tqdm asks for it
    written = pl.read_csv(tmp_path / "working/submission.csv")
    sample = pl.read_csv(tmp_path / "input/competitions/tiny-speech/sample_submission.csv")
    assert written["fname"].to_list() == sample["fname"].to_list()
