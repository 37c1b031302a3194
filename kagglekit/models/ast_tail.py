"""The last layer and the head of an AST, for those tokens alone that the head hears.

An AST is classified by the mean of its first two tokens (Gong, Chung, Glass 2021,
https://arxiv.org/abs/2104.01778). So of the last layer the keys and values of all tokens are needed,
and everything else of these two: a fifteenth less to compute, with the same weights and logits. And as
two tokens cost nothing, they are spared bfloat16, which has three digits, and would leave logits with two.
"""

from __future__ import annotations

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

HEARD = 2  # the class token and the distillation token


def hear_two_tokens(network: PreTrainedModel) -> None:
    """Let the last layer of an AST give (batch, 2, dim); any other network stays as it is."""
    if isinstance(network, ASTForAudioClassification):
        # Other classes, not other modules: names of weights stay, and with them checkpoints.
        network.audio_spectrogram_transformer.layers[-1].__class__ = _LastLayer
        network.classifier.__class__ = _Head


class _LastLayer(ASTLayer):  # type: ignore[no-untyped-call]
    """As its parent, but for the tokens that come out."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor:
        """(batch, tokens, dim) to (batch, 2, dim)."""
        attention: Any = self.attention
        normed = self.layernorm_before(hidden_states)
        key, value = _heads(attention.k_proj(normed), attention), _heads(attention.v_proj(normed), attention)
        with torch.autocast(hidden_states.device.type, enabled=False):
            query = _heads(attention.q_proj(normed[:, :HEARD].float()), attention)
            dropout = attention.attention_dropout if self.training else 0.0
            heard = functional.scaled_dot_product_attention(
                query, key.float(), value.float(), attention_mask, dropout, scale=attention.scaling
            )
            attended = attention.o_proj(heard.transpose(1, 2).flatten(2))
            residual = hidden_states[:, :HEARD].float() + self.dropout(attended)
            out: Tensor = residual + self.dropout(self.mlp(self.layernorm_after(residual)))
        return out


class _Head(ASTMLPHead):
    """As its parent, in float32."""

    def forward(self, hidden_state: Tensor) -> Tensor:
        """(batch, dim) to logits (batch, classes)."""
        with torch.autocast(hidden_state.device.type, enabled=False):
            logits: Tensor = super().forward(hidden_state.float())  # type: ignore[no-untyped-call]
        return logits


def _heads(x: Tensor, attention: Any) -> Tensor:
    """(batch, tokens, heads * size) to (batch, heads, tokens, size)."""
    return x.view(*x.shape[:2], -1, attention.head_dim).transpose(1, 2)
