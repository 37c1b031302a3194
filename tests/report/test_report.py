"""The report's numbers by hand, what it does with nothing and with evil names, its size, and its server."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import re
import struct
import sys
import threading
import wave
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from markupsafe import escape
from support import simulated, tiny

from kagglekit.charts.png import to_png
from kagglekit.charts.svg import Picture, text
from kagglekit.cli import main
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.report import build, data, ensembles, listening, overview, runs, source, studies
from kagglekit.report.pictures import pictures
from kagglekit.report.serve import make_server
from kagglekit.report.source import Source
from kagglekit.scoring.predictions import logits_of
from kagglekit.search.importance import importances
from kagglekit.training.files import OOF

NAMES = 'kagglekit -C "a b.yaml"'


def read(made: simulated.Made) -> Source:
    return source.read(made.prepared, NAMES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> simulated.Made:
    return simulated.whole(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def report(made: simulated.Made) -> Source:
    return read(made)


@pytest.fixture(scope="module")
def html(report: Source) -> str:
    return build.render(report)


def sounds(html: str) -> list[dict[str, object]]:
    """What the listening page is made from."""
    text = re.search(r'<script type="application/json" id="clips">(.*?)</script>', html, re.DOTALL)
    assert text is not None
    clips: list[dict[str, object]] = json.loads(text[1])["clips"]
    return clips


# --- what the pages count ---


def test_runs_come_best_first_in_one_order_of_clips(report: Source, made: simulated.Made) -> None:
    assert [run.run.model for run in report.runs] == ["gru", "tcresnet", "lstm"]
    assert report.clips["clip_id"].is_sorted() and report.weight.sum() == pytest.approx(1)
    first = report.runs[0]
    oof = pl.read_parquet(first.run.folder / OOF)
    one = oof.row(by_predicate=pl.col("clip_id") == report.clips["clip_id"][7], named=True)
    assert first.probs[7].argmax() == np.argmax(one["logits"])
    assert report.classes[report.target[7]] == one["label"]


def test_the_confusion_matrix_by_hand(report: Source) -> None:
    run = report.runs[0]
    counts = runs.confusion_counts(report, run)
    by_hand = np.zeros_like(counts)
    for true, predicted in zip(report.target, run.probs.argmax(1), strict=True):
        by_hand[true, predicted] += 1
    assert counts.tolist() == by_hand.tolist() and counts.sum() == len(report.clips)


def test_confused_pairs_lose_what_the_score_lacks(report: Source) -> None:
    run = report.runs[0]
    pairs = runs.confused_pairs(report, run)
    assert all(pair.true != pair.predicted for pair in pairs)
    assert sum(pair.lost for pair in pairs) == pytest.approx(1 - run.run.score.oof)
    assert [pair.lost for pair in pairs] == sorted((pair.lost for pair in pairs), reverse=True)


def test_calibration_by_hand(report: Source) -> None:
    run = report.runs[0]
    sure = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.55, 0.45]] * 5, dtype=np.float32)
    target = np.array([0, 0, 0, 1] * 5)
    few = Source(**{**vars(report), "truth": np.eye(2, dtype=bool)[target], "weight": np.full(20, 0.05)})
    curve = runs.reliability(few, run._replace(probs=sure))
    assert curve.confidence == pytest.approx([0.55, 0.95]) and curve.accuracy == pytest.approx([0.5, 1.0])
    assert curve.clips == [10, 10] and curve.ece == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)


def test_correlations_by_hand(report: Source) -> None:
    models = report.best_run_per_model()
    matrix = ensembles.correlations(report, models)
    truth = [run.probs[np.arange(len(report.target)), report.target] for run in models]
    np.testing.assert_allclose(matrix, np.corrcoef(truth), atol=1e-5)
    flat = models[0]._replace(probs=np.full_like(models[0].probs, 1 / 6))
    assert np.isnan(ensembles.correlations(report, [flat, models[1]])[0]).all()


def test_misses_are_misses_and_the_worst_come_first(report: Source) -> None:
    predictor = listening.best_predictor(report)
    gru, tcresnet = (run.probs for run in report.runs[:2])
    assert predictor.name == "gru+tcresnet"  # whose CV is above that of every run
    np.testing.assert_allclose(predictor.probs, 0.7 * gru + 0.3 * tcresnet, atol=1e-6)
    order, loss = listening.misses(report, predictor)
    assert set(order) == set(np.flatnonzero(predictor.probs.argmax(1) != report.target))
    assert (np.diff(loss[order]) <= 0).all()
    spread = listening.spread(report, predictor, order)
    assert sorted(spread) == sorted(order)
    pairs = list(zip(report.target[spread], predictor.probs[spread].argmax(1), strict=True))
    kinds = len(set(pairs))
    assert len(set(pairs[:kinds])) == kinds  # every confusion once before any comes twice


def test_a_run_judges_where_it_is_better_than_every_ensemble(tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    simulated.add_run(made, "gru", "0" * 12, skill=1.0)
    simulated.add_run(made, "lstm", "1" * 12, skill=2.0)
    simulated.add_ensemble(made, [("gru", "0" * 12, 1.0), ("lstm", "1" * 12, 0.0)], 0.1)
    assert listening.best_predictor(read(made)).name == f"lstm/{'1' * 12}"


def test_importances_find_what_matters(report: Source) -> None:
    (study,) = studies.read(report)
    assert (study.model, len(study.trials)) == ("gru", 12)
    matter = importances(study.study)
    assert next(iter(matter)) == "train.lr" and sum(matter.values()) == pytest.approx(1)


def test_folds_and_words_are_counted(report: Source) -> None:
    page = data.page(report)
    assert sum(fold["clips"] for fold in page["folds"]) == len(report.clips)
    assert page["counts"] == {"train": 400, "silence": 40, "test": 60}
    heldout = [word for fold in page["folds"] for word in fold["heldout"]]
    assert sorted(heldout) == ["bed", "cat", "dog", "tree"]


def test_advice_sends_the_best_and_names_the_costliest(report: Source) -> None:
    given = overview.page(report, studies.read(report))["advice"]
    assert (
        given[0].command
        == f"{NAMES} submit --ensemble gru,tcresnet --method caruana --decision none --upload"
        and "0.9500" in given[0].why
    )
    assert any("% of OOF" in one.why and one.page == "listening" for one in given)
    assert not any("tune" in one.command for one in given)  # the best model was searched


def test_an_ensemble_is_named_so_that_submit_finds_it(tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    for run, skill in (("0" * 12, 1.0), ("1" * 12, 2.0)):
        simulated.add_run(made, "gru", run, skill=skill)
    simulated.add_ensemble(made, [("gru", "0" * 12, 0.4), ("gru", "1" * 12, 0.6)], 0.9)
    (blend,) = ensembles.blends(read(made))
    named = f"--ensemble gru/{'0' * 12},gru --method caruana --decision none"
    assert ensembles.options(read(made), blend) == named
    (made.workspace.ensembles / blend.name / OOF).unlink()
    with pytest.raises(MissingError, match="does not exist") as caught:
        listening.best_predictor(read(made))
    assert "blend again" in str(caught.value.hint)


# --- the file ---


def test_the_verdict_is_on_the_first_page(html: str, report: Source) -> None:
    verdict = report.verdict
    assert verdict is not None and verdict.notes
    assert all(str(escape(text)) in html for text in (verdict.sentence, *verdict.notes))


def test_it_asks_nobody_for_anything(html: str) -> None:
    assert "default-src &#39;none&#39;" in html and "connect-src &#39;none&#39;" in html
    named = re.findall(r'\b(?:src|href|srcset|action|poster)="([^"]*)', html.partition("<script>")[0])
    assert named and all(address.startswith(("#", "data:")) for address in named)
    assert "unsafe-inline" not in html and "http://" not in html.replace("http://www.w3.org", "")


def test_the_sounds_are_the_store_s(html: str, report: Source) -> None:
    clips = sounds(html)
    assert len(clips) > 10
    for clip in clips[:5]:
        with wave.open(io.BytesIO(base64.b64decode(str(clip["wav"])))) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            played = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        store = report.prepared.store(str(clip["split"]))
        assert played.tolist() == store[int(str(clip["row"])) :][0].tolist()
        assert store.clip_ids[int(str(clip["row"]))] == clip["id"]


def test_sounds_keep_to_the_budget(report: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    each = len(base64.b64encode(bytes(44 + 2 * 2000))) + listening.FACTS_BYTES
    page = listening.page(report, 7 * each + 5)
    assert len(page["clips"]) == 7 and page["misses"] > 7
    monkeypatch.setattr(build, "MOST_SOUND", 3 * each)
    assert len(sounds(build.render(report))) == 3


class Tags(HTMLParser):
    """Every tag that a browser would see, and whether all are closed."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs), attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_tags_are_closed(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert tags.open == [] and {"svg", "table", "canvas", "audio"} <= tags.seen


