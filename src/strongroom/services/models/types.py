"""Nouns of model versions: what is registered, what is asked, what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_LISTED = 1_000
MAX_FACTS_BYTES = 4 << 20

WorkspaceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$", max_length=63)
]
MODEL_NAME = r"[^/:\\\x00-\x1f\x7f]{1,256}"
ModelName = Annotated[str, StringConstraints(pattern=f"^{MODEL_NAME}$")]
"""As MLflow takes them: anything without slash, colon and control characters."""


class ModelState(StrEnum):
    """quarantined → checked → approved → retired, or rejected."""

    QUARANTINED = "quarantined"
    CHECKED = "checked"
    APPROVED = "approved"
    RETIRED = "retired"
    REJECTED = "rejected"


class Decision(StrEnum):
    """What was decided on a version; an approval is one of several that are asked for.

    An assessment is no decision of a person: it is what the tests said, signed like the others.
    """

    APPROVAL = "approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"
    DELETED = "deleted"
    ASSESSED = "assessed"


class CheckState(StrEnum):
    """How far the checks of a version are, for whoever waits for them."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class Serving(StrEnum):
    """How a version can be served."""

    UNDECIDED = "undecided"
    ONNX = "onnx"
    CONFINED = "confined"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelReference(_Request):
    """One version of a model."""

    workspace: WorkspaceName
    name: ModelName
    version: int = Field(ge=1, le=2**31 - 1, strict=False)


class ListModels(_Request):
    """Versions of the models of a workspace, by name, the newest version first."""

    workspace: WorkspaceName
    name: str = Field(default="", max_length=256, description="only the versions of this model")
    stale: bool = Field(
        default=False, strict=False, description="only those trained on data since erased"
    )
    deleted: bool = Field(default=False, strict=False, description="those that were deleted too")
    limit: int = Field(default=100, ge=1, le=MAX_LISTED, strict=False)


class ApproveModel(ModelReference):
    """Admit a checked version."""

    accept_findings: bool = Field(
        default=False, strict=False, description="admit it although the scan asks for a person"
    )
    comment: str = Field(default="", max_length=500, description="why; kept with the approval")
    purpose: str = Field(default="", max_length=200, description="what the model is for")


class DecideModel(ModelReference):
    """Reject or retire a version."""

    comment: str = Field(default="", max_length=500, description="why; kept with the decision")


class PullModel(ModelReference):
    """Files of a version: all of them as a tar, or one."""

    path: str = Field(default="", max_length=1_024, description="one file; all where none is named")
    signature: bool = Field(
        default=False, strict=False, description="put its signature into the tar, as model.sig"
    )


class ShowModelKey(_Request):
    """The public key of model signatures."""

    workspace: WorkspaceName


class CardForm(StrEnum):
    """How a model card is written."""

    MARKDOWN = "markdown"
    JSON = "json"


class ShowModelCard(ModelReference):
    """The card of a version."""

    form: CardForm = Field(default=CardForm.MARKDOWN, strict=False, description="how it is written")


class FindingShown(_Answer):
    """One finding of the scan."""

    rule_id: str
    title: str
    severity: str
    file: str
    offset: int | None
    says: str
    atlas: str


class DecisionShown(_Answer):
    """What a person decided."""

    decision: Decision
    by: str
    at: datetime
    comment: str


class FileShown(_Answer):
    """One file of a version; `blob` is where it lies in the blob store."""

    path: str
    size: int
    sha256: str
    blob: str


class RuleShown(_Answer):
    """One rule of promotion, and whether a version meets it.

    Attributes:
        rule: stable code.
        warns: it is met, and somebody should look all the same.
        says: how it is met, or why not.
    """

    rule: str
    is_met: bool
    warns: bool
    says: str
    next_step: str


class SourceShown(_Answer):
    """Data that a version was trained on.

    Attributes:
        version: 0 where it is not known.
        view: how it was read: clear or masked; empty where it is not known.
        state: present, erased since, or unknown: no dataset of this workspace.
    """

    name: str
    version: int
    view: str
    purpose: str
    state: str


class ModelVersion(_Answer):
    """A version in a list.

    Attributes:
        verdict: of the scan: clean, review, unreadable, malicious; empty before it.
        reason: why it is where it is, in a sentence; empty when all is well.
        digest: SHA-256 of its manifest; empty before the checks.
        is_deleted: its bytes are gone.
    """

    workspace: str
    name: str
    version: int
    state: ModelState
    verdict: str
    reason: str
    serving: Serving
    digest: str
    is_tampered: bool
    is_deleted: bool
    registered_by: str
    registered_at: datetime


class ModelVersions(_Answer):
    """Versions of models."""

    versions: list[ModelVersion]


class ModelDetail(ModelVersion):
    """All that is known of a version.

    Attributes:
        serving_reason: why it is not served as ONNX; empty if it is.
        signed_by: id of the key that signed it; empty before.
        facts: provenance as recorded at registration.
        approvals: ids of those who have approved it, while others are waited for.
        rules: of the workspace, as this version meets them now; empty unless it is checked.
        trained_on: the data, as it stands now.
        is_stale: trained on data that was erased since.
    """

    serving_reason: str
    features: list[str]
    classes: list[str]
    files: list[FileShown]
    findings: list[FindingShown]
    decisions: list[DecisionShown]
    signed_by: str
    facts: dict[str, object]
    tampered_reason: str
    approvals: list[str]
    rules: list[RuleShown]
    trained_on: list[SourceShown]
    is_stale: bool


class SignedStatement(_Answer):
    """The in-toto statement of a version in its DSSE envelope, and the key to check it with."""

    envelope: str
    approval: str
    public_key: str
    key_id: str


class Verified(_Answer):
    """A version whose bytes and signatures are as they were."""

    workspace: str
    name: str
    version: int
    digest: str
    files: int
    bytes: int
    key_id: str


# ---- inside ----


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model, sealed already; `path` is relative to the model's folder."""

    path: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a version comes from, as recorded by whoever registers it; kept sealed and signed.

    Attributes:
        datasets: `name@digest` of the datasets that its run has seen.
        parameters: of its training.
        metrics: what its run measured; finite.
        code_source, code_commit: where the code lies, and its git commit, as the run says.
        started_at, ended_at: of the run, RFC 3339; empty where they are not known.
    """

    run_id: str = ""
    experiment: str = ""
    source: str = ""
    datasets: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    code_source: str = ""
    code_commit: str = ""
    started_at: str = ""
    ended_at: str = ""

    def facts(self) -> dict[str, object]:
        """As JSON."""
        return {
            "run_id": self.run_id,
            "experiment": self.experiment,
            "source": self.source,
            "datasets": list(self.datasets),
            "parameters": dict(self.parameters),
            "metrics": dict(self.metrics),
            "code_source": self.code_source,
            "code_commit": self.code_commit,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }


@dataclass(frozen=True, slots=True)
class Checked:
    """How the checks of a version stand, with the reason where they failed or have to wait."""

    state: CheckState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servable:
    """An approved model version whose bytes were verified just now.

    Attributes:
        digest: hex, of the signed manifest.
        onnx: its exact ONNX form; None when it can only run confined.
        files: the original files by name, for the confined form; bytes stay off the disk.
        features: names in order.
        feature_types: `FP32`, `INT64`, `BOOL` or `BYTES` for each feature.
        classes: labels of a classifier in the order of the probabilities; empty for a regressor.
    """

    model: str
    version: int
    digest: str
    onnx: bytes | None
    features: tuple[str, ...]
    feature_types: tuple[str, ...]
    classes: tuple[str, ...] = ()
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
