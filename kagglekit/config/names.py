"""The registries' names: what competition.yaml may name, and where it is. Data alone, nothing is imported.

Adding a host, an architecture, a way to blend or a decision is a line here and its code in the room that the
line names; tests see that both have the same names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

HOSTS = {"kaggle": "kagglekit.hosts.kaggle", "local": "kagglekit.hosts.local"}
"""Modules that offer connect(config, folder), by the host's name.""" ""

METHODS = (
    *("mean", "geometric", "rank", "temperature", "pruned", "caruana", "greedy"),
    *("hillclimb", "hillclimb_negative", "logloss", "stacking"),
)
"""Ways to blend runs (kagglekit.ensemble.methods)."""

DECISIONS = (
    *("none", "filler", "bias", "threshold", "thresholds", "prior"),
    *("gate_energy", "gate_max_logit", "gate_disagreement", "gate_distance"),
    *("gate", "gate_bias", "gate_threshold", "gate_prior"),
)
"""Rules that turn the probabilities of a blend into answers (kagglekit.ensemble.decisions)."""

AUTO = "auto"
"""What `kagglekit ensemble` chooses by nested cross-validation."""


class InputKind(StrEnum):
    """What a network takes."""

    LOG_MEL = "log_mel"
    """(batch, n_mels, frames): natural logarithm of the mel power, not normalised."""
    WAVEFORM = "waveform"
    """(batch, samples) in [-1, 1] at 16 kHz."""
    EMBEDDING = "embedding"
    """(batch, layers or steps, dim): the cached output of a frozen network."""


class ModelInfo(NamedTuple):
    """An architecture's line in the registry."""

    module: str
    """Imported only when chosen."""
    input: InputKind
    """What the network takes; a frozen network's head takes its embeddings instead."""
    source: str
    """Paper."""
    checkpoint: str | None = None
    """Pretrained weights taken where the config names none."""


CASCADE = "cascade-"
"""`cascade-gru` is two networks of gru, one behind the other (kagglekit.models.cascade)."""

MODELS: dict[str, ModelInfo] = {
    "convs2s": ModelInfo("kagglekit.models.convs2s", InputKind.LOG_MEL, "arXiv:1705.03122"),
    "lstm": ModelInfo("kagglekit.models.lstm", InputKind.LOG_MEL, "doi:10.1162/neco.1997.9.8.1735"),
    "gru": ModelInfo("kagglekit.models.gru", InputKind.LOG_MEL, "arXiv:1406.1078"),
    "crnn": ModelInfo("kagglekit.models.crnn", InputKind.LOG_MEL, "arXiv:1703.05390"),
    "deepspeech2": ModelInfo("kagglekit.models.deepspeech2", InputKind.LOG_MEL, "arXiv:1512.02595"),
    "tcresnet": ModelInfo("kagglekit.models.tcresnet", InputKind.LOG_MEL, "arXiv:1904.03814"),
    "matchboxnet": ModelInfo("kagglekit.models.matchboxnet", InputKind.LOG_MEL, "arXiv:2004.08531"),
    "bcresnet": ModelInfo("kagglekit.models.bcresnet", InputKind.LOG_MEL, "arXiv:2106.04140"),
    "kwt": ModelInfo("kagglekit.models.kwt", InputKind.LOG_MEL, "arXiv:2104.00769"),
    "resnet": ModelInfo("kagglekit.models.resnet", InputKind.LOG_MEL, "arXiv:1512.03385"),
    "speech_embedding": ModelInfo("kagglekit.models.speech_embedding", InputKind.LOG_MEL, "arXiv:2002.01322"),
    "ast": ModelInfo(
        "kagglekit.models.pretrained",
        InputKind.WAVEFORM,
        "arXiv:2104.01778",
        "MIT/ast-finetuned-speech-commands-v2",
    ),
    "wav2vec2": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2006.11477", "facebook/wav2vec2-base"
    ),
    "hubert": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2106.07447", "facebook/hubert-base-ls960"
    ),
    "wavlm": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2110.13900", "microsoft/wavlm-base-plus"
    ),
    "whisper": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2212.04356", "openai/whisper-tiny"
    ),
    # any checkpoint that the config names; without one, the smallest that is good
    "pretrained": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2110.01900", "ntu-spml/distilhubert"
    ),
}
"""The architectures, by name."""
