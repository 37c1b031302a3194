"""A built notebook made by hand: a script that answers from a table in its data set, in a fraction of a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kagglekit.files.atomic import write_json
from kagglekit.notebooks.folder import BuildRecord, Built, finish

SCRIPT = '''\
"""Answers each file of the test from answers.json in the data set."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

root = Path(os.environ.get("KAGGLEKIT_KAGGLE", "/kaggle")) / "input"
competition = root / "competitions" / "{competition}"
answers = json.loads((root / "{dataset}" / "answers.json").read_text())
{extra}
names = sorted(path.name for path in (competition / "test").glob("*.wav"))
print(f"answering {{len(names)}} recordings", flush=True)
with open("{output}", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\\n")
    writer.writerow(["fname", "label"])
    writer.writerows([name, answers[name]] for name in names)
'''
FACTS = {
    "models": ["gru"],
    "runs": ["r1"],
    "weights": [1.0],
    "method": "mean",
    "metric": "accuracy",
    "cv_score": 0.9,
}


def make(
    root: Path,
    competition: str,
    answers: Mapping[str, str],
    *,
    key: str = "gru-0123",
    extra: str = "",
    output: str = "submission.csv",
    rehearsed: Mapping[str, str] | None = None,
    minutes: float = 3.0,
) -> Built:
    """Write a whole folder below root/notebooks.

    Args:
        answers: file name -> label, which the script knows of.
        extra: lines of the script before it answers, such as a fault.
        output: what it writes in place of submission.csv.
        rehearsed: what a rehearsal has written; None for no rehearsal.
        minutes: that the rehearsal foretells.
    """
    folder = root / "notebooks" / key
    dataset, kernel = f"{competition}-kagglekit", f"{competition}-kagglekit-submit"
    (folder / "dataset").mkdir(parents=True)
    (folder / "kernel").mkdir()
    (folder / "dataset" / "answers.json").write_text(json.dumps(dict(answers)))
    (folder / "dataset" / "manifest.json").write_text("{}")
    about = {"id": f"OWNER/{dataset}", "title": dataset, "licenses": [{"name": "other"}]}
    (folder / "dataset" / "dataset-metadata.json").write_text(json.dumps(about))
    text = SCRIPT.format(competition=competition, dataset=dataset, extra=extra, output=output)
    (folder / "kernel" / "kagglekit_submit.py").write_text(text)
    metadata = {
        "id": f"OWNER/{kernel}",
        "title": kernel,
        "code_file": "kagglekit_submit.py",
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_internet": False,
        "enable_gpu": False,
        "dataset_sources": [f"OWNER/{dataset}"],
        "competition_sources": [competition],
    }
    (folder / "kernel" / "kernel-metadata.json").write_text(json.dumps(metadata))
    record = BuildRecord(
        key=key, competition=competition, dataset=dataset, kernel=kernel, blend="gru", facts=dict(FACTS)
    )
    built = finish(folder, record)
    if rehearsed is not None:
        path = built.output("visible")
        path.parent.mkdir()
        path.write_text(csv_of(rehearsed))
        facts = {"factor": 1.0, "peak_gb": 0.1, "clock": {"run": 1.0}, "outputs": {}}
        write_json(
            folder / "rehearsal.json",
            {"key": key, "minutes": minutes, "limit": 10.0, "recordings": 40, **facts},
        )
    return built


def csv_of(labels: Mapping[str, str]) -> str:
    """A submission."""
    return "fname,label\n" + "".join(f"{name},{label}\n" for name, label in sorted(labels.items()))
