"""Find personal data and mask it."""
