"""A submission: its CSV, the upload, and the log of scores."""
