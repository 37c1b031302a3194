"""Missing files of the competition."""

from __future__ import annotations

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("The competition's files")


@case("the local files' folder is missing", "prepared")
def _no_folder(box: Box) -> None:
    box.host.rename(box.folder / "away")
    box.bad("fetch --force", "the competition folder host does not exist", "set competition.local.files")
    (box.folder / "away").rename(box.host)
    box.good("fetch --force")


@case("the local solution is missing", "trained")
def _no_solution(box: Box) -> None:
    with box.damaged(box.host / "solution.csv", None):
        box.bad("submit --upload --yes", "the solution host/solution.csv does not exist", "local.solution")
    box.good("submit --upload --yes")


@case("an archive that the host does not have")
def _no_archive(box: Box) -> None:
    box.edit("train.zip", "trian.zip")
    box.bad("fetch", "the competition has no file 'trian.zip'", "did you mean 'train.zip'?")


@case("a file where the workspace should be")
def _no_workspace(box: Box) -> None:
    box.workspace.write_text("mine")
    box.bad("fetch", ".kagglekit", "check the path")
    assert box.workspace.read_text() == "mine"
    box.workspace.unlink()
    box.good("fetch")


@case("prepare before fetch")
def _not_fetched(box: Box) -> None:
    box.bad("prepare", "has not been fetched", "kagglekit fetch")
    box.good("fetch")
    box.good("prepare")
