"""The verbs of the product, one room a feature."""
