"""What a person sees and types: messages, progress bars, tables, shell completion."""
