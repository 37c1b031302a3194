"""Notebooks for competitions that take no CSV: build a folder, rehearse it offline, and push it."""
