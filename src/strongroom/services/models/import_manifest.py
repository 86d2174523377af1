"""What an import says that it will send: lines `sha256 size path`, as a manifest is digested."""

import re
from collections.abc import Iterable, Mapping

from strongroom.errors import TooLargeError, ValidationError
from strongroom.services.models.registered_files import MAX_FILES, check_names
from strongroom.services.models.statements import ManifestFile

MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = 1 << 40
MAX_IMPORT_BYTES = 1 << 40
"""Of all files together; what the disk can take, the disk says."""
_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,14}) (.+)")


def read_manifest(text: str, most_file_bytes: int) -> tuple[ManifestFile, ...]:
    """The files of a manifest, sorted by path.

    Raises:
        ValidationError: a line that is none, two files of one name, or a name that leaves the
            folder or hides what it is; one content with two sizes.
        TooLargeError: too many files, too many bytes.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_FILES:
        raise TooLargeError(f"a model may have {MAX_FILES} files")
    files = []
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValidationError(
                f"line {number} of the manifest is not `sha256 size path`",
                next_step="write 64 small hexadecimal digits, the bytes and the path, one space "
                "between them",
            )
        files.append(ManifestFile(match[3], int(match[2]), match[1]))
    check_names([file.path for file in files])
    sizes: dict[str, int] = {}
    for file in files:
        if sizes.setdefault(file.sha256, file.size) != file.size:
            raise ValidationError(f"`{file.path}` has the digest of a file of another size")
        if file.size > most_file_bytes:
            raise TooLargeError(f"a file of a model may have {most_file_bytes} bytes")
    if sum(sizes.values()) > MAX_IMPORT_BYTES:
        raise TooLargeError(f"the files of a model may have {MAX_IMPORT_BYTES} bytes")
    return tuple(sorted(files, key=lambda file: file.path))


def manifest_text(files: Iterable[ManifestFile]) -> str:
    """The manifest of files; `manifest_digest` is the digest of it."""
    ordered = sorted(files, key=lambda file: file.path)
    return "".join(f"{file.sha256} {file.size} {file.path}\n" for file in ordered)


def first_of_each(files: Iterable[ManifestFile]) -> Mapping[str, ManifestFile]:
    """By digest, the first file of each content: only that one is sent."""
    found: dict[str, ManifestFile] = {}
    for file in files:
        found.setdefault(file.sha256, file)
    return found
