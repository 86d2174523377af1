"""Evidence: the log as people and auditors ask for it."""
