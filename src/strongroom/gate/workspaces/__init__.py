"""Tenants, members and roles."""
