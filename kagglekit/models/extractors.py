"""Feature extractors of Hugging Face checkpoints, batched in torch, with the results of transformers'."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ASTFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from kagglekit.errors import ConfigError
from kagglekit.features.fbank import SAMPLE_RATE, KaldiFbank
from kagglekit.features.mel_matrices import MatrixFbank, MatrixPower


class ASTExtractor(nn.Module):
    """ASTFeatureExtractor."""

    original: Any = ASTFeatureExtractor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.fbank: nn.Module = KaldiFbank(settings["num_mel_bins"])
        self.max_length: int = settings["max_length"]
        normalise = settings["do_normalize"]
        self.mean: float = settings["mean"] if normalise else 0.0
        self.scale: float = 2 * settings["std"] if normalise else 1.0

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to (batch, max_length, n_mels), cut, or padded with zeros and then normalised."""
        fbank: Tensor = self.fbank(waveform)[:, : self.max_length]
        fbank = nn.functional.pad(fbank, (0, 0, 0, self.max_length - fbank.shape[1]))
        return fbank.sub_(self.mean).div_(self.scale)  # in place: padding, even by 0, makes a copy

    def without_fft(self, samples: int) -> None:
        """Use matrix products instead, which ONNX can hold, for clips of `samples`."""
        self.fbank = MatrixFbank(self.fbank.get_buffer("filters").shape[1], samples)


class Wav2Vec2Extractor(nn.Module):
    """Wav2Vec2FeatureExtractor, for clips of one length."""

    original: Any = Wav2Vec2FeatureExtractor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.do_normalize: bool = settings["do_normalize"]

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to the same, each clip with zero mean and unit variance."""
        if not self.do_normalize:
            return waveform
        variance, mean = torch.var_mean(waveform, dim=-1, correction=0, keepdim=True)
        return (waveform - mean) / torch.sqrt(variance + 1e-7)

    def without_fft(self, samples: int) -> None:
        """Change nothing: there is none."""


class WhisperExtractor(nn.Module):
    """WhisperFeatureExtractor."""

    original: Any = WhisperFeatureExtractor
    window: Tensor
    mel_filters: Tensor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.n_fft: int = settings["n_fft"]
        self.hop_length: int = settings["hop_length"]
        self.samples: int = settings["chunk_length"] * settings["sampling_rate"]
        self.matrices: nn.Module | None = None
        original = self.original.from_dict(dict(settings))
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("mel_filters", torch.tensor(original.mel_filters.T).float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to (batch, n_mels, frames) of chunk_length, cut or padded with zeros."""
        waveform = waveform[:, : self.samples]
        waveform = nn.functional.pad(waveform, (0, self.samples - waveform.shape[1]))
        power = self.power(waveform)[..., :-1]
        log_mel = (self.mel_filters @ power).clamp(min=1e-10).log10()
        loudest = log_mel.amax((1, 2), keepdim=True)
        scaled: Tensor = (torch.maximum(log_mel, loudest - 8.0) + 4.0) / 4.0
        return scaled

    def power(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to the power spectrum (batch, bins, frames)."""
        if self.matrices is not None:
            half = self.n_fft // 2
            padded = nn.functional.pad(waveform[:, None], (half, half), mode="reflect")[:, 0]
            power: Tensor = self.matrices(padded).transpose(1, 2)
            return power
        spectrum = torch.stft(waveform, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        return spectrum.abs().square()

    def without_fft(self, samples: int) -> None:
        """Use matrix products instead, which ONNX can hold, for clips of any length."""
        window = torch.hann_window(self.n_fft, dtype=torch.float64).diag()
        padded = self.samples + 2 * (self.n_fft // 2)
        self.matrices = MatrixPower(window, self.n_fft, self.hop_length, padded)


EXTRACTORS: dict[str, type[ASTExtractor | Wav2Vec2Extractor | WhisperExtractor]] = {
    kind.original.__name__: kind for kind in (ASTExtractor, Wav2Vec2Extractor, WhisperExtractor)
}
"""Name of the class in transformers -> ours."""


def build_extractor(preprocessor: Mapping[str, Any], name: str) -> nn.Module:
    """Build the feature extractor of checkpoint `name` from its settings.

    Raises:
        ConfigError: its kind or its sample rate is not supported.
    """
    kind = preprocessor.get("feature_extractor_type")
    if kind not in EXTRACTORS:
        raise ConfigError(
            f"checkpoint '{name}' prepares its input with {kind}", hint="supported: " + ", ".join(EXTRACTORS)
        )
    rate = preprocessor["sampling_rate"]
    if rate != SAMPLE_RATE:
        raise ConfigError(
            f"checkpoint '{name}' takes {rate} Hz, but kagglekit provides {SAMPLE_RATE} Hz",
            hint="choose a checkpoint trained at 16 kHz",
        )
    return EXTRACTORS[kind](preprocessor)
