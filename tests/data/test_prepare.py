"""Archives become stores and a table, once; a changed setting remakes only what depends on it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.dataset import dataset, wav, write
from support.replicas import make_replica
from support.sounds import by_ffmpeg
from support.tiny import WORDS, make, wav_bytes

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data import with_ffmpeg
from kagglekit.data.clips import COLUMNS
from kagglekit.data.prepare import Prepared, prepare, summary
from kagglekit.data.source_store import SourceStore
from kagglekit.data.store import open_store
from kagglekit.errors import ConfigError, KagglekitError, MissingError, SubmissionError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.terminal import console


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return make(tmp_path, speakers=6, test_clips=12)


def run(yaml: Path, *overrides: str) -> tuple[Prepared, Config, Workspace]:
    config = load_config(yaml, overrides)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return prepare(workspace), config, workspace


def times(workspace: Workspace) -> dict[str, int]:
    """Of every file but locks."""
    paths = [*workspace.audio.rglob("*"), workspace.clips_path, workspace.clips_path.with_suffix(".json")]
    return {
        str(p.relative_to(workspace.root)): p.stat().st_mtime_ns
        for p in paths
        if p.is_file() and p.suffix != ".lock"
    }


def test_prepare(yaml: Path) -> None:
    prepared, config, _ = run(yaml)
    clips = prepared.clips
    assert clips.columns == list(COLUMNS)
    silence = round(0.3 * 6 * len(WORDS))
    assert dict(clips["split"].value_counts().rows()) == {"train": 30, "silence": silence, "test": 12}
    for split in ("train", "silence", "test"):
        store, rows = prepared.store(split), clips.filter(split=split)
        assert [store.clip_ids[row] for row in rows["row"]] == rows["clip_id"].to_list()
        assert store.samples == config.audio.samples
    assert prepared.problems == {"train": {}, "test": {}}
    assert len(prepared.noise()) == 2 and set(prepared.noise_fold.values()) == {0, 1}


def test_files_instead_of_decoded_clips(yaml: Path) -> None:
    """audio.store: source gives the same clips, but for what only decoding could tell."""
    add(yaml, "train.zip", {"train/audio/low/cut.wav": wav_bytes(prepared_tone())[:3000]})
    windows = ("audio.longer=windows", "audio.seconds=0.2")
    decoded, _, _ = run(yaml, *windows)
    source, _, _ = run(yaml, *windows, "audio.store=source")
    told = ["rms", "peak"]
    assert source.clips.drop(told).equals(decoded.clips.drop(told))
    assert source.problems == decoded.problems and source.keys != decoded.keys
    assert source.clips.filter(split="train")["rms"].null_count() == 31
    for split in ("train", "silence", "test"):
        mine, theirs = source.store(split), decoded.store(split)
        assert isinstance(mine, SourceStore) == (split != "silence")
        assert mine.clip_ids == theirs.clip_ids
        assert (mine[:] == theirs[:]).all()
    mono = open_store(source.folders["test"] / "store")
    assert (mono.take(np.array([3, 0])) == decoded.store("test").take(np.array([3, 0]))).all()


def test_files_that_need_av_are_read_once_it_is_installed(
    yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "note", said.append)
    add(yaml, "train.zip", {"train/audio/low/phone.wav": by_ffmpeg("AAC in .m4a", 0.5)})
    with monkeypatch.context() as patched:
        patched.setattr(with_ffmpeg, "is_installed", lambda: False)
        first, _, _ = run(yaml)
    assert first.problems["train"] == {"unreadable": 1}
    assert (
        "train: 1 of 31 files cannot be read: 1 is AAC in .m4a; to read them: pip install 'kagglekit[av]', then prepare again"
        in said
    )
    second, _, workspace = run(yaml)
    assert second.problems["train"] == {"resampled": 1, "converted": 1, "long": 1}
    assert second.keys["train"] != first.keys["train"] and second.keys["test"] == first.keys["test"]
    before = times(workspace)
    run(yaml)
    assert times(workspace) == before


def test_a_second_call_does_nothing(yaml: Path) -> None:
    first, _, workspace = run(yaml)
    before = times(workspace)
    again, _, _ = run(yaml)
    assert times(workspace) == before and len(before) > 8
    assert again.clips.equals(first.clips)
    assert (again.key, again.keys, again.noise_fold) == (first.key, first.keys, first.noise_fold)


def remade(workspace: Workspace, before: dict[str, int]) -> set[str]:
    """What of the workspace is new: clips, train, silence, test."""
    changed = {name for name, time in times(workspace).items() if before.get(name) != time}
    return {
        Path(name).stem if "audio" not in name else name.split("/")[1].partition("-")[0] for name in changed
    }


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("validation.seed=5", {"clips", "silence"}),
        ("validation.folds=3", {"clips", "silence"}),
        ("labels.silence_share=0.5", {"clips", "silence"}),
        ("labels.targets=[low, high]", {"clips"}),
        ("data.leave_out=[]", {"clips"}),
        ("audio.seconds=0.4", {"clips", "silence", "train", "test"}),
        ("data.train_archive=train.zip", set()),  # as it was
        ("train.lr=0.5", set()),
        ("features.n_mels=10", set()),
        ("labels.keep_fillers=3", set()),  # chosen when training
        ("validation.prior={}", set()),
    ],
)
def test_a_changed_setting_remakes_what_depends_on_it(override: str, parts: set[str], yaml: Path) -> None:
    first, _, workspace = run(yaml)
    before = times(workspace)
    other, _, _ = run(yaml, override)
    assert remade(workspace, before) == parts
    assert (other.key != first.key) == bool(parts)
    kept = {name: time for name, time in before.items() if name.startswith("audio")}
    assert kept.items() <= times(workspace).items()  # the first stays for its own settings


def test_listed_clips_are_left_out_and_the_others_stay_where_they_are(yaml: Path) -> None:
    first, _, workspace = run(yaml)
    before = times(workspace)
    listed = ["low/00000002_nohash_0.wav", first.clips.filter(split="silence")["clip_id"][0]]
    (yaml.parent / "flagged.csv").write_text("\n".join(["clip_id", *listed]))
    other, _, _ = run(yaml, "data.leave_out_clips=flagged.csv")
    assert remade(workspace, before) == {"clips"} and other.key != first.key
    assert other.clips.filter(pl.col("clip_id").is_in(listed))["fold"].to_list() == [-1, -1]
    rest = ~pl.col("clip_id").is_in(listed)
    assert other.clips.filter(rest).equals(first.clips.filter(rest))
    (yaml.parent / "flagged.csv").write_text(f"clip_id\n{listed[0]}\n")
    fewer, _, _ = run(yaml, "data.leave_out_clips=flagged.csv")
    assert fewer.key not in (first.key, other.key)  # what the file says counts, not its name


def test_another_seed_is_another_table(yaml: Path) -> None:
    first, second = (run(yaml, f"validation.seed={seed}")[0] for seed in (0, 1))
    spoken = [p.clips.filter(split="train") for p in (first, second)]
    assert spoken[0]["fold"].to_list() != spoken[1]["fold"].to_list()
    assert spoken[0].drop("fold", "part").equals(spoken[1].drop("fold", "part"))
    back, _, _ = run(yaml)
    assert back.clips.equals(first.clips)


def add(yaml: Path, archive: str, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(yaml.parent / "host" / archive, "a") as packed:
        for name, data in files.items():
            packed.writestr(name, data)


def test_another_archive_is_another_key(yaml: Path) -> None:
    first, _, workspace = run(yaml)
    before = times(workspace)
    add(yaml, "test.zip", {"test/audio/one_more.wav": wav_bytes(prepared_tone())})
    with pytest.raises(SubmissionError, match=r"1 of 13 clips without an id \('one_more\.wav'\)"):
        run(yaml)
    ask(yaml, "one_more.wav")
    other, _, _ = run(yaml)
    assert remade(workspace, before) == {"test", "clips"}
    assert len(other.clips) == len(first.clips) + 1


def ask(yaml: Path, test_clip: str) -> None:
    """Add a row to the host's sample submission."""
    sample = next(yaml.parent.rglob("host/sample_submission.csv"))
    sample.write_text(f"{sample.read_text()}{test_clip},low\n")


