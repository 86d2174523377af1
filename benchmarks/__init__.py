"""Measurements against peers, in one run; ratios are what count."""
