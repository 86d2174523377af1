"""Datasets, their findings and their views."""
