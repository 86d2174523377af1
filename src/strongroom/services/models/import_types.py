"""Nouns of imports: a version that is sent file by file."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.services.models.types import ModelName, ModelState, WorkspaceName

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImportForm(StrEnum):
    """In which form a model lay where it was imported from."""

    MLFLOW = "mlflow"
    HUGGINGFACE = "huggingface"
    OCI = "oci"


class BeginImport(_Request):
    """Say which files a version will have."""

    workspace: WorkspaceName
    name: ModelName
    reuse: bool = Field(
        default=True, strict=False, description="take files from versions that you may pull"
    )


class ListImports(_Request):
    """Imports of the caller's own that are under way."""

    workspace: WorkspaceName


class ImportReference(_Request):
    """An import that was begun."""

    workspace: WorkspaceName
    name: ModelName
    id: str = Field(pattern="^imp_[0-9a-f]{24}$", description="as begin_import gave it")


class SendFile(ImportReference):
    """Send one file of an import."""

    path: str = Field(min_length=1, max_length=1_024, description="as the manifest has it")


class SendFiles(ImportReference):
    """Send many files of an import at once."""


class FinishImport(ImportReference):
    """Register what was sent."""

    digest: Digest = Field(description="of the manifest: SHA-256 of its lines, sorted by path")
    form: ImportForm = Field(strict=False, description="in which form the model lay")
    reuse: bool = Field(default=True, strict=False, description="as begin_import was told")


class ImportShown(_Answer):
    """An import, and what it lacks.

    Attributes:
        id: of the import.
        digest: of its manifest.
        files, bytes: in all.
        missing: paths to send; of files with the same content the first.
        missing_bytes: their size together.
        version: that it became; 0 while it is under way.
        expires_at: unless another file comes, it is swept then.
    """

    id: str
    version: int
    name: str
    digest: str
    files: int
    bytes: int
    missing: list[str]
    missing_bytes: int
    expires_at: datetime


class ImportUnderWay(_Answer):
    """An import in a list.

    Attributes:
        sent: files that have come.
    """

    id: str
    name: str
    sent: int
    begun_at: datetime
    expires_at: datetime


class Imports(_Answer):
    """Imports that are under way."""

    imports: list[ImportUnderWay]


class FileTaken(_Answer):
    """A file that lies sealed with its import."""

    path: str
    size: int
    sha256: str


class FilesTaken(_Answer):
    """Files that lie sealed with their import: how many, and their bytes together."""

    files: int
    bytes: int


class Imported(_Answer):
    """The version that an import became.

    Attributes:
        reused: files whose content lay in the workspace already.
    """

    workspace: str
    name: str
    version: int
    state: ModelState
    digest: str
    files: int
    bytes: int
    reused: int


class ImportDropped(_Answer):
    """An import that was given up.

    Attributes:
        files: that had been sent.
    """

    id: str
    files: int
