"""Strongroom: a self-hosted home for machine learning on sensitive data."""
