"""Files on disk: workspace paths, atomic writes, locks, keys, archives, tables, the sample submission."""
