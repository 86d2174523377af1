"""Model versions: scan, sign, approve."""
