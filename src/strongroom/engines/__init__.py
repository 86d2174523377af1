"""Pure libraries: bytes, arrays and numbers in, results out; each useful on its own."""
