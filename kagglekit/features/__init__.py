"""Log-mel spectrograms, Kaldi filterbanks and embeddings of frozen networks, and their caches."""
