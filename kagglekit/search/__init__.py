"""Hyperparameter search: the space of an architecture, its Optuna study, and the work on its trials."""
