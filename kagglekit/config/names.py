"""Names that competition.yaml may contain: hosts, architectures, blending methods and decisions.

This file holds data and imports nothing, so that checking a config is quick. To add an entry, add its code
in the room named below and its line here; tests/config/test_names.py compares both.
"""

from enum import StrEnum
from typing import NamedTuple

HOSTS = {"kaggle": "kagglekit.hosts.kaggle", "local": "kagglekit.hosts.local"}
"""Host -> module with connect(config, folder)."""

METHODS = (
    *("mean", "geometric", "rank", "temperature", "pruned", "caruana", "greedy"),
    *("hillclimb", "hillclimb_negative", "logloss", "stacking"),
)
"""Blending methods, implemented in kagglekit.ensemble.methods."""

DECISIONS = (
    *("none", "filler", "bias", "threshold", "thresholds", "prior"),
    *("gate_energy", "gate_max_logit", "gate_disagreement", "gate_distance"),
    *("gate", "gate_bias", "gate_threshold", "gate_prior"),
)
"""Rules that turn a blend's probabilities into labels, implemented in kagglekit.ensemble.decisions."""

AUTO = "auto"
"""The method or decision that `kagglekit ensemble` chooses by nested cross-validation."""


class InputKind(StrEnum):
    """The input of a network."""

    LOG_MEL = "log_mel"
    """(batch, n_mels, frames), the natural logarithm of the mel power, not normalised."""
    WAVEFORM = "waveform"
    """(batch, samples), float32 in [-1, 1] at 16 kHz."""
    EMBEDDING = "embedding"
    """(batch, layers or steps, dim), the cached output of a frozen network."""


class ModelInfo(NamedTuple):
    """An entry of the architecture registry."""

    module: str
    """Module, imported only when the architecture is chosen."""
    input: InputKind
    """Input of the network; the head of a frozen network takes embeddings instead."""
    source: str
    """Paper: arXiv number or DOI."""
    checkpoint: str | None = None
    """Default pretrained checkpoint on the Hugging Face Hub; None if there is none."""
    extra: str | None = None
    """Extra of kagglekit that brings the pretrained weights; None if there is none."""


CASCADE = "cascade-"
"""Prefix: `cascade-gru` is two gru networks in sequence (kagglekit.models.cascade)."""

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
    "speech_embedding": ModelInfo(
        "kagglekit.models.speech_embedding", InputKind.LOG_MEL, "arXiv:2002.01322", extra="speech"
    ),
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
    # any checkpoint; the default is the smallest with a good score
    "pretrained": ModelInfo(
        "kagglekit.models.pretrained", InputKind.WAVEFORM, "arXiv:2110.01900", "ntu-spml/distilhubert"
    ),
}
"""Architecture -> registry entry."""
