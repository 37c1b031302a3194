"""Work in several processes on this machine, and on a Ray cluster of several machines."""
