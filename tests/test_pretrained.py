from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from checkpoints import save_tiny_ast, save_tiny_wav2vec2
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining, pipeline

from kagglekit import models
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.models import pretrained

LABELS = ["yes", "no", "up", "silence", "unknown"]
SAVE = {"ast": save_tiny_ast, "wav2vec2": save_tiny_wav2vec2}
both = pytest.mark.parametrize("name", list(SAVE))


def clips() -> Tensor:
    """Four clips of a second, as prepare leaves them: tones, one short and padded, and near silence."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(16_000) / 16_000
    waveform = 0.3 * torch.sin(2 * torch.pi * torch.tensor([[150.0], [440.0], [2000.0], [0.0]]) * time)
    waveform += 0.003 * torch.randn(4, 16_000, generator=generator)
    waveform[1, 9_000:] = 0
    return (waveform * 32_768).round() / 32_768


def hf_logits(folder: Path, waveform: Tensor) -> Tensor:
    """Logits of the Hugging Face pipeline, in the order of the labels."""
    classify = pipeline("audio-classification", model=str(folder))
    label2id = classify.model.config.label2id
    logits = torch.empty(len(waveform), len(label2id))
    for i, clip in enumerate(waveform.numpy()):
        for answer in classify(clip, top_k=None, function_to_apply="none"):
            logits[i, label2id[answer["label"]]] = answer["score"]
    return logits


@both
def test_logits_equal_the_pipelines(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder)}, len(LABELS)).eval()
    with torch.inference_mode():
        logits = model(clips())
    expected = hf_logits(folder, clips())
    assert expected.std(dim=0).max() > 1e-3  # the clips are not all one to it
    assert (logits - expected).abs().max() < 1e-3


@both
def test_to_hf_takes_the_model_away(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder)}, 12).eval()  # a new head
    pretrained.to_hf(model, tmp_path / "mine")
    with torch.inference_mode():
        logits = model(clips())
    assert (logits - hf_logits(tmp_path / "mine", clips())).abs().max() < 1e-3
    assert not list(tmp_path.glob("*.part"))


@both
def test_rebuilds_without_the_checkpoint(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder)}, 12).eval()
    settings = json.loads(model.config.model_dump_json())
    folder.rename(tmp_path / "gone")
    again = models.build(name, settings, 12).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(clips()), model(clips()))


def test_bf16_keeps_the_input_in_float32(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    model = models.build("ast", {"checkpoint": str(folder)}, len(LABELS)).eval()
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model(clips())
    assert torch.equal(seen[0], model.preprocess(clips()))


@pytest.mark.parametrize(
    ("name", "freeze", "trained"),
    [
        ("wav2vec2", "backbone", {"projector", "classifier"}),
        ("ast", "backbone", {"classifier"}),
    ],
)
def test_freeze_backbone(name: str, freeze: str, trained: set[str], tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder), "freeze": freeze}, len(LABELS))
    model(clips()).sum().backward()
    assert {n.split(".")[1] for n, p in model.named_parameters() if p.grad is not None} == trained


def test_freeze_feature_encoder(tmp_path: Path) -> None:
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS)
    model = models.build("wav2vec2", {"checkpoint": str(folder), "freeze": "feature_encoder"}, len(LABELS))
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen
    assert all("feature_extractor.conv_layers" in n for n in frozen)


def test_ast_has_no_feature_encoder(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    with pytest.raises(ConfigError, match="ASTForAudioClassification has no convolutions"):
        models.build("ast", {"checkpoint": str(folder), "freeze": "feature_encoder"}, len(LABELS))


def test_a_checkpoint_without_a_head_gets_one(tmp_path: Path) -> None:
    save_tiny_wav2vec2(tmp_path, LABELS)
    config = Wav2Vec2Config.from_pretrained(tmp_path)
    source = Wav2Vec2ForPreTraining(config)
    source.save_pretrained(tmp_path / "base")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "base")
    model = models.build("wav2vec2", {"checkpoint": str(tmp_path / "base")}, 12)
    ours, theirs = model.network.wav2vec2.state_dict(), source.wav2vec2.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_weights_of_another_network(tmp_path: Path) -> None:
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS)
    edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ConfigError, match=r"lacks \d+ weights of its network, such as wav2vec2\.encoder"):
        models.build("wav2vec2", {"checkpoint": str(folder)}, len(LABELS))


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def of_no_audio(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def at_8_khz(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", sampling_rate=8000)


def prepared_otherwise(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", feature_extractor_type="WhisperFeatureExtractor")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_weights, "cannot be read: "),
        (of_no_audio, "cannot be read: Unrecognized configuration class"),
        (at_8_khz, "hears 8000 Hz, kagglekit gives it 16000 Hz"),
        (prepared_otherwise, "prepares its input with WhisperFeatureExtractor"),
    ],
)
def test_unusable_checkpoints(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS)
    spoil(folder)
    with pytest.raises(ConfigError, match=message):
        models.build("wav2vec2", {"checkpoint": str(folder)}, len(LABELS))


@pytest.mark.parametrize(
    ("checkpoint", "reason"),
    [
        ("no/such-checkpoint", "nor in the cache, and the hub cannot be reached"),
        ("not a name", "nor on the hub"),
        ("./no/such/folder", "nor on the hub"),
    ],
)
def test_a_checkpoint_that_is_nowhere(checkpoint: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(KagglekitError) as caught:
        models.build("wav2vec2", {"checkpoint": checkpoint}, len(LABELS))
    assert str(caught.value) == f"checkpoint '{checkpoint}' is neither a folder {reason}"
    assert "kagglekit fetch --checkpoints" in str(caught.value.hint)


class Hub:
    """A hub with one checkpoint: pickled weights on main, the bot's safetensors in a pull request."""

    def __init__(self, folder: Path, revisions: dict[str | None, str]) -> None:
        self.folder = folder
        self.revisions = revisions

    def snapshot_download(self, repo_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        assert not any(".bin" in p or "*.py" in p for p in allow_patterns)
        return str(self.folder / self.revisions[revision])

    def get_repo_discussions(self, repo_id: str, **wanted: str) -> Iterator[SimpleNamespace]:
        assert wanted["author"] == "SFconvertbot"
        return (SimpleNamespace(git_reference=r) for r in self.revisions if r)


@pytest.mark.parametrize(
    ("revisions", "found"),
    [({None: "safe"}, True), ({None: "bare", "refs/pr/1": "safe"}, True), ({None: "bare"}, False)],
)
def test_download_takes_no_pickles(
    revisions: dict[str | None, str], found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_ast(tmp_path / "safe", LABELS)
    (tmp_path / "bare").mkdir()
    hub = Hub(tmp_path, revisions)
    monkeypatch.setattr(pretrained, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(pretrained, "HfApi", lambda: hub)
    if found:
        assert pretrained.download("some/model") == tmp_path / "safe"
    else:
        with pytest.raises(
            KagglekitError, match=r"has no config\.json and .* no model\.safetensors on the hub"
        ):
            pretrained.download("some/model")


def test_attention_from_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    edit(
        folder / "config.json", attn_implementation="someone/kernels", auto_map={"AutoConfig": "evil.Config"}
    )
    model = models.build("ast", {"checkpoint": str(folder)}, len(LABELS))
    again = models.build("ast", model.config.model_dump(), len(LABELS))
    for built in (model, again):
        assert built.network.config._attn_implementation in ("sdpa", "eager")


def test_a_cached_checkpoint_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrained, "download", lambda name: pytest.fail(f"downloads {name}"))
    snapshot = tmp_path / "models--some--model" / "snapshots" / "0123abc"
    save_tiny_ast(snapshot, LABELS)
    assert pretrained.find("some/model") == snapshot


def in_shards(folder: Path) -> None:
    """As the hub keeps a large checkpoint."""
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    (folder / "model.safetensors").rename(folder / shards[0])
    (folder / shards[1]).touch()
    index = {"weight_map": {"a.weight": shards[0], "a.bias": shards[0], "b.weight": shards[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("shards", "lost"),
    [
        (False, "config.json"),
        (False, "preprocessor_config.json"),
        (False, "model.safetensors"),
        (True, "model-00002-of-00002.safetensors"),
    ],
)
def test_a_killed_download_goes_on(
    shards: bool, lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrained, "download", lambda name: Path("downloaded"))
    snapshot = save_tiny_ast(tmp_path / "models--some--model" / "snapshots" / "0123abc", LABELS)
    if shards:
        in_shards(snapshot)
    assert pretrained.find("some/model") == snapshot
    (snapshot / lost).unlink()
    assert pretrained.find("some/model") == Path("downloaded")


@pytest.mark.parametrize(
    "index",
    ['{"weight_map": {"a": "../../w.safetensors"}}', '{"weight_map": {}}', '{"weight_map": [1]}', "["],
)
def test_an_index_that_is_none(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    monkeypatch.setattr(pretrained, "snapshot_download", lambda *_, **__: tmp_path)
    with pytest.raises(ConfigError, match=r"index\.json is no index of safetensors weights"):
        pretrained.download("some/model")


def test_without_a_checkpoint_the_registrys_is_taken() -> None:
    config = models.configure("ast", {"freeze": "backbone"})
    assert config.checkpoint == "MIT/ast-finetuned-speech-commands-v2"
    with pytest.raises(ConfigError, match="hf_config and preprocessor go together"):
        models.configure("ast", {"hf_config": {}})
