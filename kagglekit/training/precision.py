"""Choose the precision of training by the hardware."""

from __future__ import annotations

import torch


def bf16_is_native() -> bool:
    """Whether the hardware multiplies bfloat16: GPUs since Ampere, CPUs with AVX512-BF16 or AMX.

    There, the architectures train 1.1 to 4 times as fast in bfloat16 (docs/LOG.md); elsewhere it is emulated,
    and slower than float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch 2.13 has private names for these; without them, float32 is the safe choice
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(check is not None and check() for check in checks)
