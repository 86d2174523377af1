"""The hashes of a log's Merkle tree (RFC 6962, section 2.1; SHA-256 throughout)."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry as a leaf; its prefix keeps it from passing as a node."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each entry, in order."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of the node above two nodes."""
    return sha256(b"\x01" + left + right).digest()


def pair_up(hashes: bytes) -> bytes:
    """The level above: the hash of each two neighbours of a concatenation of hashes.

    Args:
        hashes: concatenated hashes, an even number of them.
    """
    return b"".join(
        [sha256(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)]
    )


def perfect_root(hashes: bytes) -> bytes:
    """Root over concatenated hashes whose number is a power of two."""
    while len(hashes) > HASH_BYTES:
        hashes = pair_up(hashes)
    return hashes


def fold(peaks: Sequence[bytes]) -> bytes:
    """Root of a tree from the roots of its largest perfect subtrees, left to right."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root
