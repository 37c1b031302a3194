"""Runs: train every fold, keep, read back, choose, predict, export."""
