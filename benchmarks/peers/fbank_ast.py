"""ASTFeatureExtractor, as it is: fbank_ast.py CLIPS MAX_LENGTH"""

from __future__ import annotations

import sys

import numpy as np
from serve import serve
from transformers import ASTFeatureExtractor

CLIPS = list(np.load(sys.argv[1]))
EXTRACTOR = ASTFeatureExtractor(max_length=int(sys.argv[2]))


def work() -> np.ndarray:
    return EXTRACTOR(CLIPS, sampling_rate=16_000, return_tensors="np")["input_values"]


if __name__ == "__main__":
    serve(work)
