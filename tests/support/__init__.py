"""Fakes, generators and drivers that tests and benchmarks share."""
