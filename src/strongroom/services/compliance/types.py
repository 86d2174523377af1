"""Nouns of compliance: what may be asked of the log, and what is given out."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_ENTRIES = 500

_WORKSPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$"
_MAX_INDEX = 2**63 - 1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _InWorkspace(_Request):
    workspace: str = Field(pattern=_WORKSPACE, max_length=63)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TailLog(_InWorkspace):
    """The newest entries of a workspace."""

    limit: int = Field(default=20, ge=1, le=MAX_ENTRIES, strict=False)


class TailServerLog(_Request):
    """The newest entries about the server itself."""

    limit: int = Field(default=20, ge=1, le=MAX_ENTRIES, strict=False)


class SearchLog(_InWorkspace):
    """Entries of a workspace that fit all that is given, newest first."""

    actor: str | None = Field(default=None, max_length=128, description="id of who did it")
    resource_type: str | None = Field(
        default=None, max_length=64, description="kind of resource, e.g. `Dataset`"
    )
    resource: str | None = Field(
        default=None, max_length=512, description="id of the resource, with its type"
    )
    action: str | None = Field(default=None, max_length=64)
    outcome: Literal["allowed", "refused", "failed"] | None = None
    since: datetime | None = Field(default=None, strict=False, description="not before this time")
    until: datetime | None = Field(default=None, strict=False, description="before this time")
    before: int | None = Field(
        default=None,
        ge=0,
        le=_MAX_INDEX,
        strict=False,
        description="only entries at a smaller place: the last of the page before",
    )
    limit: int = Field(default=100, ge=1, le=MAX_ENTRIES, strict=False)


class ProveEntry(_InWorkspace):
    """One entry of a workspace, by its place in the log."""

    index: int = Field(ge=0, le=_MAX_INDEX, strict=False)


class VerifyLog(_InWorkspace):
    """The log that holds the workspace's entries."""


class ExportLog(_InWorkspace):
    """The log, with the entries of this workspace."""


class ResolveFinding(_Request):
    """A finding that is dealt with; `kind` and `subject` as `audit.findings` shows them."""

    kind: str = Field(min_length=1, max_length=32)
    subject: str = Field(min_length=1, max_length=128)
    reason: str = Field(
        min_length=1, max_length=200,
        description="what was done; it stays in the log, so nothing personal",
    )  # fmt: skip


class LogEntry(_Answer):
    """One entry of the log."""

    index: int
    time: datetime
    workspace: str
    actor_kind: str
    actor: str
    credential: str
    operation: str
    action: str
    resource_type: str
    resource: str
    audit_class: str
    request_id: str
    outcome: str
    reason: str
    policies: tuple[str, ...]
    details: dict[str, str | int | float | bool]


class LogPage(_Answer):
    """Entries, newest first."""

    entries: tuple[LogEntry, ...]


class IntegrityFinding(_Answer):
    """Something that was found changed outside the server.

    `index` is the place of its record in the log.
    """

    kind: str
    subject: str
    reason: str
    found_at: datetime
    index: int | None


class FindingPage(_Answer):
    """What is not repaired yet, oldest first."""

    findings: list[IntegrityFinding]


class LogReceipt(_Answer):
    """An entry, and the proof that it is in the log.

    `receipt` is a C2SP tlog-proof: saved as a file, `strongroom verify` checks it offline
    against `log_key`.
    """

    entry: LogEntry
    receipt: str
    log_key: str


class VerifiedLog(_Answer):
    """What a check of every entry, tile and checkpoint in the database found to be so."""

    size: int
    root: str = Field(description="root hash of the tree, hexadecimal")
    checkpoint: str = Field(description="the signed checkpoint (C2SP signed note)")
    older_sizes: tuple[int, ...] = Field(description="older signed checkpoints that hold")
    log_key: str
