"""Anonymization: tables in which nobody stands alone, found, measured and verified."""
