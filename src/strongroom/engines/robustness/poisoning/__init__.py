"""Poisoning: wrong labels, triggers, bad sources, duplicates and outliers in a training table.

A `table` in, suspects out: `labels`, `triggers`, `sources`, `duplicates`, `outliers` look at the
data; `sweep` and `spectral` at a model of them; `assessment` makes tests of them, with canaries.
"""
