"""Serving approved models behind limits and guards."""