def test_evil_names_are_text(tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="alert(1)">&\u2028'
    made = simulated.whole(tmp_path)
    renamed = pl.when(pl.col("word") == "bed").then(pl.lit(evil)).otherwise(pl.col("word"))
    clips = made.prepared.clips.with_columns(word=renamed, speaker=pl.lit(evil), flags=pl.lit(evil))
    prepared = type(made.prepared)(**{**vars(made.prepared), "clips": clips})
    simulated.add_submission(made, [evil], 0.7, 0.7)
    html = build.render(source.read(prepared, evil))
    tags = Tags()
    tags.feed(html)
    assert tags.open == [] and "img" not in tags.seen
    assert any(clip["speaker"] == evil for clip in sounds(html))


@pytest.mark.parametrize("add", ["", "run", "constant run"])
def test_a_workspace_with_little_in_it(add: str, tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    if add:
        simulated.add_run(made, "gru", "0" * 12, skill=50.0 if add == "run" else 1.0, epochs=1)
    if add.startswith("constant"):
        path = made.workspace.runs / "gru" / ("0" * 12) / OOF
        table = pl.read_parquet(path)
        logits = np.tile(np.float32([9, 0, 0, 0, 0, 0]), (len(table), 1))
        table.with_columns(logits=pl.Series(logits, dtype=table["logits"].dtype)).write_parquet(path)
    html = build.render(read(made))
    advice = {"": "No model is trained yet", "run": "Only one architecture is trained"}.get(add, "% of OOF")
    assert advice in html and "No submission yet" in html and "No search yet" in html
    Tags().feed(html)


def test_runs_of_other_clips_are_left_out(tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    simulated.add_run(made, "gru", "0" * 12, skill=1.0)
    other = simulated.Made(
        made.config, made.workspace, type(made.prepared)(**{**vars(made.prepared), "key": "other"})
    )
    assert (read(other).runs, read(other).left_out) == ((), 1)


def test_damaged_predictions_are_reported(tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    folder = simulated.add_run(made, "gru", "0" * 12, skill=1.0)
    whole = pl.read_parquet(folder / OOF)
    logits = logits_of(whole).copy()
    logits[3, 1] = np.nan
    whole.with_columns(logits=pl.Series(logits, dtype=whole["logits"].dtype)).write_parquet(folder / OOF)
    with pytest.raises(MissingError, match="not finite") as caught:
        read(made)
    assert str(folder) in str(caught.value.hint)
    whole.head(10).write_parquet(folder / OOF)
    with pytest.raises(MissingError, match="for other clips"):
        read(made)


def test_a_damaged_journal_is_reported(tmp_path: Path) -> None:
    made = simulated.make(tmp_path, clips=80)
    made.workspace.studies.mkdir(parents=True)
    (made.workspace.studies / "gru.journal").write_text("no json\n{}\n")
    with pytest.raises(KagglekitError, match=r"gru\.journal is damaged at byte 0"):
        studies.read(read(made))


# --- the verb ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    yaml = tiny.make(folder)
    for argv in (["fetch"], ["train", "--model", "tcresnet", "--set", "train.epochs=2"]):
        assert main(["--quiet", "-C", str(yaml), *argv]) == 0
    return yaml


def test_the_verb_writes_one_file(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(trained), "report", "--out", "out/r.html", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    path = tmp_path / "out" / "r.html"
    assert [file.name for file in path.parent.iterdir()] == ["r.html"]
    assert result["bytes"] == path.stat().st_size and result["runs"] == 1
    assert result["clips"] == len(sounds(path.read_text(encoding="utf-8"))) > 0
    assert main(["-C", str(trained), "report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("report.html: ") and lines[1] == "next: open report.html in a browser"


def test_what_the_report_flags_prepare_leaves_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-C", str(trained), "prepare"])
    before = capsys.readouterr().out
    path = tmp_path / "flagged.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["clip_id"], ["low/00000000_nohash_0.wav"], ["high/00000001_nohash_0.wav"]]
        )
    leave = ["-C", str(trained), "--set", f"data.leave_out_clips={path}"]
    assert main([*leave, "prepare"]) == 0
    after = capsys.readouterr().out
    assert "2 train clips are left out" in after and "left out" not in before
    path.write_text("clip_id\nlow/none.wav\n")
    assert main([*leave, "prepare"]) == 1
    assert (
        "'low/none.wav' is not a training clip (unknown ids in the list: 1 of 1)" in capsys.readouterr().err
    )
    path.write_text("file\nlow/none.wav\n")
    assert main([*leave, "prepare"]) == 1
    assert "has no column 'clip_id'" in capsys.readouterr().err
    path.unlink()
    assert main([*leave, "prepare"]) == 1
    assert "flagged.csv does not exist" in capsys.readouterr().err


# --- the server ---


@pytest.fixture
def server(report: Source) -> Iterator[http.client.HTTPConnection]:
    running = make_server("<p>page", report, 0)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", running.server_port, timeout=10)
    yield connection
    connection.close()
    running.shutdown()
    running.server_close()


def get(server: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, bytes]:
    server.request("GET", path, headers=headers)
    reply = server.getresponse()
    return reply.status, reply.read()


def test_the_server_gives_the_page_and_sounds(server: http.client.HTTPConnection, report: Source) -> None:
    assert get(server, "/") == (200, b"<p>page")
    status, sound = get(server, "/audio/train/3.wav")
    assert status == 200
    with wave.open(io.BytesIO(sound)) as file:
        played = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert played.tolist() == report.prepared.store("train")[3:4][0].tolist()


@pytest.mark.parametrize(
    "path",
    ["/audio/train/400.wav", "/audio/noise/0.wav", "/audio/train/../../etc/passwd", "/etc/passwd", "/audio/train/-1.wav",
     "//etc/passwd", "/audio/train/%2e%2e/0.wav", "/audio/train/99999999999999999999.wav"],
)  # fmt: skip
def test_the_server_gives_nothing_else(path: str, server: http.client.HTTPConnection) -> None:
    assert get(server, path)[0] == 404


def test_the_server_is_for_this_machine_alone(server: http.client.HTTPConnection) -> None:
    assert get(server, "/", Host="evil.example:80")[0] == 403


def test_a_port_in_use_is_reported(report: Source) -> None:
    taken = make_server("", report, 0)
    with pytest.raises(KagglekitError, match=f"port {taken.server_port} cannot be used"):
        make_server("", report, taken.server_port)
    taken.server_close()


# --- pictures by themselves ---


def test_pictures_are_written_as_svg_and_png(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("resvg_py", reason="resvg-py is missing: pip install -e '.[dev]'")
    assert main(["-C", str(trained), "report", "--charts", "svg,png", "--out", "charts", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["files"]
    names = ["calibration", "confusion-percent", "confusion", "cv", "loss"]
    for kind in ("svg", "png"):
        written = sorted(path.name for path in (tmp_path / "charts").glob(f"*.{kind}"))
        assert written == [f"tcresnet-{name}.{kind}" for name in names]
        assert {Path(path).name for path in result} >= set(written)
    for path in (tmp_path / "charts").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        width, height = (float(root.attrib[side]) for side in ("width", "height"))
        content = path.with_suffix(".png").read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", content[16:24]) == pytest.approx((2 * width, 2 * height), abs=1)
        assert "var(" not in path.read_text()  # a file of its own has its colours


def test_cv_against_public_is_among_the_pictures(report: Source) -> None:
    drawn = dict(pictures(report))
    assert next(iter(drawn)) == "cv-public" and "lstm-confusion" in drawn
    assert drawn["cv-public"].body.count("<circle") == 3


def test_the_longest_search_of_a_model_is_among_the_pictures(report: Source) -> None:
    (study,) = studies.read(report)
    drawn = dict(pictures(report))
    assert f"{study.trials[0].number}: {study.trials[0].value:.4f}" in drawn[f"{study.model}-search"].body
    assert "lr" in drawn[f"{study.model}-importance"].body
    shorter = replace(study, trials=study.trials[:1])
    assert studies.longest_study_per_model([shorter, study, shorter]) == [study]


def test_pictures_of_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = str(tiny.make(tmp_path))
    main(["--quiet", "-C", yaml, "fetch"])
    assert main(["-C", yaml, "report", "--charts", "svg", "--out", "out"]) == 1
    assert "error: nothing to draw yet\nhint:  train a model first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_png_has_text_on_a_machine_without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    resvg_py = pytest.importorskip("resvg_py", reason="resvg-py is missing: pip install -e '.[dev]'")
    render = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
    monkeypatch.setattr(resvg_py, "svg_to_bytes", render)
    blank = to_png(Picture(120, 20, "", ""))
    letters = {
        letter: to_png(Picture(120, 20, "", text(2, 16, letter))) for letter in "aZ0\N{MINUS SIGN}±…%→"
    }
    assert blank not in letters.values() and len(set(letters.values())) == len(letters)
    assert letters["a"] != to_png(Picture(120, 20, "", text(2, 16, "a", "title")))  # 600 has its own file


@pytest.mark.parametrize("package", ["resvg_py", "font_manrope"])
def test_png_without_its_packages_says_so(
    package: str, report: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingError, match="need resvg-py and font-manrope"):
        to_png(next(iter(pictures(report)))[1])
