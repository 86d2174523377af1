"""Tiles against the specification's own examples, and the growing edge against the definition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.ledger.hashing import EMPTY_ROOT, HASH_BYTES, leaf_hashes
from strongroom.engines.ledger.proofs import inclusion, root, verify_inclusion
from strongroom.engines.ledger.tiles import (
    ReadTile,
    RightEdge,
    TileName,
    bundles_of,
    node_reader,
    pack_entries,
    tiles_of,
    unpack_entries,
    width_in,
)
from strongroom.errors import TamperedError

LEAVES = leaf_hashes(number.to_bytes(4, "big") for number in range(70_000))


def grown(size: int, steps: list[int]) -> tuple[RightEdge, dict[tuple[int, int], bytes]]:
    """A tree of `size` leaves, appended in steps of the given sizes over and over."""
    edge, tiles, at, turn = RightEdge(), {}, 0, 0
    while at < size:
        count = min(steps[turn % len(steps)], size - at)
        edge, changed = edge.extended(LEAVES[at : at + count])
        tiles.update(changed)
        at += count
        turn += 1
    return edge, tiles


def reader(tiles: dict[tuple[int, int], bytes]) -> ReadTile:
    return lambda level, index: tiles[level, index]


def test_paths_of_the_specification() -> None:
    assert TileName(0, 1234067).path == "tile/0/x001/x234/067"
    assert TileName(-1, 0, 5).path == "tile/entries/000.p/5"
    assert TileName(63, 999, 255).path == "tile/63/999.p/255"
    assert TileName(1, 1000).path == "tile/1/x001/000"


@given(level=st.integers(-1, 63), index=st.integers(0, 2**55), width=st.integers(1, 256))
def test_a_path_names_its_tile(level: int, index: int, width: int) -> None:
    name = TileName(level, index, width)
    assert TileName.parse(name.path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/007",
        "tile/0/000.p/1000",
        "tile/0/000/",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "/tile/0/000",
        "tile/data/000",
    ],
)
def test_no_other_path(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        TileName.parse(path)


def test_tiles_of_the_specification() -> None:
    # C2SP tlog-tiles, Partial Tiles: "a tree of size 70,000".
    names = list(tiles_of(70_000))
    assert len([name for name in names if name.level == 0 and name.width == 256]) == 273
    assert [name for name in names if name.level == 0][-1] == TileName(0, 273, 112)
    assert [name for name in names if name.level > 0] == [
        TileName(1, 0, 256),
        TileName(1, 1, 17),
        TileName(2, 0, 1),
    ]
    assert list(tiles_of(256)) == [TileName(0, 0, 256), TileName(1, 0, 1)]
    assert list(tiles_of(0)) == list(bundles_of(0)) == []
    assert list(bundles_of(257)) == [TileName(-1, 0, 256), TileName(-1, 1, 1)]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_growth_gives_the_tiles_and_the_root(size: int) -> None:
    edge, tiles = grown(size, [1, 300, 7, 2000, 256])
    at_once, _ = RightEdge().extended(LEAVES[:size])
    assert edge == at_once
    assert set(tiles) == {(name.level, name.index) for name in tiles_of(size)}
    for name in tiles_of(size):
        assert len(tiles[name.level, name.index]) == name.width * HASH_BYTES

    def read_tile(level: int, index: int) -> bytes:
        return tiles[level, index]

    assert edge.root() == root(size, node_reader(size, read_tile))
    assert RightEdge.load(size, read_tile).root() == edge.root()
    if size:
        for index in {0, size // 2, size - 1}:
            proof = inclusion(index, size, node_reader(size, read_tile))
            verify_inclusion(index, size, LEAVES[index], proof, edge.root())


def test_the_empty_tree() -> None:
    assert RightEdge().root() == EMPTY_ROOT


@given(
    first=st.integers(0, 1500),
    second=st.integers(0, 1500),
    steps=st.lists(st.integers(1, 600), min_size=1),
)
@settings(max_examples=60, deadline=None)
def test_the_way_of_growing_does_not_matter(first: int, second: int, steps: list[int]) -> None:
    size = first + second
    edge, tiles = grown(size, steps)
    older, _ = grown(first, [257])
    # Tiles of the larger tree serve the smaller one: what they begin with never changes.
    assert RightEdge.load(first, lambda level, index: tiles[level, index]) == older
    assert edge.extended([]) == (edge, {})


def test_a_short_or_long_tile_is_caught() -> None:
    _, tiles = grown(300, [300])
    for broken in (tiles[0, 1][:-1], tiles[0, 1][:-32], b"", tiles[0, 0] + b"\0" * 32):
        with pytest.raises(TamperedError, match="hash tile `tile/0/001"):
            RightEdge.load(300, reader({(0, 1): broken, (1, 0): tiles[1, 0]}))


def test_a_node_outside_the_tree() -> None:
    edge, tiles = grown(300, [300])
    with pytest.raises(ValueError, match="node"):
        node_reader(300, lambda level, index: tiles[level, index])(4, 18)
    assert width_in(0, 2, 300) == 0
    assert edge.size == 300


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_hold_what_was_put_in(entries: list[bytes]) -> None:
    assert unpack_entries(pack_entries(entries), len(entries)) == entries


@pytest.mark.parametrize(
    ("bundle", "count"),
    [
        (b"\x00", 0),
        (b"\x00\x01", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a", 0),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00", 1),
        (b"\xff\xffabc", 1),
    ],
)
def test_broken_bundles_are_caught(bundle: bytes, count: int) -> None:
    with pytest.raises(TamperedError, match="bundle"):
        unpack_entries(bundle, count)


def test_no_entry_over_the_format() -> None:
    assert unpack_entries(pack_entries([b"x" * 65_535]), 1) == [b"x" * 65_535]
    with pytest.raises(ValueError, match="too long"):
        pack_entries([b"x" * 65_536])
