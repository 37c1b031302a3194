"""Names that competition.yaml may contain: hosts, metrics, architectures, blending methods and decisions.

This file holds data and imports nothing, so that checking a config is quick. To add an entry, add its code
in the room named below and its line here; tests/config/test_names.py compares both.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
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

WITHOUT_FILLER = ("none", "bias", "prior")
"""Those where there is no filler class."""

SET_DECISIONS = ("none", "threshold", "thresholds", "top_k")
"""Those where a row may have several classes, implemented in kagglekit.ensemble.set_decisions."""

SMOOTHINGS = ("none", "neighbours", "recording", "both")
"""Rules that join the rows of a recording, implemented in kagglekit.ensemble.smoothing."""

ALL_DECISIONS = tuple(dict.fromkeys(DECISIONS + SET_DECISIONS))

AUTO = "auto"
"""The method, smoothing or decision that `kagglekit ensemble` chooses by nested cross-validation."""


class Takes(StrEnum):
    """What a metric takes of a submission."""

    PROBABILITIES = "probabilities"
    RANKS = "ranks"
    """Scores of any monotone scale."""
    DECISIONS = "decisions"
    """Answers: a class, the k likeliest classes, or a set of classes."""


class MetricInfo(NamedTuple):
    """An entry of the metric registry."""

    kinds: tuple[str, ...]
    """Label kinds that it fits."""
    takes: Takes
    low: float | None = 0.0
    """Lowest value; None: unbounded."""
    high: float | None = 1.0
    lower_is_better: bool = False
    weighted: bool = True
    """Whether it is defined for rows of unequal weight."""
    parameters: Mapping[str, tuple[int | str, ...]] = MappingProxyType({})
    """Name -> the default, followed by the other choices; a number may be any number from 1."""


SINGLE, BOTH = ("single",), ("single", "multi")

METRICS = {
    "accuracy": MetricInfo(SINGLE, Takes.DECISIONS),
    "balanced_accuracy": MetricInfo(SINGLE, Takes.DECISIONS),
    "f1_macro": MetricInfo(BOTH, Takes.DECISIONS),
    "f1_micro": MetricInfo(BOTH, Takes.DECISIONS),
    "f1_rows": MetricInfo(BOTH, Takes.DECISIONS),
    "map_at_k": MetricInfo(BOTH, Takes.DECISIONS, parameters={"k": (3,)}),
    "lwlrap": MetricInfo(BOTH, Takes.RANKS),
    "average_precision": MetricInfo(BOTH, Takes.RANKS),
    "average_precision_micro": MetricInfo(BOTH, Takes.RANKS),
    "average_precision_padded": MetricInfo(BOTH, Takes.PROBABILITIES, weighted=False),
    "roc_auc": MetricInfo(BOTH, Takes.RANKS),
    "roc_auc_macro": MetricInfo(BOTH, Takes.RANKS),
    "roc_auc_micro": MetricInfo(BOTH, Takes.RANKS),
    "class_balanced_accuracy": MetricInfo(BOTH, Takes.DECISIONS),
    "log_loss": MetricInfo(BOTH, Takes.PROBABILITIES, high=None, lower_is_better=True),
    "kappa": MetricInfo(
        SINGLE, Takes.DECISIONS, low=-1.0, parameters={"weights": ("none", "linear", "quadratic")}
    ),
    "mcc": MetricInfo(SINGLE, Takes.DECISIONS, low=-1.0),
}
"""Metric -> registry entry, implemented in kagglekit.scoring.metrics."""

METRIC_ALIASES = {"map": "average_precision"}
"""Earlier name -> name."""

METRIC_KINDS = {name: info.kinds for name, info in METRICS.items()}
"""Metric -> label kinds that it fits."""

METRIC_PLUGINS = "kagglekit.metrics"
"""Group of entry points of installed packages: metrics by name."""
SHAPES = ("label", "top_k", "label_list", "probability", "probabilities", "long")
"""Shapes of a submission, implemented in kagglekit.scoring.shapes."""
OF_ANSWERS = ("label", "top_k", "label_list")
"""Shapes that hold answers, not probabilities."""


class LabelKind(StrEnum):
    """How many classes a row may have."""

    SINGLE = "single"
    MULTI = "multi"


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
    note: str = ""
    """What `kagglekit models` says of it besides: the licence of weights that are not free for every use."""


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
    "birdnet": ModelInfo(
        "kagglekit.models.birdnet",
        InputKind.EMBEDDING,
        "doi:10.1016/j.ecoinf.2021.101236",
        extra="birdnet",
        note="CC BY-NC-SA 4.0: no commercial use; 30 windows of 3 s a second and core",
    ),
    # any ONNX or TFLite file
    "embedder": ModelInfo("kagglekit.models.embedder", InputKind.EMBEDDING, "ONNX or TFLite file"),
}
"""Architecture -> registry entry."""

FAMILIES: dict[str, ModelInfo] = {
    "timm:": ModelInfo(
        "kagglekit.models.timm_network", InputKind.LOG_MEL, "doi:10.5281/zenodo.4414861", extra="timm"
    ),
}
"""Prefix of the names of another package's networks -> registry entry: `timm:resnet18` is timm's resnet18."""
FAMILY_MEMBER = "[a-z0-9_]+"
"""Regular expression of what follows the prefix; it can stand in a path and in `--set a.b=value`."""
