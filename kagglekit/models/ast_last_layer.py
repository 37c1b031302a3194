"""Compute an AST's last layer for the two tokens that its head takes.

The head takes the mean of the first two tokens (Gong, Chung, Glass 2021, https://arxiv.org/abs/2104.01778).
So the last layer needs keys and values of all tokens, but everything else for these two alone: a fifteenth
less to compute, with the same weights and logits. Two tokens cost next to nothing in float32, which keeps
the logits' digits where the network runs in bfloat16.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.models.audio_spectrogram_transformer.modeling_audio_spectrogram_transformer import (
    ASTForAudioClassification,
    ASTLayer,
    ASTMLPHead,
)

TOKENS = 2  # the class token and the distillation token


def keep_two_tokens(network: PreTrainedModel) -> None:
    """Make the last layer of an AST return (batch, 2, dim); leave any other network as it is."""
    if isinstance(network, ASTForAudioClassification):
        # Changing the classes keeps the modules, their weights' names and so the checkpoints.
        network.audio_spectrogram_transformer.layers[-1].__class__ = _LastLayer
        network.classifier.__class__ = _Float32Head


class _LastLayer(ASTLayer):  # type: ignore[no-untyped-call]
    """The parent's layer for the first two tokens, in float32."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor:
        """(batch, tokens, dim) to (batch, 2, dim)."""
        attention: Any = self.attention
        normed = self.layernorm_before(hidden_states)
        key, value = _heads(attention.k_proj(normed), attention), _heads(attention.v_proj(normed), attention)
        with torch.autocast(hidden_states.device.type, enabled=False):
            query = _heads(attention.q_proj(normed[:, :TOKENS].float()), attention)
            dropout = attention.attention_dropout if self.training else 0.0
            context = functional.scaled_dot_product_attention(
                query, key.float(), value.float(), attention_mask, dropout, scale=attention.scaling
            )
            attended = attention.o_proj(context.transpose(1, 2).flatten(2))
            residual = hidden_states[:, :TOKENS].float() + self.dropout(attended)
            out: Tensor = residual + self.dropout(self.mlp(self.layernorm_after(residual)))
        return out


class _Float32Head(ASTMLPHead):
    """The parent's head, in float32."""

    def forward(self, hidden_state: Tensor) -> Tensor:
        """(batch, dim) to logits (batch, classes)."""
        with torch.autocast(hidden_state.device.type, enabled=False):
            logits: Tensor = super().forward(hidden_state.float())  # type: ignore[no-untyped-call]
        return logits


def _heads(x: Tensor, attention: Any) -> Tensor:
    """(batch, tokens, heads * size) to (batch, heads, tokens, size)."""
    return x.view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)
