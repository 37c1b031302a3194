"""Train on an ensemble's predictions: pseudo-labels of test clips, and students of soft targets."""
