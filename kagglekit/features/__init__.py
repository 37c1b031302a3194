"""Spectral features, batched in torch, and their cache."""
