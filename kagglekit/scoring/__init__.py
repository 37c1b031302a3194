"""How good predictions are: metrics, the CV score and its parts, what it foretells."""
