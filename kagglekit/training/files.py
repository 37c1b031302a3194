"""Names of the files in a run's folder and in its folds' folders."""

WEIGHTS, STATE, META = "model.safetensors", "last.safetensors", "meta.json"
"""Of a fold: the EMA weights; what the next epoch starts from; what rebuilds the model, written last."""

OOF, TEST = "oof.parquet", "test.parquet"
"""Prediction tables of a fold and of a run (kagglekit.scoring.predictions). Where the label scheme has
thresholds, a fold's logits are those before the rule, a run's those after it (training/thresholds.py)."""

METRICS, HISTORY, SETTINGS = "metrics.json", "history.parquet", "config.yaml"
"""Of a run: the scores, written last; one row per fold and epoch; the settings it was trained with."""

DECISION = "decision.json"
"""Of a run whose label scheme has thresholds: the rule and the chosen thresholds."""

MOVED = "moved.json"
"""Of a run that ran out of memory: the batch size of the run that replaces it."""
