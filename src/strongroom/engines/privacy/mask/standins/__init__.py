"""Invented values that look like names, places, addresses and numbers, the same for the same."""
