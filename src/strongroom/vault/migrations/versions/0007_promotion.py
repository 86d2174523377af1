"""Rules of promotion, signed decisions, and what becomes of old model versions."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, the columns and an index."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "model_policies",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("rules", sa.LargeBinary(), nullable=False),
        sa.Column("rules_key", sa.LargeBinary(), nullable=False),
        sa.Column("rules_key_version", number, nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_model_policies")),
    )
    op.create_index(op.f("ix_model_files_blob"), "model_files", ["blob"], unique=False)
    op.add_column("model_decisions", sa.Column("envelope", sa.LargeBinary(), nullable=True))
    op.add_column("model_entries", sa.Column("verified_at", UtcDateTime(), nullable=True))
    op.add_column("model_entries", sa.Column("deleted_at", UtcDateTime(), nullable=True))
