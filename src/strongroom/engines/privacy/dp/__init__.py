"""Differential privacy: noisy answers, and the count of what they cost."""
