"""Rows of datasets. What tells of the content (schema, findings) is sealed."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class DatasetRow(Base):
    """A name in a workspace, and the key under which its masked views hash."""

    __tablename__ = "dataset_names"
    __table_args__ = (UniqueConstraint("workspace", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63), index=True)
    name: Mapped[str] = mapped_column(String(100))
    mask_key: Mapped[bytes] = mapped_column(LargeBinary)
    mask_key_version: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))


class DatasetVersionRow(Base):
    """One version: a table in the blob store and what was found in it.

    `record` is the sealed JSON of schema, findings and options, see `sealed_record.py`;
    `record_key` its wrapped key.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset", "fingerprint"),)

    dataset: Mapped[str] = mapped_column(ForeignKey("dataset_names.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blob: Mapped[str] = mapped_column(String(32), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Keyed digest of content and options: tells equal uploads, and nothing without the key."""
    rows: Mapped[int]
    columns: Mapped[int]
    personal_columns: Mapped[int]
    record: Mapped[bytes] = mapped_column(LargeBinary)
    record_key: Mapped[bytes] = mapped_column(LargeBinary)
    record_key_version: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(200))
    legal_basis: Mapped[str] = mapped_column(String(32))
    retention_days: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))


class ColumnOverrideRow(Base):
    """What a person said a column holds; it outlives versions."""

    __tablename__ = "dataset_column_overrides"

    dataset: Mapped[str] = mapped_column(ForeignKey("dataset_names.id"), primary_key=True)
    column: Mapped[str] = mapped_column(String(256), primary_key=True)
    type: Mapped[str | None] = mapped_column(String(64))
    decided_by: Mapped[str] = mapped_column(String(64))
    decided_at: Mapped[datetime]
