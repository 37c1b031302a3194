"""Small random Hugging Face checkpoints, saved as the real ones are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)


def save_tiny_ast(folder: Path, labels: Sequence[str]) -> Path:
    """An Audio Spectrogram Transformer of two layers, 64 mel bands and 98 frames padded to 112."""
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_mel_bins=64,
        max_length=112,
        **_names(labels),
    )
    ASTForAudioClassification(config).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=64, max_length=112).save_pretrained(folder)
    return folder


def save_tiny_wav2vec2(folder: Path, labels: Sequence[str], **changes: Any) -> Path:
    """A wav2vec 2.0 of two layers on the base model's convolutions, made narrow."""
    torch.manual_seed(0)
    Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**_narrow(labels) | changes)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def save_tiny_hubert(folder: Path, labels: Sequence[str]) -> Path:
    """A HuBERT of two layers; like the base model's, its input is not normalised."""
    torch.manual_seed(0)
    HubertForSequenceClassification(HubertConfig(**_narrow(labels))).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def save_tiny_wavlm(folder: Path, labels: Sequence[str]) -> Path:
    """A WavLM of two layers, with a normalised layer before each as in the large model."""
    torch.manual_seed(0)
    config = WavLMConfig(**_narrow(labels), do_stable_layer_norm=True, feat_extract_norm="layer")
    WavLMForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def save_tiny_whisper(folder: Path, labels: Sequence[str], seconds: int = 1) -> Path:
    """An encoder of Whisper of two layers that hears `seconds`."""
    torch.manual_seed(0)
    WhisperForAudioClassification(tiny_whisper(labels, seconds)).save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=seconds).save_pretrained(folder)
    return folder


def tiny_whisper(labels: Sequence[str], seconds: int = 1) -> WhisperConfig:
    """Its settings; a second is 50 positions."""
    return WhisperConfig(
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=50,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        max_source_positions=50 * seconds,
        init_std=0.2,  # of so small a network; with less, all clips are one to it
        classifier_proj_size=16,
        **_names(labels),
    )


SAVE: dict[str, Callable[[Path, Sequence[str]], Path]] = {
    "ast": save_tiny_ast,
    "wav2vec2": save_tiny_wav2vec2,
    "hubert": save_tiny_hubert,
    "wavlm": save_tiny_wavlm,
    "whisper": save_tiny_whisper,
}
"""By the name that the registry has for such a checkpoint."""


def _narrow(labels: Sequence[str]) -> dict[str, Any]:
    """Settings that wav2vec 2.0, HuBERT and WavLM have in common."""
    return {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "classifier_proj_size": 16,
        "layerdrop": 0.0,  # a layer left out in a step has no gradient
        "mask_time_prob": 0.0,
        **_names(labels),
    }


def _names(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
