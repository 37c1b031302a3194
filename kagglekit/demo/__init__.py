"""A spoken competition, synthesised offline."""