def test_the_sample_is_read_before_any_training(yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    sample = next(yaml.parent.rglob("host/sample_submission.csv"))
    sample.write_text(sample.read_text().replace(".wav", "").replace(",", ";") + "\n\n")
    run(yaml)
    assert sum("12 ids that the sample submission lacks" in note for note in notes) == 1
    solution = sample.with_name("solution.csv")
    solution.write_text(solution.read_text().replace(".wav", ""))
    notes.clear()
    run(yaml)
    run(yaml)
    assert notes.count("sample_submission.csv: separator ';', 2 blank lines") == 1
    sample.write_text(sample.read_text().replace("clip_0003", "clip_99999"))
    with pytest.raises(SubmissionError, match="1 of 12 ids without a clip"):
        run(yaml)


def prepared_tone() -> pl.Series:
    return pl.Series([1000, -1000] * 2000).to_numpy()  # type: ignore[return-value]


def test_official_lists(yaml: Path) -> None:
    lists = {
        "train/validation_list.txt": b"low/00000001_nohash_0.wav\nmid/00000002_nohash_0.wav\n",
        "train/testing_list.txt": b"high/00000003_nohash_0.wav\n",
    }
    add(yaml, "train.zip", lists)
    clips = run(yaml)[0].clips
    counts = dict(clips.filter(split="train")["official"].value_counts().rows())
    assert counts == {"validation": 2, "testing": 1, "train": 27}
    assert clips.filter(official="testing")["clip_id"].to_list() == ["high/00000003_nohash_0.wav"]
    assert clips.filter(pl.col("split") != "train")["official"].null_count() == len(clips) - 30


def test_without_lists_nothing_is_official(yaml: Path) -> None:
    assert run(yaml)[0].clips["official"].null_count() == 30 + 9 + 12


def test_problems_are_counted_and_left_out(yaml: Path) -> None:
    whole = wav_bytes(prepared_tone())
    bad = {
        "train/audio/low/empty.wav": b"",
        "train/audio/low/text.wav": b"this is no audio at all",
        "train/audio/mid/a.wav": whole,
        "train/audio/mid/b.wav": whole,
        "train/audio/mid/cut.wav": wav_bytes(prepared_tone() // 2)[:4000],
    }
    add(yaml, "train.zip", bad)
    add(yaml, "test.zip", {"test/audio/zz_empty.wav": b""})
    ask(yaml, "zz_empty.wav")
    prepared, _, _ = run(yaml)
    problems = {
        "train": {"empty": 1, "unreadable": 1, "duplicate": 1, "truncated": 1, "short": 1},
        "test": {"empty": 1},
    }
    assert prepared.problems == problems
    rows = {r["clip_id"]: r["fold"] for r in prepared.clips.iter_rows(named=True)}
    assert [rows[f"low/{n}.wav"] for n in ("empty", "text")] == [-1, -1] and rows["mid/b.wav"] == -1
    assert rows["mid/a.wav"] >= 0 and rows["mid/cut.wav"] >= 0
    assert "zz_empty.wav" in rows  # a test clip needs an answer
    counts = summary(prepared)
    assert counts["clips"] == {"silence": 10, "test": 13, "train": 35} and counts["problems"] == problems
    assert run(yaml)[0].problems == problems  # remembered


def test_no_silence_class(yaml: Path) -> None:
    prepared, _config, _ = run(yaml, "labels.silence=null", "validation.prior={}")
    assert set(prepared.clips["split"]) == {"train", "test"}
    assert prepared.noise() == {} and set(prepared.folders) == {"train", "test"}


def test_a_lost_table_is_made_again(yaml: Path) -> None:
    first, _, workspace = run(yaml)
    before = times(workspace)
    workspace.clips_path.unlink()
    assert run(yaml)[0].clips.equals(first.clips)
    assert remade(workspace, before) == {"clips"}


def test_errors(yaml: Path, tmp_path: Path) -> None:
    config = load_config(yaml)
    with pytest.raises(MissingError, match=r"has not been fetched: .*raw is empty") as caught:
        prepare(Workspace(config))
    assert caught.value.hint == "fetch it: kagglekit fetch"
    with pytest.raises(ConfigError, match="no training clip for nothing"):
        run(yaml, "labels.targets=[low, nothing]")
    with pytest.raises(ConfigError, match=r"no file matches 'train.zip/train/none"):
        run(yaml, "data.noise_clips=train/none/*.wav", "data.train_clips=train/audio/[!_]*/*.wav")


def test_another_table_of_rows_cuts_the_test_again(tmp_path: Path) -> None:
    yaml = make_replica("birdsong-2020", tmp_path)
    first, _, _ = run(yaml, "data.sample=null")
    table = tmp_path / "host/test.csv"
    table.write_text(table.read_text().replace("site_1_", "elsewhere_"))
    second, _, _ = run(yaml, "data.sample=null")
    names = second.clips.filter(split="test")["clip_id"]
    assert names.str.starts_with("elsewhere_").any() and not names.str.starts_with("site_1_").any()
    third, _, _ = run(yaml, "data.sample=null", "data.test.where={site: site_2}")
    assert len(third.clips.filter(split="test")) < len(names)
    assert third.keys["train"] == first.keys["train"]


def test_other_noise_is_read_again(tmp_path: Path) -> None:
    yaml = make_replica("speech-commands-2017", tmp_path)

    def noise(seed: int) -> Prepared:
        samples = np.random.default_rng(seed).normal(0, 300, 64_000 + seed)
        with zipfile.ZipFile(tmp_path / "host/noise.zip", "w") as archive:
            for name in ("a", "b"):
                archive.writestr(f"{name}.wav", wav_bytes(samples, 16_000))
        return run(yaml, "data.noise=noise.zip/*.wav")[0]

    first, second = noise(0), noise(1)
    assert len(second.noise()["a.wav"]) == len(first.noise()["a.wav"]) + 1
    assert first.keys["test"] == second.keys["test"]


def test_classes_follow_the_columns_of_the_sample_that_are_named(tmp_path: Path) -> None:
    yaml = make_replica("freesound-2019", tmp_path)
    with pytest.raises(SubmissionError, match=r"sample_submission\.csv has the columns"):
        run(yaml, "submission.id=Fname")
    assert "fname" not in run(yaml)[0].task.classes


def test_another_metric_is_checked_against_the_shape(tmp_path: Path) -> None:
    yaml = make_replica("freesound-2018", tmp_path)
    run(yaml)
    with pytest.raises(ConfigError, match="judges 2 labels"):
        run(yaml, "competition.metric={name: map_at_k, k: 2}")
    with pytest.raises(ConfigError, match=r"validation\.prior names 'a'"):
        run(yaml, "validation.prior={a: 1}")


def test_rows_of_a_submission_that_share_an_id(tmp_path: Path) -> None:
    yaml = make_replica("birdclef-2022", tmp_path)
    with pytest.raises(SubmissionError, match=r"several rows of the submission have the id 'soundscape_\d+_"):
        run(yaml, "submission.ids='{stem}_{class}'")


def test_a_format_code_of_an_id_that_does_not_fit(tmp_path: Path) -> None:
    yaml = make_replica("birdclef-2022", tmp_path)
    with pytest.raises(ConfigError, match="rows: id: Unknown format code 'd'"):
        run(yaml, "rows.id='{stem}_{end:d}'")


def test_the_table_of_another_workspace_is_made_again(yaml: Path) -> None:
    first, _, workspace = run(yaml)
    run(yaml, f"workspace={yaml.parent / 'other'}", "validation.seed=5")
    other = yaml.parent / "other" / "clips.parquet"
    assert other.read_bytes() != workspace.clips_path.read_bytes()
    workspace.clips_path.write_bytes(other.read_bytes())
    assert run(yaml)[0].clips.equals(first.clips)


def test_a_table_that_names_files_of_your_own_counts(tmp_path: Path) -> None:
    labels = "id,label\n0,cat\n1,dog\n2,cat\n3,dog\n"
    table = {"files": "*.wav", "table": "labels.csv", "file": "id", "label": "label", "external": "own"}
    own = {**table, "validate": True, "by_way_of": {"table": "names.csv", "id": "n", "file": "f"}}
    write(tmp_path / "own", {"labels.csv": labels, **{f"{number}.wav": wav(number) for number in range(4)}})
    workspace = dataset(tmp_path, {}, own)
    labels_of = []
    for step in (0, 1):
        names = "".join(f"{number},{(number + step) % 4}\n" for number in range(4))
        write(tmp_path / "own", {"names.csv": f"n,f\n{names}"})
        clips = prepare(workspace).clips.filter(split="train")
        labels_of.append(dict(clips.select("path", "label").iter_rows()))
    assert len(labels_of[0]) == 4 and all(labels_of[0][path] != labels_of[1][path] for path in labels_of[0])


def test_a_test_that_only_a_notebook_sees(tmp_path: Path) -> None:
    yaml = make_replica("birdclef-2026", tmp_path)
    hidden = tmp_path / "host/test_soundscapes"
    for path in hidden.iterdir():
        path.unlink()
    (hidden / "readme.txt").write_text("Hidden until the notebook runs.")
    prepared, _, _ = run(yaml)
    assert not len(prepared.clips.filter(split="test")) and len(prepared.clips.filter(split="train"))
    with pytest.raises(KagglekitError, match=r"no file that matches 'test_soundscapes/\*\.ogg'"):
        run(yaml, "competition.delivery=csv")
