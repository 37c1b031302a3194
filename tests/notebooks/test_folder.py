from pathlib import Path

import pytest

from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import write_json
from kagglekit.notebooks.folder import (
    BUILD,
    DATASET,
    KERNEL,
    REHEARSAL,
    SCRIPT,
    BuildRecord,
    finish,
    read_built,
)

RECORD = BuildRecord(key="k", competition="birds", dataset="d", kernel="n", facts={"runs": ["gru/1"]})


def built(folder: Path) -> Path:
    for part, name in ((DATASET, "graph.onnx"), (KERNEL, SCRIPT)):
        (folder / part).mkdir(parents=True)
        (folder / part / name).write_text("pass\n")
    finish(folder, RECORD)
    return folder


def test_a_folder_is_whole_once_its_record_is_written(tmp_path: Path) -> None:
    folder = built(tmp_path / "notebooks" / "k")
    whole = read_built(folder)
    assert list(whole.record.files) == ["dataset/graph.onnx", "kernel/kagglekit_submit.py"]
    assert whole.record.facts == RECORD.facts and whole.record.bytes == 10
    assert whole.rehearsal() is None
    (folder / BUILD).unlink()
    with pytest.raises(MissingError, match="is no built notebook"):
        read_built(folder)


@pytest.mark.parametrize("change", ["changed", "gone", "new"])
def test_other_files_than_were_built_are_refused(tmp_path: Path, change: str) -> None:
    folder = built(tmp_path)
    graph = folder / DATASET / "graph.onnx"
    if change == "gone":
        graph.unlink()
    else:
        (graph if change == "changed" else graph.with_name("x.onnx")).write_text("other")
    with pytest.raises(KagglekitError, match=f"onnx .*{change}") as refused:
        read_built(folder)
    assert refused.value.hint == "build it again: kagglekit notebook build"


def test_a_rehearsal_of_another_build_is_none(tmp_path: Path) -> None:
    whole = read_built(built(tmp_path))
    record = {"minutes": 1.5, "limit": 90.0, "recordings": 700, "factor": 0.5, "peak_gb": 1.0}
    lists = {"clock": {"predict": 30.0}, "outputs": {"empty": "ab"}}
    write_json(tmp_path / REHEARSAL, {"key": "k", **record, **lists})
    rehearsal = whole.rehearsal()
    assert rehearsal is not None and rehearsal.minutes == 1.5
    write_json(tmp_path / REHEARSAL, {"key": "other", **record, **lists})
    assert whole.rehearsal() is None
