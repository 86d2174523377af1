"""Queued work in confined subprocesses."""
