"""Judge model files without loading them."""
