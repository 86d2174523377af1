"""Nouns of what is kept and given out of model versions, and of how two of them differ."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from strongroom.services.models.types import ModelReference, WorkspaceName

MAX_PRUNED = 500


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeleteVersion(ModelReference):
    """Delete the bytes of a version for good."""

    comment: str = Field(default="", max_length=500, description="why; kept with the decision")


class PruneModels(_Request):
    """Delete what the rules of the workspace no longer keep."""

    workspace: WorkspaceName
    name: str = Field(default="", max_length=256, description="only the versions of this model")
    delete: bool = Field(
        default=False, strict=False, description="delete them; else they are only shown"
    )
    limit: int = Field(
        default=100, ge=1, le=MAX_PRUNED, strict=False, description="versions in one call"
    )


class DeletedVersion(_Answer):
    """A version whose bytes are gone, or would go.

    Attributes:
        bytes: of its files that lie nowhere else.
        shared: files that a run holds as well: they stay there.
    """

    name: str
    version: int
    state: str
    reason: str
    files: int
    bytes: int
    shared: int


class Pruned(_Answer):
    """What went, or would go."""

    deleted: bool
    versions: list[DeletedVersion]


class ExportForm(StrEnum):
    """Forms of other registries."""

    MLFLOW = "mlflow"
    HUGGINGFACE = "huggingface"
    OCI = "oci"


class ExportVersion(ModelReference):
    """A version in the form of another registry."""

    form: ExportForm = Field(default=ExportForm.MLFLOW, strict=False, description="of the tar")


class CompareVersions(ModelReference):
    """Two versions of a model."""

    other: int = Field(ge=1, le=2**31 - 1, strict=False, description="the version to compare with")


class Difference(_Answer):
    """Something that is not the same; empty where one of them lacks it."""

    name: str
    before: str
    after: str


class Compared(_Answer):
    """How the second version differs from the first.

    Attributes:
        facts: state, verdict, serving, bytes, who registered it, rules that are not met.
        files: by path, with size and digest; `same_files`: how many are byte for byte the same.
    """

    name: str
    version: int
    other: int
    facts: list[Difference]
    files: list[Difference]
    same_files: int
    parameters: list[Difference]
    metrics: list[Difference]
    data: list[Difference]
    features: list[Difference]
    findings: list[Difference]
