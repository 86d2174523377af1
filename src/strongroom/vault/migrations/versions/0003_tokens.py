"""Mask policies of datasets, the mask keys of workspaces, and their tokens."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "dataset_policies",
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("policy_key", sa.LargeBinary(), nullable=False),
        sa.Column("policy_key_version", number, nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"],
            ["dataset_names.id"],
            name=op.f("fk_dataset_policies_dataset_dataset_names"),
        ),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_dataset_policies")),
    )
    op.create_table(
        "mask_keys",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("mask_key", sa.LargeBinary(), nullable=False),
        sa.Column("mask_key_version", number, nullable=False),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_mask_keys")),
    )
    op.create_table(
        "mask_tokens",
        sa.Column("drawer", sa.String(length=32), nullable=False),
        sa.Column("lookup", sa.LargeBinary(length=32), nullable=False),
        sa.Column("token", sa.String(length=200), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("drawn_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("drawer", "lookup", name=op.f("pk_mask_tokens")),
        sa.UniqueConstraint("drawer", "token", name=op.f("uq_mask_tokens_drawer_token")),
    )
    op.create_index(op.f("ix_mask_tokens_workspace"), "mask_tokens", ["workspace"], unique=False)
    op.create_index(op.f("ix_mask_tokens_dataset"), "mask_tokens", ["dataset"], unique=False)
