"""The whole log as one zip, for anyone who holds the log's key to verify offline.

The zip is laid out as C2SP tlog-tiles says, so that other tools for such logs read it too;
docs/log.md describes it. It holds the entries in clear: whoever receives it may read them.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from strongroom.engines.ledger.hashing import HASH_BYTES
from strongroom.engines.ledger.tiles import tiles_of
from strongroom.engines.ledger.verification import CHECKPOINT, OLDER
from strongroom.errors import NotFoundError
from strongroom.gate.audit.integration import latest_checkpoint
from strongroom.gate.audit.reading import LogReader

if TYPE_CHECKING:
    from typing_extensions import Buffer


def export(log: LogReader, workspaces: frozenset[str] | None = None) -> Iterator[bytes]:
    """The zip in pieces, made while it is read; one snapshot, however long that takes.

    Args:
        log: the log.
        workspaces: withhold the entries of all others; None shows everything.
    Raises: NotFoundError while the log is empty; TamperedError where an entry was changed in
        the database, then the zip stays unfinished and no verifier accepts it.
    """
    sink = _Sink()
    with log.snapshot() as session, ZipFile(sink, "w") as archive:
        checkpoint, note = latest_checkpoint(session, log.key)
        if not note:
            raise NotFoundError("the log is empty")
        source = log.source(session, workspaces)
        # Stored, not compressed: inflating would cost the verifier more than all its hashing.
        archive.writestr(member(CHECKPOINT), note)
        for size in source.older_sizes:
            archive.writestr(member(f"{OLDER}{size}"), source.note(f"{OLDER}{size}"))
        for bundle, packed, _ in source.bundles(checkpoint.size):
            archive.writestr(member(bundle.path), packed)
            yield sink.take()
        for name in tiles_of(checkpoint.size):
            archive.writestr(member(name.path), source.tile(name)[: name.width * HASH_BYTES])
            yield sink.take()
    yield sink.take()


def member(name: str) -> ZipInfo:
    """A stored member of a zip of the log."""
    # One date for all members: the same log gives the same zip.
    info = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = ZIP_STORED
    info.external_attr = 0o600 << 16
    return info


class _Sink(io.RawIOBase):
    """A file that only grows, read off piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is for nothing else."""
        return True

    def write(self, data: "Buffer", /) -> int:
        """Take what the zip writes."""
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """What has come since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
