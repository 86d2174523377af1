"""Imports of models that are under way."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "model_imports",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("begun_by", sa.String(length=64), nullable=False),
        sa.Column("begun_at", UtcDateTime(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
        sa.Column("manifest", sa.String(), nullable=False),
        sa.Column("version", number, nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest"], ["blobs.id"], name=op.f("fk_model_imports_manifest_blobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_imports")),
    )
    for column in ("begun_by", "touched_at"):
        op.create_index(op.f(f"ix_model_imports_{column}"), "model_imports", [column], unique=False)
    op.create_table(
        "model_import_files",
        sa.Column("upload", sa.String(length=28), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["blob"], ["blobs.id"], name=op.f("fk_model_import_files_blob_blobs")
        ),
        sa.ForeignKeyConstraint(
            ["upload"],
            ["model_imports.id"],
            name=op.f("fk_model_import_files_upload_model_imports"),
        ),
        sa.PrimaryKeyConstraint("upload", "path", name=op.f("pk_model_import_files")),
    )
    op.create_index(
        op.f("ix_model_import_files_blob"), "model_import_files", ["blob"], unique=False
    )
