"""Seal and open streams, wrap keys, sign and verify."""
