"""Drafts from a folder and from Kaggle: what `prepare` makes of them, and what may go wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer
from support.kaggle_site import Site
from support.replicas import MAKERS
from support.replicas.host import HostFolder

from kagglekit.cli import main
from kagglekit.competitions.start import from_folder, from_host, named_for
from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError
from kagglekit.files import places


@pytest.mark.parametrize("name", ["whale-redux-2013", "freesound-2018", "speech-commands-2017"])
def test_prepare_takes_the_draft_of_a_folder(name: str, tmp_path: Path) -> None:
    MAKERS[name](HostFolder(tmp_path))
    written = from_folder(tmp_path / "host")
    config = load_config(written.path)
    assert config.competition.local is not None and config.competition.local.solution.name == "solution.csv"
    assert all(": " in check.partition("# check")[2] for check in written.checks)
    for verb in ("fetch", "prepare"):
        assert main(["--quiet", verb]) == 0


def test_words_that_no_answer_names_are_fillers(tmp_path: Path) -> None:
    MAKERS["speech-commands-2017"](HostFolder(tmp_path))
    labels = load_config(from_folder(tmp_path / "host").path).labels
    assert len(labels.targets) == 10 and (labels.filler, labels.silence) == ("unknown", "silence")


def test_a_folder_without_solution_or_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a" / "files").mkdir(parents=True)
    with pytest.raises(ConfigError, match="has no solution") as error:
        from_folder(tmp_path / "a" / "files")
    assert "solution.csv" in str(error.value.hint)
    (tmp_path / "a" / "solution.csv").write_text("id,label\na,b\n")
    with pytest.raises(ConfigError, match="files shows no recordings among its 0 files"):
        from_folder(tmp_path / "a" / "files")
    with pytest.raises(ConfigError, match="there is no folder"):
        from_folder(tmp_path / "b")
    assert not (tmp_path / "competition.yaml").exists()


def test_a_folder_that_is_no_path_of_ours_is_named_whole(tmp_path: Path) -> None:
    MAKERS["whale-redux-2013"](HostFolder(tmp_path / "elsewhere"))
    (tmp_path / "here").mkdir()
    written = from_folder(tmp_path / "elsewhere" / "host", tmp_path / "here" / "competition.yaml")
    local = load_config(written.path).competition.local
    assert local is not None and local.files == tmp_path / "elsewhere" / "host"


def test_a_mounted_competition_is_drafted_without_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what a notebook has: read-only inputs, and neither a network nor a credential."""
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    assert main(["init"]) == 1
    assert "error: init needs one of SLUG" in capsys.readouterr().err
    host = HostFolder(tmp_path / "replica")
    MAKERS["freesound-2018"](host)
    (tmp_path / "input/competitions").mkdir(parents=True)
    host.root.rename(tmp_path / "input/competitions/freesound-2018")
    assert main(["init"]) == 0
    shown = capsys.readouterr()
    assert "metric: map_at_k" not in shown.out and "the host does not name it" in shown.out
    assert "title and metric of freesound-2018 are not known: there is no credential" in shown.err
    config = load_config(Path("competition.yaml"))
    assert config.competition.slug == "freesound-2018" and config.competition.local is None
    assert config.competition.delivery == "csv"
    for verb in ("fetch", "prepare"):
        assert main(["--quiet", verb]) == 0
    (tmp_path / "input/competitions/another").mkdir()
    assert main(["init", "--force"]) == 1
    assert "2 competitions are mounted: another, freesound-2018\nhint:  kagglekit init another" in (
        capsys.readouterr().err
    )


def test_where_no_test_is_mounted_a_notebook_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    host = HostFolder(tmp_path / "replica")
    MAKERS["birdclef-2021"](host)
    shutil.rmtree(host.root / "test_soundscapes")
    (tmp_path / "input").mkdir()
    host.root.rename(tmp_path / "input/birdclef-2021")  # as older images mount it
    checks = from_host("birdclef-2021").checks
    assert any(
        "delivery: notebook  # check: no recordings of the test are mounted" in line for line in checks
    )


def test_a_title_cannot_write_settings_and_a_table_that_is_none_is_passed(tmp_path: Path) -> None:
    host = HostFolder(tmp_path / "replica")
    MAKERS["whale-redux-2013"](host)
    host.file("notes.txt", b"\xff\xfe\x00\xd8 no table")
    host.file("broken.zip", b"PK\x03\x04 no archive")
    files = {path.name: path for path in host.root.iterdir()}
    page = {
        "title": "Whales\nworkspace: /etc\n# \x1b[31m",
        "evaluationMetric": "AUC\nworkspace: /etc",
    }
    with KaggleServer(files=files, competition=page, page_size=200) as server:
        site = Site(tmp_path / "site", server)
        done = site.run("init tiny-speech --force")
        assert done.code == 0, done.err
        refused = site.run("init Tiny_Speech --force")
    text = (tmp_path / "site" / "competition.yaml").read_text()
    assert text.startswith("# Whales workspace: /etc # [31m\n")
    assert load_config(tmp_path / "site" / "competition.yaml").workspace == tmp_path / "site" / ".kagglekit"
    assert refused.message == "'Tiny_Speech' is not a competition's slug"
    assert server.calls.count("DownloadDataFile") == len(files) + 1  # a damaged archive twice


def test_an_archive_too_large_to_look_into_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglekit.competitions import look

    monkeypatch.setattr(look, "MAX_ARCHIVE", 1000)
    host = HostFolder(tmp_path / "replica")
    MAKERS["freesound-2018"](host)
    files = {path.name: path for path in host.root.iterdir()}
    with KaggleServer(files=files, page_size=200) as server:
        assert Site(tmp_path / "site", server).run("init tiny-speech --force").code == 0
    text = (tmp_path / "site" / "competition.yaml").read_text()
    assert "files: audio_train.zip/**/*.wav  # check: audio_train.zip (0.0 GB) was not looked into" in text
    assert load_config(tmp_path / "site" / "competition.yaml").data.train[0].table == "train.csv"


def test_a_shipped_competition_is_known_by_its_slug() -> None:
    assert named_for("birdclef-2026") == "birdclef-2026" and named_for("tiny-speech") is None


def test_a_list_that_is_too_long_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglekit.competitions import look
    from kagglekit.terminal import console

    monkeypatch.setattr(look, "MOST_FILES", 2)
    host = HostFolder(tmp_path / "replica")
    MAKERS["whale-redux-2013"](host)
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    files = {path.name: path for path in host.root.iterdir()}
    with KaggleServer(files=files, page_size=200) as server:
        assert Site(tmp_path / "site", server).run("init tiny-speech --force").code == 0
    assert "the host lists more than 2 files; the rest was not looked at" in notes
    text = (tmp_path / "site" / "competition.yaml").read_text()
    assert "files: train/**/*.wav  # check: no recordings of train were seen" in text
