"""What the files of a version must be before it is taken in."""

import unicodedata
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.scanning.archives import unsafe_name
from strongroom.engines.scanning.reading import Limits
from strongroom.errors import NotFoundError, TooLargeError, ValidationError
from strongroom.services.models.types import ModelFile
from strongroom.vault.blobs import BlobRow

MAX_FILES = 50_000
_ASKED_AT_ONCE = 500


def check_files(session: Session, workspace: str, files: Sequence[ModelFile]) -> None:
    """Return if these files may be a version of a model in `workspace`.

    Two names that some file system takes for one are refused: whoever pulls the model there
    would have one file in the place of the other.

    Raises:
        ValidationError: no files, two of one name, a name that leaves the folder or hides what
            it is, or a file of another workspace.
        TooLargeError: too many.
        NotFoundError: a file's bytes are not there.
    """
    if not files:
        raise ValidationError("a model has at least one file")
    if len(files) > MAX_FILES:
        raise TooLargeError(f"a model may have {MAX_FILES} files")
    check_names([file.path for file in files])
    for some in _batches(sorted({file.blob for file in files})):
        rows = session.execute(select(BlobRow.id, BlobRow.workspace).where(BlobRow.id.in_(some)))
        found = {row.id: row.workspace for row in rows}
        if missing := [blob for blob in some if blob not in found]:
            raise NotFoundError(f"there is no blob `{missing[0][:64]}`")
        if set(found.values()) != {workspace}:
            raise ValidationError("a file of the model lies in another workspace")


def _batches(blobs: list[str]) -> list[list[str]]:
    return [blobs[at : at + _ASKED_AT_ONCE] for at in range(0, len(blobs), _ASKED_AT_ONCE)]


def check_names(paths: Sequence[str]) -> None:
    """Return if files of these paths may lie in one folder, wherever it is unpacked.

    Raises:
        ValidationError: two of one name, or a name that leaves the folder or hides what it is.
    """
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for path in paths:
        why = unsafe_name(path, Limits())
        if why is not None:
            raise ValidationError(f"a file of the model {why}")
        parts = path.split("/")
        if {"", "."} & {*parts}:
            raise ValidationError(f"a file of the model is called `{path}`")
        # Windows drops points and spaces at the end of a name.
        plain = "/".join(part.rstrip(". ") or part for part in parts)
        folded = unicodedata.normalize("NFC", plain).casefold()
        if folded in seen:
            other = seen[folded]
            same = f"`{path}`" if other == path else f"`{other}` and `{path}`, which may be one"
            raise ValidationError(f"two files of the model are called {same}")
        seen[folded] = path
        folders.update(folded[:at] for at, char in enumerate(folded) if char == "/")
    if both := sorted(folders & seen.keys()):
        raise ValidationError(f"`{seen[both[0]]}` is a file of the model and a folder")
