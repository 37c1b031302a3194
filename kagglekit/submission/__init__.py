"""Submissions: write and check the CSV, send it once, and keep the log of scores."""
