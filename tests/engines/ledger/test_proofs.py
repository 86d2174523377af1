"""Merkle proofs against published vectors, against each other, and against mutations."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.ledger.hashing import (
    EMPTY_ROOT,
    fold,
    leaf_hash,
    leaf_hashes,
    node_hash,
    pair_up,
    perfect_root,
)
from strongroom.engines.ledger.proofs import (
    consistency,
    inclusion,
    peaks,
    root,
    verify_consistency,
    verify_inclusion,
)
from strongroom.errors import TamperedError

LEAVES = leaf_hashes(str(number).encode() for number in range(140))


def read(level: int, index: int) -> bytes:
    """Node of the tree over LEAVES, computed from the definition."""
    width = 1 << level
    chosen = LEAVES[index * width : (index + 1) * width]
    assert len(chosen) == width, "only full nodes are read"
    return perfect_root(b"".join(chosen))


def definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word, over leaf hashes."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(definition(leaves[:split]), definition(leaves[split:]))


def test_reference_tree(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "vectors/merkle/rfc6962_reference_tree.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(text)) for text in vectors["leaf_inputs_hex"]]
    for size, expected in enumerate(vectors["root_by_size_hex"]):
        assert definition(leaves[:size]).hex() == expected
        nodes = [
            perfect_root(b"".join(leaves[index << level : (index + 1) << level]))
            for level, index in peaks(0, size)
        ]
        assert fold(nodes).hex() == expected


def decoded(case: dict[str, Any], *names: str) -> list[bytes]:
    return [b64decode(case[name] or "") for name in names]


def test_published_inclusion_cases(shared_data: Path) -> None:
    cases = json.loads((shared_data / "vectors/merkle/inclusion.json").read_text())
    assert len(cases) == 53
    for case in cases:
        leaf, expected_root = decoded(case, "leafHash", "root")
        proof = [b64decode(each) for each in case["proof"] or []]
        arguments = (case["leafIdx"], case["treeSize"], leaf, proof, expected_root)
        if case["wantErr"]:
            with pytest.raises(TamperedError):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)


def test_published_consistency_cases(shared_data: Path) -> None:
    cases = json.loads((shared_data / "vectors/merkle/consistency.json").read_text())
    assert len(cases) == 43
    for case in cases:
        old_root, new_root = decoded(case, "root1", "root2")
        proof = [b64decode(each) for each in case["proof"] or []]
        arguments = (case["size1"], case["size2"], old_root, new_root, proof)
        if case["wantErr"]:
            with pytest.raises(TamperedError):
                verify_consistency(*arguments)
        else:
            verify_consistency(*arguments)


def test_every_inclusion_in_small_trees() -> None:
    for size in range(1, 70):
        expected = definition(LEAVES[:size])
        assert root(size, read) == expected
        for index in range(size):
            verify_inclusion(index, size, LEAVES[index], inclusion(index, size, read), expected)


def test_every_consistency_in_small_trees() -> None:
    for size in range(70):
        for old in range(size + 1):
            verify_consistency(
                old, size, root(old, read), root(size, read), consistency(old, size, read)
            )


@given(
    size=st.integers(1, 140),
    index=st.integers(0, 139),
    mutation=st.integers(0, 7),
    at=st.integers(0, 9),
)
@settings(max_examples=300)
def test_mutated_inclusion_is_caught(size: int, index: int, mutation: int, at: int) -> None:
    index %= size
    leaf, expected, proof = LEAVES[index], root(size, read), inclusion(index, size, read)
    where, claimed = index, size
    match mutation:
        case 0:
            leaf = leaf_hash(b"another")
        case 1:
            expected = bytes([expected[0] ^ 1]) + expected[1:]
        case 2:
            proof = [*proof, expected]
        case 3 if proof:
            proof = proof[:-1]
        case 4 if proof:
            at %= len(proof)
            proof[at] = bytes([proof[at][0] ^ 128]) + proof[at][1:]
        case 5 if size > 1:
            where = (index + 1) % size
        case 6 if len(proof) > 1:
            proof.reverse()
        case _:
            proof = [b"", *proof]
    with pytest.raises(TamperedError):
        verify_inclusion(where, claimed, leaf, proof, expected)


@given(
    old=st.integers(1, 139),
    size=st.integers(2, 140),
    mutation=st.integers(0, 5),
    at=st.integers(0, 9),
)
@settings(max_examples=300)
def test_mutated_consistency_is_caught(old: int, size: int, mutation: int, at: int) -> None:
    old = 1 + old % (size - 1)
    old_root, new_root, proof = root(old, read), root(size, read), consistency(old, size, read)
    match mutation:
        case 0:
            old_root = leaf_hash(b"fork")
        case 1:
            new_root = leaf_hash(b"fork")
        case 2:
            proof = proof[:-1]
        case 3:
            proof = [*proof, new_root]
        case 4:
            at %= len(proof)
            proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        case _:
            old_root, new_root = new_root, old_root
    with pytest.raises(TamperedError):
        verify_consistency(old, size, old_root, new_root, proof)


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (1, 2**63)])
def test_no_inclusion_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="index"):
        inclusion(index, size, read)


@pytest.mark.parametrize(("old", "size"), [(-1, 4), (5, 4), (1, 2**63)])
def test_no_consistency_outside_the_tree(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        consistency(old, size, read)


def test_nothing_older_than_nothing() -> None:
    verify_consistency(0, 5, EMPTY_ROOT, root(5, read), [])
    with pytest.raises(TamperedError):
        verify_consistency(0, 5, LEAVES[0], root(5, read), [])


@given(start=st.integers(0, 10_000), length=st.integers(0, 10_000))
def test_peaks_cover_exactly(start: int, length: int) -> None:
    at = start
    for level, index in peaks(start, start + length):
        assert index << level == at
        at = (index + 1) << level
    assert at == start + length


def test_pairing_needs_no_loop_in_the_caller() -> None:
    joined = b"".join(LEAVES[:4])
    assert pair_up(joined) == node_hash(*LEAVES[:2]) + node_hash(*LEAVES[2:4])
