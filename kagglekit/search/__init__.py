"""Hyperparameter search around training."""
