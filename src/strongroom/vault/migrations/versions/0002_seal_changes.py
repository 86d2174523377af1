"""What makes a rollback felt: a journal of sealed changes, findings, and witnesses' signatures."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "seal_changes",
        sa.Column("position", number, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.Column("entry", number, nullable=True),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_seal_changes")),
    )
    op.create_index(op.f("ix_seal_changes_kind_subject"), "seal_changes", ["kind", "subject"])
    op.create_table(
        "integrity_findings",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=256), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.Column("entry", number, nullable=True),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_integrity_findings")),
    )
    op.create_table(
        "log_cosignatures",
        sa.Column("size", number, autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=255), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name=op.f("pk_log_cosignatures")),
    )
