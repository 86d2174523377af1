"""Drift: counts of two samples that merge exactly, and what the difference between them says."""
