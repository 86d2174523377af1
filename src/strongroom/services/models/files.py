"""Reading the sealed files of a version: for the scanner, for hashing, for pulling."""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Self

from strongroom.engines.scanning.reading import SeekableOpener
from strongroom.errors import TamperedError
from strongroom.services.models.statements import ManifestFile
from strongroom.services.models.tables import ModelFileRow
from strongroom.vault.blob_reading import BlobReader
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

_TAR_BLOCK = 512


class ModelFiles:
    """The files of one version; at most one blob is open at a time."""

    def __init__(self, database: Database, blobs: BlobStore, rows: Sequence[ModelFileRow]) -> None:
        self._database = database
        self._blobs = blobs
        self._rows: Mapping[str, str] = {row.path: row.blob for row in rows}
        self._open: tuple[str, BlobReader] | None = None

    @property
    def paths(self) -> list[str]:
        """Names of the files."""
        return list(self._rows)

    def reader(self, path: str) -> BlobReader:
        """A reader of one file; the one before is closed.

        Raises: as `BlobStore.open`.
        """
        if self._open is not None and self._open[0] == path:
            return self._open[1]
        self.close()
        with self._database.read() as session:
            reader = self._blobs.open(session, self._rows[path])
        self._open = (path, reader)
        return reader

    def openers(self) -> list[tuple[str, SeekableOpener]]:
        """What the scanner asks for."""
        return [(path, partial(self._file, path)) for path in self._rows]

    def _file(self, path: str) -> io.BufferedReader:
        return self.reader(path).file()

    def manifest(self, pace: Callable[[int], None] | None = None) -> list[ManifestFile]:
        """Size and digest of each file, from its bytes.

        Args:
            pace: called with the size of each piece that was read.

        Raises:
            TamperedError: bytes are not what was sealed.
        """
        found = []
        for path in self._rows:
            reader = self.reader(path)
            hasher, size = sha256(), 0
            for chunk in reader.chunks():
                hasher.update(chunk)
                size += len(chunk)
                if pace is not None:
                    pace(len(chunk))
            digest = hasher.hexdigest()
            if digest != reader.sha256 or size != reader.size:
                raise TamperedError(f"the file `{path}` is not what was stored")
            found.append(ManifestFile(path, size, digest))
        return found

    def total_bytes(self) -> int:
        """Size of all files together."""
        with self._database.read() as session:
            return sum(self._blobs.info(session, blob).size for blob in self._rows.values())

    def contents(self) -> dict[str, bytes]:
        """All files in memory."""
        return {path: b"".join(self.reader(path).chunks()) for path in self._rows}

    def tar(self, more: Mapping[str, bytes] | None = None) -> Iterator[bytes]:
        """All files as one tar (POSIX pax), piece by piece; every piece was verified.

        Args:
            more: further files, by path.
        """
        try:
            for path in self._rows:
                reader = self.reader(path)
                info = tarfile.TarInfo(path)
                info.size, info.mode = reader.size, 0o644
                yield info.tobuf(tarfile.PAX_FORMAT)
                yield from reader.chunks()
                yield bytes(-reader.size % _TAR_BLOCK)
            for path, content in (more or {}).items():
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(content), 0o644
                yield info.tobuf(tarfile.PAX_FORMAT)
                yield content + bytes(-len(content) % _TAR_BLOCK)
            yield bytes(2 * _TAR_BLOCK)
        finally:
            self.close()

    def one(self, path: str) -> Iterator[bytes]:
        """One file, piece by piece."""
        try:
            yield from self.reader(path).chunks()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
