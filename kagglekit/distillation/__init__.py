"""Learn from an ensemble: pseudo-labels of test clips, and small students."""
