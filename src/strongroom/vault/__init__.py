"""The only floor that touches disk, object store and database."""
