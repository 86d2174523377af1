"""Checks a whole exported log, offline: every entry, every tile, every signed checkpoint.

An export is a zip of files named as C2SP tlog-tiles names them:

    checkpoint              the signed checkpoint of the export
    checkpoints/<size>      older signed checkpoints that the log kept
    tile/entries/…          the entries, in bundles of 256
    tile/…                  the hash tiles

Steps, each raising TamperedError where it fails:
1. The checkpoint is signed by the log's key, and the zip holds exactly the files that a log of
   its size has.
2. Each entry is hashed and the tree built anew; each hash tile must come out as exported.
3. The root that comes out is the checkpoint's; where it is not, hash tiles that do lead to
   the signed root tell which entries were changed.
4. Each older checkpoint, from the zip or brought by the caller, is signed and is what the
   tree was at its size; else the log was forked or rewritten.

An export for readers of some entries only withholds the others: an empty entry stands in the
place of each, and its hash tile vouches for it. How many were withheld is part of the result.

What this cannot show: that the log is not cut off after an older checkpoint. For that, bring
the newest checkpoint you know.
"""

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import BinaryIO, Protocol
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from strongroom.engines.ledger.checkpoint import MAX_NOTE_BYTES, Checkpoint, LogKey
from strongroom.engines.ledger.hashing import HASH_BYTES, leaf_hashes
from strongroom.engines.ledger.tiles import (
    MAX_BUNDLE_BYTES,
    TILE_BYTES,
    TILE_WIDTH,
    RightEdge,
    TileName,
    bundles_of,
    tiles_of,
    unpack_entries,
)
from strongroom.errors import TamperedError

CHECKPOINT = "checkpoint"
OLDER = "checkpoints/"
MAX_NAMED = 10
"""At most so many changed entries are named."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

Progress = Callable[[int, int], None]
"""Called with (entries verified, entries in all) now and then."""


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What was found to be so.

    Attributes:
        checkpoint: the signed size and root that all entries lead to.
        older_sizes: sizes at which an older signed checkpoint was met and held.
        withheld: how many entries are in the log but not shown.
    """

    checkpoint: Checkpoint
    older_sizes: tuple[int, ...] = ()
    withheld: int = 0


class LogSource(Protocol):
    """Where the parts of a log are read, one consistent state of it."""

    @property
    def older_sizes(self) -> Sequence[int]:
        """Sizes of the older checkpoints it holds."""
        ...

    def require_exactly(self, size: int) -> None:
        """Raise TamperedError unless it holds the tiles of `size` entries and nothing else."""
        ...

    def note(self, name: str) -> bytes:
        """The signed note `checkpoint`, or `checkpoints/<size>`."""
        ...

    def tile(self, name: TileName) -> bytes:
        """The hashes of one tile."""
        ...

    def bundles(self, size: int) -> Iterator[tuple[TileName, bytes, bytes]]:
        """Each bundle of entries in order: its name, itself, the level 0 tile over it."""
        ...


def verify_export(
    file: BinaryIO,
    keys: Sequence[LogKey],
    *,
    known: Sequence[bytes] = (),
    progress: Progress | None = None,
) -> VerifiedLog:
    """Verify the export in `file`, which must be seekable.

    `keys`, `known` and `progress` are those of `verify_log`.

    Raises: TamperedError; its message names what differs.
    """
    with _zip_errors(), ZipFile(file) as archive:
        return verify_log(_Export(archive), keys, known=known, progress=progress)


def verify_log(
    source: LogSource,
    keys: Sequence[LogKey],
    *,
    known: Sequence[bytes] = (),
    progress: Progress | None = None,
) -> VerifiedLog:
    """Verify a whole log by the steps in the module's docstring.

    Args:
        source: where its parts are read.
        keys: the log's public keys, from somewhere other than the source.
        known: signed checkpoints seen earlier, against forks and truncation.
        progress: told how far it is.
    Raises: TamperedError; its message names what differs.
    """
    checkpoint = Checkpoint.open(source.note(CHECKPOINT), keys)
    older = _older(source, checkpoint, keys, known)
    source.require_exactly(checkpoint.size)
    walk = _Walk(source, checkpoint, older, progress)
    walk.run()
    return VerifiedLog(checkpoint, tuple(sorted(older)), walk.withheld)


