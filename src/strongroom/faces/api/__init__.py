"""The HTTP/JSON control interface, derived from the declared operations."""
