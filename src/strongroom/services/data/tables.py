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


class DatasetPolicyRow(Base):
    """The mask policy of a dataset that has one of its own; see `policies.py`."""

    __tablename__ = "dataset_policies"

    dataset: Mapped[str] = mapped_column(ForeignKey("dataset_names.id"), primary_key=True)
    policy: Mapped[bytes] = mapped_column(LargeBinary)
    policy_key: Mapped[bytes] = mapped_column(LargeBinary)
    policy_key_version: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]


class CustomTypesRow(Base):
    """The semantic types that a workspace has of its own; see `custom_types.py`."""

    __tablename__ = "custom_types"

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    types: Mapped[bytes] = mapped_column(LargeBinary)
    types_key: Mapped[bytes] = mapped_column(LargeBinary)
    types_key_version: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]


class AskedColumns:
    """What is the same of every assessment: what was asked of a job, and how it stands."""

    id: Mapped[str] = mapped_column(String(28), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    verdict: Mapped[str] = mapped_column(String(8), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    wish: Mapped[str | None] = mapped_column(String(32))
    """Blob of what was asked for: plan and rows; gone once it has ended."""
    kept: Mapped[str | None] = mapped_column(String(32))
    """Blob of the tests that have run, for a job that goes on; gone once it has ended."""
    report: Mapped[str | None] = mapped_column(String(32))
    job: Mapped[str] = mapped_column(String(28))
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class DatasetAssessmentRow(AskedColumns, Base):
    """One search of a version for poison.

    What is believed of it is the signed statement that its job leaves, `envelope`; the row says
    where it stands and where its report lies.
    """

    __tablename__ = "dataset_assessments"

    dataset: Mapped[str] = mapped_column(ForeignKey("dataset_names.id"), index=True)
    version: Mapped[int]
    envelope: Mapped[bytes | None] = mapped_column(LargeBinary)


class MaskKeyRow(Base):
    """The key of a workspace from which those of purposes derive, across its datasets."""

    __tablename__ = "mask_keys"

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    mask_key: Mapped[bytes] = mapped_column(LargeBinary)
    mask_key_version: Mapped[int]


class MaskTokenRow(Base):
    """A token and, sealed, the value that it stands for; see `tokens.py`."""

    __tablename__ = "mask_tokens"
    __table_args__ = (UniqueConstraint("drawer", "token"),)

    drawer: Mapped[str] = mapped_column(String(32), primary_key=True)
    lookup: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    token: Mapped[str] = mapped_column(String(200))
    value: Mapped[bytes] = mapped_column(LargeBinary)
    workspace: Mapped[str] = mapped_column(String(63), index=True)
    dataset: Mapped[str] = mapped_column(String(32), index=True)
    """The dataset with which it goes; empty: it outlives any of them."""
    drawn_at: Mapped[datetime]


class PrivacyBudgetRow(Base):
    """How much may be learned of the people in a dataset; see `budget_ledger.py`.

    It goes by the name of the dataset and outlives it: who adds the same people again under that
    name goes on where they were.
    """

    __tablename__ = "privacy_budgets"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63), index=True)
    name: Mapped[str] = mapped_column(String(100))
    document: Mapped[bytes] = mapped_column(LargeBinary)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    key_version: Mapped[int]


class PrivacySpendRow(Base):
    """One spend from a budget, sealed; never changed, never removed."""

    __tablename__ = "privacy_spends"

    budget: Mapped[str] = mapped_column(ForeignKey("privacy_budgets.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1 on, without gaps."""
    spend: Mapped[bytes] = mapped_column(LargeBinary)
    head: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Digest of this row and all before it."""
