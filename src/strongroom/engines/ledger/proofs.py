"""Proofs that an entry is in a tree, and that a tree is an extension of an older one.

A node is named by its level and index: node (k, i) is the root over the leaves
`i * 2**k` up to but without `(i + 1) * 2**k`; only such full nodes are ever read or stored.
Building follows RFC 6962, sections 2.1.1 and 2.1.2; verifying follows RFC 9162, sections
2.1.3.2 and 2.1.4.2, which accept exactly one proof for each statement.
"""

from collections.abc import Callable, Sequence
from hmac import compare_digest

from strongroom.engines.ledger.hashing import EMPTY_ROOT, HASH_BYTES, fold, node_hash
from strongroom.errors import TamperedError

MAX_TREE_SIZE = 2**63 - 1

ReadNode = Callable[[int, int], bytes]
"""(level, index) → the hash of that full node."""


def peaks(start: int, end: int) -> list[tuple[int, int]]:
    """The largest full nodes that cover the leaves from `start` up to `end`, left to right."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def root(size: int, read: ReadNode) -> bytes:
    """Root of the tree of `size` leaves."""
    return fold([read(level, index) for level, index in peaks(0, size)])


def _subtree_root(start: int, end: int, read: ReadNode) -> bytes:
    return fold([read(level, index) for level, index in peaks(start, end)])


def inclusion(index: int, size: int, read: ReadNode) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size` leaves, leaf's sibling first.

    Raises: ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ValueError("the index is not in the tree")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            proof.append(_subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(_subtree_root(start, middle, read))
            start = middle
    proof.reverse()
    return proof


def consistency(old_size: int, size: int, read: ReadNode) -> list[bytes]:
    """Proof that the tree of `size` leaves begins with the tree of `old_size` leaves.

    Raises: ValueError unless 0 <= old_size <= size.
    """
    if not 0 <= old_size <= size <= MAX_TREE_SIZE:
        raise ValueError("the old size is not within the tree")
    if old_size in {0, size}:
        return []
    proof: list[bytes] = []
    start, end = 0, size
    # INVARIANT: start < old_size <= end, and `start` is where the subtree begins.
    while old_size != end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if old_size <= middle:
            proof.append(_subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(_subtree_root(start, middle, read))
            start = middle
    # The verifier knows the old root already when the old tree is one full subtree.
    if start:
        proof.append(_subtree_root(start, end, read))
    proof.reverse()
    return proof


def _check_hashes(proof: Sequence[bytes], *roots: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in (*proof, *roots)):
        raise TamperedError("the proof holds a hash of the wrong length")


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Accept that the leaf hash `leaf` stands at `index` of the tree with `expected_root`.

    Raises: TamperedError where the proof does not show it.
    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise TamperedError("the proof is for an index outside the tree")
    _check_hashes(proof, leaf, expected_root)
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise TamperedError("the inclusion proof is too long")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise TamperedError("the inclusion proof is too short")
    if not compare_digest(computed, expected_root):
        raise TamperedError("the inclusion proof does not lead to the root of the checkpoint")


def verify_consistency(
    old_size: int, size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Accept that the tree of `size` leaves begins with the tree of `old_size` leaves.

    Raises: TamperedError where the proof does not show it.
    Source: RFC 9162, section 2.1.4.2; an old size of 0 needs the empty root and no proof.
    """
    if not 0 <= old_size <= size <= MAX_TREE_SIZE:
        raise TamperedError("the older tree is larger than the newer one")
    _check_hashes(proof, old_root, new_root)
    if old_size in {0, size}:
        if proof:
            raise TamperedError("the consistency proof is too long")
        if not compare_digest(old_root, new_root if old_size else EMPTY_ROOT):
            raise TamperedError("two different trees are said to have the same size")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise TamperedError("the consistency proof is too short")
    position, last = old_size - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise TamperedError("the consistency proof is too long")
        if position & 1 or position == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise TamperedError("the consistency proof is too short")
    if not (compare_digest(older, old_root) and compare_digest(newer, new_root)):
        raise TamperedError("the newer tree does not begin with the older one")
