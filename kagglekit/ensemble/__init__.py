"""Blend the predictions of several runs, decide between classes, and score both by nested CV."""
