"""The log: append, prove, checkpoint, verify."""
