"""The Audio Spectrogram Transformer's filterbank: ours, batched in torch, against ASTFeatureExtractor.

    python benchmarks/bench_fbank.py [--rounds N]

The extractor computes in numpy here: with torchaudio, which does not load beside this torch, it would use
Kaldi's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from bench_logmel import clips
from harness import THREADS, Figure, Peer, Row, arguments, rates, ratios, report, take_turns, timed
from transformers import ASTFeatureExtractor

from kagglekit.features.logmel import FULL_SCALE
from kagglekit.models.extractors import build_extractor

CLIPS, MAX_LENGTH, TOLERANCE = 1024, 128, 1e-3  # frames, as MIT/ast-finetuned-speech-commands-v2 has them


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(THREADS)
    waveform = clips()[:CLIPS].float() / FULL_SCALE
    extractor = build_extractor(ASTFeatureExtractor(max_length=MAX_LENGTH).to_dict(), "ast")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        source = Path(folder, "clips.npy")
        np.save(source, waveform.numpy())
        with Peer("fbank_ast.py", source, MAX_LENGTH) as peer:
            extractor(waveform)  # warm-up
            sides = {"ours": lambda: timed(lambda: extractor(waveform)), "theirs": peer}
            seconds = take_turns(sides, args.rounds)
            error = float(np.abs(peer.result(Path(folder, "made.npy")) - extractor(waveform).numpy()).max())
    figures = [
        Figure("as fast as ASTFeatureExtractor", ratios(seconds["theirs"], seconds["ours"]), least=10),
        Figure("largest difference", [error] * args.rounds, "", most=TOLERANCE),
        Figure("kagglekit", rates(CLIPS, seconds["ours"]), "clips/s"),
        Figure("ASTFeatureExtractor", rates(CLIPS, seconds["theirs"]), "clips/s"),
    ]
    report(Row("fbank", "AST filterbank", "bench_fbank.py", figures, [f"{CLIPS} clips of a second"]))


if __name__ == "__main__":
    main()
