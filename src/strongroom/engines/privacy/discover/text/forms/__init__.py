"""Forms that personal data has in running text, one file a family."""
