"""Reading: bytes in, tables of Arrow batches out, as a stream and under limits."""
