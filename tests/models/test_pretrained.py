from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.checkpoints import SAVE, save_tiny_ast, save_tiny_wav2vec2, save_tiny_whisper, tiny_whisper
from torch import Tensor
from transformers import (
    ASTForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    pipeline,
)

from kagglekit import models
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.models import hf_network, hub, pretrained

LABELS = ["yes", "no", "up", "silence", "unknown"]
every = pytest.mark.parametrize("name", list(SAVE))


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


@every
def test_logits_equal_the_pipelines(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder)}, len(LABELS)).eval()
    with torch.inference_mode():
        logits = model(clips())
    expected = hf_logits(folder, clips())
    assert expected.std(dim=0).max() > 1e-3  # the clips are not all one to it
    assert (logits - expected).abs().max() < 1e-3


@every
def test_to_hf_takes_the_model_away(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder)}, 12).eval()  # a new head
    pretrained.to_hf(model, tmp_path / "mine")
    with torch.inference_mode():
        logits = model(clips())
    assert (logits - hf_logits(tmp_path / "mine", clips())).abs().max() < 1e-3
    assert not list(tmp_path.glob("*.part"))


@every
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


def test_ast_hears_two_tokens_as_transformers_hears_all(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    theirs = ASTForAudioClassification.from_pretrained(folder, hidden_dropout_prob=0.0)
    model = models.build("ast", {"checkpoint": str(folder)}, len(LABELS))
    values = model.preprocess(clips())
    expected, logits = theirs.eval()(values).logits, model.eval()(clips())
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=0)
    for out in (expected, logits):
        out.square().sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, weight in model.network.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, gradients[name].grad, atol=1e-6, rtol=1e-3)
    hidden = model.network.audio_spectrogram_transformer(values).last_hidden_state
    assert hidden.shape == (4, 2, 32)


def test_logits_of_ast_are_not_rounded_to_bfloat16(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    model = models.build("ast", {"checkpoint": str(folder)}, len(LABELS)).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = model(clips())
    assert logits.dtype == torch.float32 and not torch.equal(logits, logits.bfloat16().float())
    # the head of a frozen network hears float32, too, also where it is built without its checkpoint
    frozen = models.build("ast", {"checkpoint": str(folder), "tune": "frozen"}, len(LABELS))
    again = models.build("ast", frozen.config.model_dump(), len(LABELS))
    for head in (frozen, again):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            assert head(torch.randn(4, 1, 32)).dtype == torch.float32


@every
def test_partial_trains_the_last_layers_and_the_head(name: str, tmp_path: Path) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    model = models.build(name, {"checkpoint": str(folder), "tune": "partial", "layers": 1}, len(LABELS))
    model(clips()).sum().backward()
    trained = {n.removeprefix("network.") for n, p in model.named_parameters() if p.grad is not None}
    head = {n for n in trained if n.split(".")[0] in hf_network.HEAD}
    assert {n.split(".")[0] for n in head} == {"classifier"} | ({"projector"} if name != "ast" else set())
    assert trained - head
    assert all(".layers.1." in n for n in trained - head)


def test_partial_does_not_go_back_through_what_is_frozen(tmp_path: Path) -> None:
    """transformers asks for the gradient of a waveform, unless its convolutions are frozen its own way."""
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS)
    model = models.build("wav2vec2", {"checkpoint": str(folder), "tune": "partial", "layers": 1}, 4).train()
    heard = []
    body = model.network.wav2vec2
    body.feature_extractor.register_forward_hook(lambda *args: heard.append(args[2].requires_grad))
    model(clips())
    assert heard == [False]


def test_more_layers_than_there_are(tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    with pytest.raises(ConfigError, match="layers is 3, but the network has 2") as caught:
        models.build("ast", {"checkpoint": str(folder), "tune": "partial", "layers": 3}, len(LABELS))
    assert caught.value.hint == "set tune: full to train all of them"


WEIGHING = [name for name in SAVE if name != "ast"]
ways = pytest.mark.parametrize(
    ("name", "weights"), [*((n, None) for n in SAVE), *((n, True) for n in WEIGHING)]
)


@ways
def test_a_frozen_head_says_what_the_whole_network_says(
    name: str, weights: bool | None, tmp_path: Path
) -> None:
    params = {"checkpoint": str(SAVE[name](tmp_path / name, LABELS)), "layer_weights": weights}
    whole = models.build(name, params, 12).eval()
    head = models.build(name, params | {"tune": "frozen"}, 12).eval()
    if weights:
        torch.nn.init.normal_(head.layer_weights)
    whole.network.load_state_dict(head.state_dict(), strict=False)
    embeddings = whole.embed(clips())
    assert embeddings.shape == (4, 3 if weights else 1, 32)
    assert (head(embeddings) - whole(clips())).abs().max() < 1e-5
    pretrained.to_hf(head, tmp_path / "mine")
    assert (head(embeddings) - hf_logits(tmp_path / "mine", clips())).abs().max() < 1e-3


@ways
def test_a_frozen_head_is_rebuilt_without_the_checkpoint(
    name: str, weights: bool | None, tmp_path: Path
) -> None:
    folder = SAVE[name](tmp_path / name, LABELS)
    params = {"checkpoint": str(folder), "layer_weights": weights, "tune": "frozen"}
    head = models.build(name, params, 12)
    settings = json.loads(head.config.model_dump_json())
    folder.rename(tmp_path / "gone")
    again = models.build(name, settings, 12)
    drawn = dict(again.named_parameters())
    assert all(
        p.isfinite().all() and (p.std() > 0) == (drawn[n].std() > 0) for n, p in head.named_parameters()
    )
    again.load_state_dict(head.state_dict())
    x = torch.randn(3, 3 if weights else 1, 32)
    assert torch.equal(again.eval()(x), head.eval()(x))


def test_layer_weights_start_even_and_learn(tmp_path: Path) -> None:
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS)
    model = models.build("wav2vec2", {"checkpoint": str(folder), "layer_weights": True}, 12)
    assert model.network.layer_weights.tolist() == pytest.approx([1 / 3] * 3)
    model(clips()).square().sum().backward()
    assert model.network.layer_weights.grad.abs().min() > 0


