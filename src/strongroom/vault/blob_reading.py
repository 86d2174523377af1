"""What is known of a blob, and reading it: by ranges, as a stream, as a file."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from strongroom.engines.crypto.floe import SealedReader
from strongroom.engines.crypto.wrapping import bind
from strongroom.vault.folders import Download
from strongroom.vault.keys import Lease

Sealing = Literal["floe-1", "parquet-1"]


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a blob is.

    Attributes:
        id: 32 hex digits.
        workspace: whose key seals it.
        kind: what it holds, a word of the room that made it.
        size: bytes of plaintext; of an encrypted table, bytes of its file.
        sealed_size: bytes as stored.
        sha256: of the plaintext, hex; of an encrypted table, of its file.
        created_at: when its row was made, UTC.
    """

    id: str
    workspace: str
    kind: str
    size: int
    sealed_size: int
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class OpenedBlob:
    """A blob whose key was unwrapped: what `BlobReader` and encrypted tables read from."""

    info: BlobInfo
    key: bytes
    sealing: Sealing
    associated_data: bytes
    download: Download
    lease: Lease


class BlobReader:
    """Reads one blob; every byte is verified before it is given out.

    Raises:
        TamperedError: in any read, on any change of the bytes.
        KeyUnavailableError: in any read, once the workspace's key is disabled or destroyed; at
            the latest after the keyring's `cache_seconds`.
    """

    def __init__(self, opened: OpenedBlob) -> None:
        self.info = opened.info
        self.size = opened.info.size
        self.sha256 = opened.info.sha256
        self._download = opened.download
        self._lease = opened.lease
        self._reader = SealedReader(
            opened.key,
            opened.associated_data,
            self._download.read_range,
            opened.info.sealed_size,
        )

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`, `length` of them or fewer at the end."""
        self._lease.check()
        return self._reader.read(offset, length)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end` in order, at most 1 MiB at a time."""
        self._lease.check()
        for chunk in self._reader.chunks(start, end):
            yield chunk
            self._lease.check()

    def file(self) -> io.BufferedReader:
        """A seekable binary file over the blob, for libraries that want one."""
        return io.BufferedReader(_BlobFile(self), 1 << 16)

    def close(self) -> None:
        """Let go of the file."""
        self._download.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _BlobFile(io.RawIOBase):
    """`io`'s view of a blob."""

    def __init__(self, reader: BlobReader) -> None:
        super().__init__()
        self._reader = reader
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        if base + offset < 0:
            raise ValueError("a position is never negative")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # io passes a memoryview, typeshed says Buffer
        content = self._reader.read(self._at, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def associated_data(workspace: str, blob_id: str, kind: str) -> bytes:
    """What a blob's sealed bytes are bound to."""
    return bind("strongroom blob", 1, workspace, blob_id, kind)
