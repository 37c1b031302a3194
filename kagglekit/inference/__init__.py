"""What runs in the host's notebook: from recordings to submission.csv, without torch and training code.

A wheel holds only what this room imports, so that the same source runs here and there.
"""