def test_layer_weights_of_the_checkpoint_are_kept(tmp_path: Path) -> None:
    folder = save_tiny_wav2vec2(tmp_path / "w", LABELS, use_weighted_layer_sum=True)
    model = models.build("wav2vec2", {"checkpoint": str(folder)}, len(LABELS)).eval()
    assert pretrained.weighs_layers(model.network)
    assert (model(clips()) - hf_logits(folder, clips())).abs().max() < 1e-3
    model = models.build("wav2vec2", {"checkpoint": str(folder), "layer_weights": False}, len(LABELS))
    assert not pretrained.weighs_layers(model.network)


def test_whisper_hears_less_than_it_was_trained_on(tmp_path: Path) -> None:
    folder = save_tiny_whisper(tmp_path / "whisper", LABELS, seconds=2)
    model = models.build("whisper", {"checkpoint": str(folder), "context_s": 1}, 12).eval()
    whole = models.build("whisper", {"checkpoint": str(folder)}, 12)
    ours, theirs = model.network.encoder.embed_positions, whole.network.encoder.embed_positions
    assert torch.equal(ours.weight, theirs.weight[:50])
    again = models.build("whisper", model.config.model_dump(mode="json"), 12).eval()
    again.load_state_dict(model.state_dict())
    pretrained.to_hf(model, tmp_path / "mine")
    assert torch.equal(again(clips()), model(clips()))
    assert (model(clips()) - hf_logits(tmp_path / "mine", clips())).abs().max() < 1e-3


def test_whisper_gives_its_encoder(tmp_path: Path) -> None:
    source = WhisperForConditionalGeneration(tiny_whisper(LABELS))
    source.save_pretrained(tmp_path)
    WhisperFeatureExtractor(chunk_length=1).save_pretrained(tmp_path)
    model = models.build("whisper", {"checkpoint": str(tmp_path)}, 12)
    ours, theirs = model.network.encoder.state_dict(), source.model.encoder.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"layer_weights": True}, "has a head that takes the last layer alone"),
        ({"context_s": 1}, "of type audio-spectrogram-transformer, takes clips of any length"),
    ],
)
def test_settings_that_ast_has_not(setting: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = save_tiny_ast(tmp_path / "ast", LABELS)
    with pytest.raises(ConfigError, match=message):
        models.build("ast", {"checkpoint": str(folder)} | setting, len(LABELS))


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


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def of_no_audio(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def at_8_khz(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", sampling_rate=8000)


def prepared_otherwise(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", feature_extractor_type="ClapFeatureExtractor")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_weights, "cannot be read: "),
        (cut_off, "cannot be read: "),
        (of_no_audio, "cannot be read: Unrecognized configuration class"),
        (at_8_khz, "takes 8000 Hz, but kagglekit provides 16000 Hz"),
        (prepared_otherwise, "prepares its input with ClapFeatureExtractor"),
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
    site = Hub(tmp_path, revisions)
    monkeypatch.setattr(hub, "snapshot_download", site.snapshot_download)
    monkeypatch.setattr(hub, "HfApi", lambda: site)
    if found:
        assert hub.download("some/model") == tmp_path / "safe"
    else:
        with pytest.raises(
            KagglekitError, match=r"has no config\.json and .* no model\.safetensors on the hub"
        ):
            hub.download("some/model")


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
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "download", lambda name, *_: pytest.fail(f"downloads {name}"))
    snapshot = tmp_path / "models--some--model" / "snapshots" / "0123abc"
    save_tiny_ast(snapshot, LABELS)
    assert hub.find("some/model") == snapshot


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
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "download", lambda name, *_: Path("downloaded"))
    snapshot = save_tiny_ast(tmp_path / "models--some--model" / "snapshots" / "0123abc", LABELS)
    if shards:
        in_shards(snapshot)
    assert hub.find("some/model") == snapshot
    (snapshot / lost).unlink()
    assert hub.find("some/model") == Path("downloaded")


@pytest.mark.parametrize(
    "index",
    ['{"weight_map": {"a": "../../w.safetensors"}}', '{"weight_map": {}}', '{"weight_map": [1]}', "["],
)
def test_an_index_that_is_none(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: tmp_path)
    with pytest.raises(ConfigError, match=r"index\.json is not an index of safetensors weights"):
        hub.download("some/model")


def test_without_a_checkpoint_the_registrys_is_taken() -> None:
    config = models.configure("ast", {"tune": "partial"})
    assert config.checkpoint == "MIT/ast-finetuned-speech-commands-v2"
    with pytest.raises(ConfigError, match="hf_config and preprocessor go together"):
        models.configure("ast", {"hf_config": {}})
