"""Terminal output: messages and results, progress bars, tables, shell completion."""
