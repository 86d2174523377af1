"""Cedar schema, policies and decisions."""
