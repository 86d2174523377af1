"""Numbered changes to the form of the tables, applied by Alembic from `Database.migrate`."""
