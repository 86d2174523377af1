"""Semantic types of workspaces."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "custom_types",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("types", sa.LargeBinary(), nullable=False),
        sa.Column("types_key", sa.LargeBinary(), nullable=False),
        sa.Column("types_key_version", number, nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_custom_types")),
    )
