"""Where the chunks of an HDF5 dataset lie, and what was done to them.

A chunk index gives addresses and sizes that a reader follows: each must lie in the file, none on
another, and the tree that lists them must not turn in a circle.

Source: HDF5 File Format Specification, version 3.0, sections III.A.1 and IV.A.2.i.
"""

from dataclasses import dataclass

from strongroom.engines.scanning.hdf5_file import Fields, Hdf5File
from strongroom.engines.scanning.reading import LimitError, MalformedError

_MAX_CHUNKS = 500_000
_MAX_CHUNK_BYTES = 1 << 32  # unpacked; the format's own limit
_MAX_DIMENSIONS = 33  # HDF5's own limit, and one for the bytes of an element
_MAX_DEPTH = 32
_SINGLE, _LAST_INDEX = 1, 5
# Of what an index is made with: single chunk, implicit, fixed and extensible array, B-tree.
_INDEX_BYTES = {1: 0, 2: 0, 3: 1, 4: 5, 5: 6}


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of a dataset.

    Attributes:
        places: address, size and filter mask of each, by where they stand in the dataset; None
            where the index is of a kind that is not followed.
        element_bytes: of one element.
    """

    places: list[tuple[int, int, int]] | None
    element_bytes: int


def new_chunks(file: Hdf5File, fields: Fields) -> Chunks:
    """Chunks of a layout of version 4 or 5, which name the kind of their index.

    Args:
        fields: the layout message behind version and kind.

    Raises:
        MalformedError: the index is broken, or leads out of the file.
    """
    flags, dimensions, width = fields.number(1), fields.number(1), fields.number(1)
    if not 0 < dimensions <= _MAX_DIMENSIONS or not 0 < width <= 8:  # bytes of a number
        raise MalformedError("an HDF5 dataset with strange chunks")
    sizes = [fields.number(width) for _ in range(dimensions)]
    unpacked = _check_sizes(sizes)
    index = fields.number(1)
    if not _SINGLE <= index <= _LAST_INDEX:
        raise MalformedError("an HDF5 dataset with a chunk index of an unknown kind")
    size, mask = unpacked, 0
    if index == _SINGLE and flags & 2:  # it went through filters
        size, mask = fields.length(), fields.number(4)
    fields.take(_INDEX_BYTES[index])
    address = fields.address()
    if address is None:  # nothing was written yet
        return Chunks([], sizes[-1])
    file.read(address, 1)  # it lies in the file
    if index != _SINGLE:
        return Chunks(None, sizes[-1])
    places = [(address, size, mask)]
    _check_places(file, places)
    return Chunks(places, sizes[-1])


def old_chunks(file: Hdf5File, address: int | None, sizes: list[int]) -> Chunks:
    """Chunks of older layouts, by a B-tree of version 1.

    Args:
        address: of the tree; None where nothing was written yet.
        sizes: of a chunk in each dimension, and the bytes of an element.

    Raises:
        MalformedError: the index is broken, or leads out of the file.
        LimitError: there are more than any honest dataset has.
    """
    if len(sizes) > _MAX_DIMENSIONS:
        raise MalformedError("an HDF5 dataset with strange chunks")
    _check_sizes(sizes)
    places: list[tuple[int, int, int]] = []
    nodes = [] if address is None else [(address, 0)]
    seen: set[int] = set()
    width = 8 + 8 * len(sizes)  # size, mask, place in the dataset
    while nodes:
        at, depth = nodes.pop()
        if at in seen or depth > _MAX_DEPTH:
            raise MalformedError("an HDF5 tree of chunks that turns in a circle")
        seen.add(at)
        head_bytes = 8 + 2 * file.address_bytes
        head = file.block(at, head_bytes, b"TREE")
        kind, level, used = head.number(1), head.number(1), head.number(2)
        if kind != 1:
            raise MalformedError("an HDF5 tree of chunks of another kind")
        body = file.fields(file.read(at + head_bytes, used * (width + file.address_bytes)))
        children: list[tuple[int, int]] = []
        for _ in range(used):
            size, mask = body.number(4), body.number(4)
            body.take(width - 8)
            child = body.address()
            if child is None:
                raise MalformedError("an HDF5 chunk that lies nowhere")
            if level:
                children.append((child, depth + 1))
            else:
                places.append((child, size, mask))
        nodes.extend(reversed(children))
        if len(places) > _MAX_CHUNKS:
            raise LimitError("more HDF5 chunks than the limit")
    _check_places(file, places)
    return Chunks(places, sizes[-1])


def _check_sizes(sizes: list[int]) -> int:
    """Bytes of a chunk as the reader will hold it."""
    unpacked = 1
    for size in sizes:
        unpacked *= size
    if not 0 < unpacked < _MAX_CHUNK_BYTES:
        raise MalformedError("an HDF5 dataset with strange chunks")
    return unpacked


def _check_places(file: Hdf5File, places: list[tuple[int, int, int]]) -> None:
    end = 0
    for address, size, _mask in sorted(places):
        if address < end or not size:
            raise MalformedError("HDF5 chunks that lie on each other")
        end = address + size
    if places:
        file.read(end - 1, 1)  # the last of them lies in the file
