"""A blob on its way: a draft being written, then bytes that are durable and not yet visible."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Self

from strongroom.engines.crypto.floe import BytesLike
from strongroom.errors import TooLargeError
from strongroom.vault.blob_reading import Sealing, associated_data
from strongroom.vault.folders import ID_LENGTH, Folder, Upload

_HASH_IN_THREAD = 1 << 17
_HASH_QUEUE = 4


@dataclass(slots=True, repr=False)
class StagedBlob:
    """Bytes that are durable and not visible yet; leaving its `with` uncommitted removes them.

    The `with` may be left before or after the transaction ends: the bytes follow the row.
    """

    id: str
    workspace: str
    kind: str
    size: int
    sealed_size: int
    sha256: str
    sealing: Sealing
    key: bytes
    upload: Upload
    settle: Callable[["StagedBlob"], None]
    is_pending: bool = False
    is_left: bool = False

    def __repr__(self) -> str:
        return f"StagedBlob({self.id}, {self.workspace}, {self.kind}, {self.size} bytes)"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_left = True
        if not self.is_pending:
            self.settle(self)


class BlobDraft:
    """A blob being written by someone who seals the bytes himself; see `BlobStore.create`."""

    def __init__(
        self,
        folder: Folder,
        workspace: str,
        kind: str,
        sealing: Sealing,
        *,
        max_bytes: int,
        settle: Callable[[StagedBlob], None],
    ) -> None:
        self.id = secrets.token_hex(ID_LENGTH // 2)
        self.workspace = workspace
        self.kind = kind
        self.sealing: Sealing = sealing
        self.key = secrets.token_bytes(32)
        self.associated_data = associated_data(workspace, self.id, kind)
        self.sealed_size = 0
        self._max_bytes = max_bytes
        # What sealing adds: a header, and 32 bytes to the MiB or to one page of Parquet.
        self._max_sealed_bytes = max_bytes + max_bytes // 256 + (1 << 20)
        self._settle = settle
        self._upload = folder.create(self.id)

    def write(self, content: BytesLike) -> None:
        """Add sealed bytes. Raises StorageFullError, UnavailableError, TooLargeError."""
        self.sealed_size += len(content)
        if self.sealed_size > self._max_sealed_bytes:
            raise TooLargeError(f"a blob may have {self._max_bytes} bytes")
        self._upload.write(memoryview(content))

    def finish(self, size: int, digest: bytes) -> StagedBlob:
        """Make the bytes durable; `digest` is the SHA-256 that readers will be promised."""
        self._upload.finish()
        return StagedBlob(
            id=self.id,
            workspace=self.workspace,
            kind=self.kind,
            size=size,
            sealed_size=self.sealed_size,
            sha256=digest.hex(),
            sealing=self.sealing,
            key=self.key,
            upload=self._upload,
            settle=self._settle,
        )

    def discard(self) -> None:
        """Remove what was written."""
        self._upload.discard()


class HashedChunks:
    """Passes chunks on while their SHA-256 is computed, once they are large in another thread.

    Hashing costs six times what sealing costs; side by side the slower one is all that is felt.
    """

    def __init__(self, chunks: Iterable[BytesLike], limit: int) -> None:
        self.size = 0
        self._chunks = chunks
        self._limit = limit
        self._hasher = sha256()
        self._queue: Queue[bytes | None] = Queue(_HASH_QUEUE)
        self._thread: Thread | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                content = chunk if isinstance(chunk, bytes) else bytes(chunk)
                self.size += len(content)
                if self.size > self._limit:
                    raise TooLargeError(f"the upload has more than {self._limit} bytes")
                if self._thread is not None:
                    self._queue.put(content)
                elif len(content) < _HASH_IN_THREAD:
                    self._hasher.update(content)
                else:
                    self._queue.put(content)
                    self._thread = Thread(target=self._hash, name="blob-hash", daemon=True)
                    self._thread.start()
                yield content
        finally:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()

    def _hash(self) -> None:
        while (content := self._queue.get()) is not None:
            self._hasher.update(content)

    def digest(self) -> bytes:
        """SHA-256 of all that passed, once iterating has ended."""
        return self._hasher.digest()
