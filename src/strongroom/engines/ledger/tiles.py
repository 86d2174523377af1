"""A log's tree as tiles of 256 hashes, and its entries as bundles of 256 (C2SP tlog-tiles).

A tile holds the nodes of every eighth level: tile (L, n) the nodes (8 L, 256 n) up to
(8 L, 256 n + 255). The last tile of a level may be partial, then it holds the first nodes
only. Everything here is a pure function of sizes and bytes; who keeps the tiles is the
caller's affair.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from strongroom.engines.ledger.hashing import HASH_BYTES, fold, node_hash, perfect_root
from strongroom.engines.ledger.proofs import MAX_TREE_SIZE
from strongroom.errors import TamperedError

TILE_LEVELS = 8
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_ENTRY_BYTES = 65_535
_SMALL_BYTES = 4 * HASH_BYTES
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)

_NUMBER = r"((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
_TILE_PATH = re.compile(rf"tile/([0-9]|[1-5][0-9]|6[0-3]|entries)/{_NUMBER}", re.ASCII)

ReadTile = Callable[[int, int], bytes]
"""(level, index) → the hashes of that tile, at least as many as the tree's size needs."""


@dataclass(frozen=True, slots=True, order=True)
class TileName:
    """One tile; `level` -1 stands for the bundle of the entries under the level 0 tile."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level < 0 else self.level
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"

    @classmethod
    def parse(cls, path: str) -> Self:
        """The tile of a path; each tile has exactly one path.

        Raises: ValueError for anything else.
        """
        if (match := _TILE_PATH.fullmatch(path)) is None:
            raise ValueError("not the path of a tile")
        level, number, width = match.groups()
        name = cls(
            -1 if level == "entries" else int(level),
            int(number.replace("x", "").replace("/", "")),
            int(width) if width else TILE_WIDTH,
        )
        if name.path != path:
            raise ValueError("not the path of a tile")
        return name


def width_in(level: int, index: int, size: int) -> int:
    """How many hashes the tile (level, index) has in a tree of `size` leaves; 0: no such tile."""
    nodes = size >> (TILE_LEVELS * max(level, 0))
    return max(0, min(TILE_WIDTH, nodes - index * TILE_WIDTH))


def tiles_of(size: int) -> Iterator[TileName]:
    """Every tile of hashes that a tree of `size` leaves has, level by level."""
    level = 0
    while nodes := size >> (TILE_LEVELS * level):
        for index in range(-(-nodes // TILE_WIDTH)):
            yield TileName(level, index, width_in(level, index, size))
        level += 1


def bundles_of(size: int) -> Iterator[TileName]:
    """Every bundle of entries that a tree of `size` leaves has, in order."""
    for index in range(-(-size // TILE_WIDTH)):
        yield TileName(-1, index, width_in(0, index, size))


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """A bundle: each entry behind its length, two bytes, big-endian.

    Raises: ValueError for an entry over 65,535 bytes.
    """
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError("the entry is too long for a bundle")
        parts.append(struct.pack(">H", len(entry)))
        parts.append(entry)
    return b"".join(parts)


def unpack_entries(bundle: bytes, count: int) -> list[bytes]:
    """The `count` entries of a bundle.

    Raises: TamperedError where it holds fewer, more, or half of one.
    """
    entries = []
    at, end = 0, len(bundle)
    while at + 2 <= end:
        start = at + 2
        at = start + (bundle[at] << 8 | bundle[at + 1])
        entries.append(bundle[start:at])
    if at != end or len(entries) != count:
        raise TamperedError(
            f"a bundle holds {len(entries)} entries where {count} belong, or ends in the middle"
        )
    return entries


def node_reader(size: int, read_tile: ReadTile) -> Callable[[int, int], bytes]:
    """Reads any full node of the tree of `size` leaves from its tiles, each read once.

    The result raises TamperedError where a tile is shorter than the tree's size says.
    """
    read: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, TILE_LEVELS)
        first = index << inner
        tile_index, offset = divmod(first, TILE_WIDTH)
        key = (tile_level, tile_index)
        if key not in read:
            read[key] = _checked(TileName(*key, width_in(*key, size)), read_tile(*key))
        start = offset * HASH_BYTES
        chosen = read[key][start : start + (HASH_BYTES << inner)]
        if len(chosen) != HASH_BYTES << inner:
            raise ValueError("the node is not in the tree")
        return perfect_root(chosen)

    return node


def _checked(name: TileName, tile: bytes) -> bytes:
    needed = name.width * HASH_BYTES
    if len(tile) < needed or len(tile) % HASH_BYTES or len(tile) > TILE_BYTES:
        raise TamperedError(f"the hash tile `{name.path}` has {len(tile)} bytes, not {needed}")
    return tile[:needed]


@lru_cache(maxsize=512)
def _known_root(hashes: bytes) -> bytes:
    """`perfect_root`; as a tile grows, most of its nodes stay what they were."""
    if len(hashes) <= _SMALL_BYTES:
        return perfect_root(hashes)
    middle = len(hashes) // 2
    return node_hash(_known_root(hashes[:middle]), _known_root(hashes[middle:]))


@dataclass(frozen=True, slots=True)
class RightEdge:
    """All that is needed to let a tree grow: its size and its partial tiles.

    Attributes:
        size: number of leaves.
        partial: for each tile level the hashes of its partial tile, up to 255 of them.
    """

    size: int = 0
    partial: tuple[bytes, ...] = field(default=())

    @classmethod
    def load(cls, size: int, read_tile: ReadTile) -> Self:
        """The edge of a tree of `size` leaves, from its tiles.

        Raises: TamperedError where a tile is too short. Compare `root` with a checkpoint.
        """
        partial = []
        level = 0
        while nodes := size >> (TILE_LEVELS * level):
            index, width = divmod(nodes, TILE_WIDTH)
            tile = b""
            if width:
                tile = _checked(TileName(level, index, width), read_tile(level, index))
            partial.append(tile)
            level += 1
        return cls(size, tuple(partial))

    def root(self) -> bytes:
        """Root of the tree."""
        peaks = []
        for tile in reversed(self.partial):
            at, width = 0, len(tile) // HASH_BYTES
            for bit in reversed(range(TILE_LEVELS)):
                if width >> bit & 1:
                    end = at + (HASH_BYTES << bit)
                    peaks.append(_known_root(tile[at:end]))
                    at = end
        return fold(peaks)

    def extended(self, leaves: Sequence[bytes]) -> tuple[Self, dict[tuple[int, int], bytes]]:
        """The edge after appending leaf hashes, and the new content of each tile that changed.

        Raises: ValueError past 2**63 - 1 leaves.
        """
        size = self.size + len(leaves)
        if size > MAX_TREE_SIZE:
            raise ValueError("the tree is full")
        changed: dict[tuple[int, int], bytes] = {}
        partial = list(self.partial)
        fresh = b"".join(leaves)
        level = 0
        while fresh:
            if level == len(partial):
                partial.append(b"")
            index = self.size >> (TILE_LEVELS * (level + 1))
            row = partial[level] + fresh
            above = []
            at = 0
            while len(row) - at >= TILE_BYTES:
                tile = row[at : at + TILE_BYTES]
                changed[level, index] = tile
                above.append(_known_root(tile))
                at += TILE_BYTES
                index += 1
            partial[level] = row[at:]
            if partial[level]:
                changed[level, index] = partial[level]
            fresh = b"".join(above)
            level += 1
        return type(self)(size, tuple(partial)), changed