@contextmanager
def _zip_errors() -> Iterator[None]:
    try:
        yield
    except (BadZipFile, LargeZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise TamperedError(f"the export is not a whole zip file: {error}") from error


class _Export:
    """The members of the zip, read with limits."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._members: dict[str, ZipInfo] = {}
        for info in archive.infolist():
            if info.filename in self._members:
                raise TamperedError("the export holds two files of one name")
            self._members[info.filename] = info
        sizes = [name[len(OLDER) :] for name in self._members if name.startswith(OLDER)]
        if not all(_SIZE.fullmatch(size) for size in sizes):
            raise TamperedError("the export holds a file that does not belong to a log")
        self._older_sizes = sorted(map(int, sizes))

    @property
    def older_sizes(self) -> Sequence[int]:
        """Sizes of the older checkpoints in the zip."""
        return self._older_sizes

    def require_exactly(self, size: int) -> None:
        """Raise unless the files are those of a log of `size` entries."""
        expected = {CHECKPOINT, *(f"{OLDER}{older}" for older in self._older_sizes)}
        for bundle in bundles_of(size):
            if bundle.path not in self._members:
                first = bundle.index * TILE_WIDTH
                raise TamperedError(
                    f"the checkpoint counts {size} entries, but those from {first} to "
                    f"{first + bundle.width - 1} are missing"
                )
            expected.add(bundle.path)
        for tile in tiles_of(size):
            if tile.path not in self._members:
                raise TamperedError(f"the hash tile `{tile.path}` is missing")
            expected.add(tile.path)
        if len(expected) != len(self._members):
            raise TamperedError(
                "the export holds files that do not belong to a log of "
                f"{size} entries, the size its checkpoint states"
            )

    def note(self, name: str) -> bytes:
        """A signed note."""
        return self._read(name, MAX_NOTE_BYTES)

    def tile(self, name: TileName) -> bytes:
        """A tile of hashes."""
        return self._read(name.path, TILE_BYTES)

    def bundles(self, size: int) -> Iterator[tuple[TileName, bytes, bytes]]:
        """Each bundle with the hash tile above it."""
        for bundle in bundles_of(size):
            tile = TileName(0, bundle.index, bundle.width)
            yield bundle, self._read(bundle.path, MAX_BUNDLE_BYTES), self.tile(tile)

    def _read(self, name: str, limit: int) -> bytes:
        info = self._members.get(name)
        if info is None:
            raise TamperedError(f"the export lacks `{name}`")
        if info.file_size > limit:
            raise TamperedError(f"`{name}` in the export is larger than it can be")
        with self._archive.open(info) as member:
            return member.read(limit + 1)


def _older(
    source: LogSource, newest: Checkpoint, keys: Sequence[LogKey], known: Sequence[bytes]
) -> dict[int, Checkpoint]:
    """Every older checkpoint by its size, verified and not larger than the newest."""
    found: dict[int, Checkpoint] = {}
    notes = [(size, source.note(f"{OLDER}{size}")) for size in source.older_sizes]
    for named, note in [*notes, *((None, note) for note in known)]:
        checkpoint = Checkpoint.open(note, keys)
        if checkpoint.origin != newest.origin:
            raise TamperedError("an older checkpoint is of another log")
        if named is not None and named != checkpoint.size:
            raise TamperedError(f"the checkpoint named {named} is of size {checkpoint.size}")
        if checkpoint.size > newest.size:
            raise TamperedError(
                f"the log was cut off: it had {checkpoint.size} entries and now has {newest.size}"
            )
        earlier = found.setdefault(checkpoint.size, checkpoint)
        if not compare_digest(earlier.root, checkpoint.root):
            raise TamperedError(f"the log was forked: two signed roots at size {checkpoint.size}")
    return found


@dataclass(slots=True)
class _Walk:
    """One pass over all entries, building the tree anew."""

    source: LogSource
    checkpoint: Checkpoint
    older: dict[int, Checkpoint]
    progress: Progress | None
    edge: RightEdge = field(default_factory=RightEdge)
    # The tree that the exported hash tiles claim, from the first bundle on that differs.
    claimed: RightEdge | None = None
    changed_entries: list[int] = field(default_factory=list)
    changed_tile: str = ""
    # Tiles above level 0 as they came out; 8 KiB for each 65,536 entries.
    upper: dict[tuple[int, int], bytes] = field(default_factory=dict)
    withheld: int = 0

    def run(self) -> None:
        sizes = deque(size for size in sorted(self.older) if size)
        forked: int | None = None
        for bundle, packed, tile in self.source.bundles(self.checkpoint.size):
            start = self.edge.size
            leaves = self._leaves(bundle, packed, tile)
            while sizes and sizes[0] <= start + bundle.width:
                size = sizes.popleft()
                then, _ = self.edge.extended(leaves[: size - start])
                if forked is None and not compare_digest(then.root(), self.older[size].root):
                    forked = size
            self._compare(leaves, tile)
            self._grow(leaves)
            if self.progress is not None and bundle.index % 256 == 0:
                self.progress(self.edge.size, self.checkpoint.size)
        self._conclude(forked)

    def _leaves(self, bundle: TileName, packed: bytes, tile: bytes) -> list[bytes]:
        start = self.edge.size
        try:
            entries = unpack_entries(packed, bundle.width)
        except TamperedError as error:
            last = start + bundle.width - 1
            raise TamperedError(f"entries {start} to {last}: {error}") from None
        leaves = leaf_hashes(entries)
        if not all(entries):
            for offset, entry in enumerate(entries):
                at = offset * HASH_BYTES
                if not entry and len(tile) >= at + HASH_BYTES:
                    leaves[offset] = tile[at : at + HASH_BYTES]
                    self.withheld += 1
        return leaves

    def _grow(self, leaves: list[bytes]) -> None:
        self.edge, tiles = self.edge.extended(leaves)
        for (level, index), content in tiles.items():
            if level:
                self.upper[level, index] = content

    def _compare(self, leaves: list[bytes], tile: bytes) -> None:
        """Note where the leaves are not those of the exported tile."""
        claimed = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
        if claimed != leaves:
            start = self.edge.size
            if not self.changed_tile:
                self.changed_tile = TileName(0, start // TILE_WIDTH, len(leaves)).path
                self.claimed = self.edge
            different = [
                start + offset
                for offset, leaf in enumerate(leaves)
                if claimed[offset : offset + 1] != [leaf]
            ]
            self.changed_entries.extend(different[: MAX_NAMED - len(self.changed_entries)])
        if self.claimed is not None:
            self.claimed, _ = self.claimed.extended(claimed)

    def _conclude(self, forked: int | None) -> None:
        """Say as exactly as can be proven what differs, if anything does."""
        signed_root = self.checkpoint.root
        if not compare_digest(self.edge.root(), signed_root):
            if self.claimed is not None and compare_digest(self.claimed.root(), signed_root):
                named = ", ".join(map(str, self.changed_entries))
                more = " and perhaps more" if len(self.changed_entries) == MAX_NAMED else ""
                raise TamperedError(f"not as logged: entry {named}{more}")
            raise TamperedError(
                "the entries do not lead to the signed root: some were changed, removed, added "
                "or put in another order, and the hash tiles with them"
            )
        for (level, index), content in self.upper.items():
            name = TileName(level, index, len(content) // HASH_BYTES)
            if self.source.tile(name) != content:
                self.changed_tile = self.changed_tile or name.path
        if self.changed_tile:
            raise TamperedError(
                f"the hash tile `{self.changed_tile}` was changed; the entries are as signed"
            )
        if forked is not None:
            raise TamperedError(
                f"the log was rewritten: its first {forked} entries are not those that the "
                f"older checkpoint of size {forked} was signed for"
            )
