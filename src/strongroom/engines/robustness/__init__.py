"""Attacks that measure a model, and guards that shield it.

Arrays and a function in, numbers out: rows are points of a `space`, a model is a `target` that
answers them and counts, a `recipe` fits further models, and each test ends in an `outcome`.
"""
