"""Trains the model that finds names in text; see docs/name-model.md. Not part of the product."""
