"""Extraction: how well a copy of a model, learned from its answers, agrees with it."""
