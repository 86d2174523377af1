"""Masking: one method per column, chosen by a policy that a person can read."""
