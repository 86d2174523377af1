"""What Alembic runs for each command; it only ever works on the connection it is given."""

from alembic import context

from strongroom.vault.migrations.run import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    # MLflow's tables share the database on SQLite and keep Alembic's own name for theirs.
    version_table=VERSION_TABLE,
    # SQLite can change a table only by copying it.
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
