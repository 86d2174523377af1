"""What every operation passes: identify, decide, do, record."""
