"""Several processes on this machine, and a Ray cluster of several."""
