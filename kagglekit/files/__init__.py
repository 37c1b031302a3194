"""The workspace on disk: paths, atomic writes, locks, keys, archives, tables."""
