"""Models whose parameters tell little of any one person."""
