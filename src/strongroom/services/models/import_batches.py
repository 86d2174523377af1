"""Many small files of an import in one body: a line for each path, an empty line, then their bytes.

How long each is, the manifest said; so the body holds no lengths that could lie.
"""

from collections.abc import Iterable, Iterator, Mapping

from strongroom.errors import NotFoundError, TooLargeError, ValidationError
from strongroom.services.models.statements import ManifestFile

MAX_FILES = 200
MAX_BYTES = 32 << 20
"""Of all files together."""
MAX_HEAD_BYTES = MAX_FILES * 1_100


def batch_files(
    pieces: Iterable[bytes], announced: Mapping[str, ManifestFile]
) -> Iterator[tuple[ManifestFile, bytes]]:
    """The files of a body as they come, each with what was announced of it.

    Raises:
        NotFoundError: a path that was not announced. TooLargeError: too many files or bytes.
        ValidationError: a path twice, or bytes that are missing or left over.
    """
    source = _Pieces(pieces)
    files = _listed(source.head(), announced)
    for file in files:
        content = source.take(file.size)
        if len(content) < file.size:
            raise ValidationError(f"the body ends within `{file.path}`")
        yield file, content
    if source.take(1):
        raise ValidationError("bytes are left after the last file of the body")


def _listed(head: bytes, announced: Mapping[str, ManifestFile]) -> list[ManifestFile]:
    try:
        paths = head.decode().split("\n")
    except UnicodeDecodeError:
        raise ValidationError("the paths of the body are not UTF-8 text") from None
    if len(paths) > MAX_FILES:
        raise TooLargeError(f"one call brings at most {MAX_FILES} files")
    if len(set(paths)) < len(paths):
        raise ValidationError("the body names a path twice")
    files = []
    for path in paths:
        if path not in announced:
            raise NotFoundError(f"the import has no file `{path[:200]}`")
        files.append(announced[path])
    if sum(file.size for file in files) > MAX_BYTES:
        raise TooLargeError(
            f"one call brings at most {MAX_BYTES:,} bytes",
            next_step="send large files by themselves",
        )
    return files


class _Pieces:
    """Bytes that come in pieces, taken in any length."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()

    def head(self) -> bytes:
        """What stands before the first empty line."""
        while (end := self._held.find(b"\n\n")) < 0:
            if len(self._held) > MAX_HEAD_BYTES:
                raise TooLargeError("the paths of the body are too long")
            piece = next(self._pieces, None)
            if piece is None:
                raise ValidationError("the body has no empty line after its paths")
            self._held += piece
        if end > MAX_HEAD_BYTES:
            raise TooLargeError("the paths of the body are too long")
        found = bytes(self._held[:end])
        del self._held[: end + 2]
        return found

    def take(self, size: int) -> bytes:
        """So many bytes, or all that are left."""
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        found = bytes(self._held[:size])
        del self._held[:size]
        return found
