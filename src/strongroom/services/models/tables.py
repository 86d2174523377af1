"""Rows of model versions. Report, signed statement and converted model lie in the blob store."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.services.data.tables import AskedColumns
from strongroom.vault.database import Base


class ModelEntryRow(Base):
    """One version of a model.

    `facts` is the sealed JSON of its provenance, `facts_key` the wrapped key. `statement` is the
    blob of the DSSE envelope that signs manifest and provenance, `approval` the envelope that
    signs the approval: a state that no signature backs is not believed.
    """

    __tablename__ = "model_entries"
    __table_args__ = (UniqueConstraint("workspace", "model", "version"),)

    id: Mapped[str] = mapped_column(String(28), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(256))
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(11), index=True)
    verdict: Mapped[str] = mapped_column(String(10), default="")
    reason: Mapped[str] = mapped_column(String(1000), default="")
    serving: Mapped[str] = mapped_column(String(9))
    serving_reason: Mapped[str] = mapped_column(String(500), default="")
    digest: Mapped[str] = mapped_column(String(64), default="")
    facts: Mapped[bytes] = mapped_column(LargeBinary)
    facts_key: Mapped[bytes] = mapped_column(LargeBinary)
    facts_key_version: Mapped[int]
    report: Mapped[str | None] = mapped_column(String(32))
    statement: Mapped[str | None] = mapped_column(String(32))
    onnx: Mapped[str | None] = mapped_column(String(32))
    approval: Mapped[bytes | None] = mapped_column(LargeBinary)
    job: Mapped[str] = mapped_column(String(28), default="")
    tampered_at: Mapped[datetime | None]
    tampered_reason: Mapped[str] = mapped_column(String(500), default="")
    registered_by: Mapped[str] = mapped_column(String(64))
    registered_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    """When every byte was last found to be as signed, or not; for the sweep."""
    deleted_at: Mapped[datetime | None]
    """Its bytes are gone; the row stays, so that the number is never another's."""


class ModelFileRow(Base):
    """One file of a version, and the blob that holds it."""

    __tablename__ = "model_files"

    entry: Mapped[str] = mapped_column(ForeignKey("model_entries.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(1024), primary_key=True)
    blob: Mapped[str] = mapped_column(String(32), index=True)


class ModelDecisionRow(Base):
    """What a person decided on a version, signed; only ever added to, see `decisions.py`."""

    __tablename__ = "model_decisions"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    entry: Mapped[str] = mapped_column(ForeignKey("model_entries.id"), index=True)
    decision: Mapped[str] = mapped_column(String(11))
    by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    comment: Mapped[str] = mapped_column(String(500))
    envelope: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The signed statement; None in rows from before decisions were signed."""


class ModelPolicyRow(Base):
    """The rules by which a workspace admits versions, sealed; see `promotion_policies.py`."""

    __tablename__ = "model_policies"

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    rules: Mapped[bytes] = mapped_column(LargeBinary)
    rules_key: Mapped[bytes] = mapped_column(LargeBinary)
    rules_key_version: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]


class ModelImportRow(Base):
    """A version that is being sent file by file, see `uploads.py`."""

    __tablename__ = "model_imports"

    id: Mapped[str] = mapped_column(String(28), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(256))
    begun_by: Mapped[str] = mapped_column(String(64), index=True)
    begun_at: Mapped[datetime]
    touched_at: Mapped[datetime] = mapped_column(index=True)
    manifest: Mapped[str] = mapped_column(ForeignKey("blobs.id"))
    version: Mapped[int] = mapped_column(default=0)
    """That it became; 0 before."""


class ModelImportFileRow(Base):
    """One file that has come, and the blob that holds it."""

    __tablename__ = "model_import_files"

    upload: Mapped[str] = mapped_column(ForeignKey("model_imports.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(1024), primary_key=True)
    blob: Mapped[str] = mapped_column(ForeignKey("blobs.id"), index=True)


class ModelPlanRow(Base):
    """The plan of a kind of assessment in a workspace, sealed; see `assessment_plans.py`."""

    __tablename__ = "model_plans"

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    plan: Mapped[bytes] = mapped_column(LargeBinary)
    plan_key: Mapped[bytes] = mapped_column(LargeBinary)
    plan_key_version: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]


class ModelAssessmentRow(AskedColumns, Base):
    """One assessment of a version.

    What is believed of it is the signed decision that its job leaves (`decisions.py`); this row
    says where it stands and where its report lies.
    """

    __tablename__ = "model_assessments"

    entry: Mapped[str] = mapped_column(ForeignKey("model_entries.id"), index=True)


class ModelGuardRow(Base):
    """The guard of a version: which blob holds it, and how its fitting stands; see `guards.py`.

    `wish` is the blob of what was asked for, gone once the fitting has ended.
    """

    __tablename__ = "model_guards"

    entry: Mapped[str] = mapped_column(ForeignKey("model_entries.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(500), default="")
    wish: Mapped[str | None] = mapped_column(String(32))
    guard: Mapped[str | None] = mapped_column(String(32))
    job: Mapped[str] = mapped_column(String(28), default="")
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
