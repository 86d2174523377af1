"""Membership inference: whether a row was in the training data, told from the model's answers."""
