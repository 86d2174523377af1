"""Dense storage of HDF5: links and attributes in a fractal heap, found by a B-tree of version 2.

Source: HDF5 File Format Specification, version 3.0, sections III.A.2 and III.G.
"""

from collections.abc import Iterator

from strongroom.engines.scanning.hdf5_file import Fields, Hdf5File
from strongroom.engines.scanning.reading import LimitError, MalformedError

_CHECKSUM = 4
_MAX_RECORDS = 1_000_000
_MAX_DEPTH = 16
# Records by the type of their tree: bytes in front of the heap id, and of the heap id.
_HEAP_IDS = {5: (4, 7), 6: (8, 7), 8: (0, 8), 9: (0, 8)}
_HUGE_TREE = 1
_MANAGED, _HUGE, _TINY = 0, 1, 2


def _width(limit: int) -> int:
    """Bytes that hold every number up to `limit`."""
    return max(limit.bit_length() - 1, 0) // 8 + 1


class FractalHeap:
    """A heap of small objects, in direct blocks below a table of doubling sizes."""

    def __init__(self, file: Hdf5File, address: int | None) -> None:
        self._file = file
        head = file.block(address, 26 + 12 * file.length_bytes + 3 * file.address_bytes, b"FRHP")
        head.take(1)  # version
        head.take(2)  # length of a heap id
        self._filtered = head.number(2) > 0
        flags, largest = head.number(1), head.number(4)
        head.length()  # next huge id
        self._huge_tree = head.address()
        head.length()
        head.address()  # free space
        for _ in range(8):
            head.length()  # sizes and counts
        self._columns = head.number(2)
        self._first, self._largest_direct = head.length(), head.length()
        bits = head.number(2)
        head.number(2)  # rows at the start
        self._root, self._rows = head.address(), head.number(2)
        if not (0 < self._columns <= 4096 and 0 < self._first <= self._largest_direct):
            raise MalformedError("an HDF5 heap with a strange table")
        self._checksummed = bool(flags & 2)
        self._offset_bytes = (bits + 7) // 8
        self._length_bytes = min(_width(self._largest_direct), _width(largest))

    def get(self, heap_id: bytes) -> bytes:
        """The object of a heap id."""
        kind = heap_id[0] >> 4 & 3
        fields = self._file.fields(heap_id)
        fields.take(1)
        if kind == _TINY:
            return fields.take((heap_id[0] & 15) + 1)
        if self._filtered:
            raise MalformedError("an HDF5 heap whose blocks are packed")
        if kind == _MANAGED:
            offset = fields.number(self._offset_bytes)
            return self._managed(offset, fields.number(self._length_bytes))
        if kind == _HUGE:
            return self._huge(fields)
        raise MalformedError("an HDF5 heap id of an unknown kind")

    def _huge(self, fields: Fields) -> bytes:
        wanted = fields.number(fields.left)
        for record in tree_records(self._file, self._huge_tree, _HUGE_TREE):
            entry = self._file.fields(record)
            address, length, number = entry.address(), entry.length(), entry.length()
            if number == wanted:
                return self._file.read(address, length)
        raise MalformedError("an HDF5 value that its heap does not hold")

    def _row_bytes(self, row: int) -> int:
        """Bytes of each block in a row: the first two rows are alike, each later one doubles."""
        return self._first << max(row - 1, 0) if row < 64 else 1 << 62

    def _managed(self, offset: int, length: int) -> bytes:
        block, start, rows = self._root, 0, self._rows
        for _ in range(_MAX_DEPTH):
            if rows == 0:  # a direct block
                if block is None:
                    raise MalformedError("an HDF5 heap without the block of a value")
                return self._file.read(block + offset - start, length)
            block, start, rows = self._below(block, start, rows, offset)
        raise MalformedError("an HDF5 heap nested too deep")

    def _below(
        self, block: int | None, start: int, rows: int, offset: int
    ) -> tuple[int | None, int, int]:
        """The child of an indirect block in which `offset` lies: address, start, its rows."""
        file = self._file
        if rows > 64:
            raise MalformedError("an HDF5 heap with a strange table")
        head = 5 + file.address_bytes + self._offset_bytes
        table = file.block(block, head + rows * self._columns * file.address_bytes, b"FHIB")
        table.take(head - 4)
        at = start
        for row in range(rows):
            size = self._row_bytes(row)
            for _ in range(self._columns):
                child = table.address()
                if at <= offset < at + size:
                    return child, at, 0 if size <= self._largest_direct else self._rows_of(size)
                at += size
        raise MalformedError("an HDF5 value outside its heap")

    def _rows_of(self, size: int) -> int:
        """Rows of an indirect block that covers `size` bytes."""
        return (size.bit_length() - 1) - ((self._first * self._columns).bit_length() - 1) + 1


def heap_objects(file: Hdf5File, heap: int | None, tree: int | None) -> Iterator[bytes]:
    """Every link or attribute that a heap holds, as the name index tells them."""
    if heap is None or tree is None:
        return
    objects = FractalHeap(file, heap)
    kind = file.block(tree, 16, b"BTHD").data[5]
    if kind not in _HEAP_IDS:
        raise MalformedError("an HDF5 index of another kind")
    before, size = _HEAP_IDS[kind]
    for record in tree_records(file, tree, kind):
        yield objects.get(record[before : before + size])


def tree_records(file: Hdf5File, address: int | None, kind: int) -> Iterator[bytes]:
    """Records of a B-tree of version 2."""
    head = file.block(address, 18 + file.address_bytes + file.length_bytes, b"BTHD")
    head.take(1)
    if head.number(1) != kind:
        raise MalformedError("an HDF5 index of another kind")
    node_bytes, record_bytes, depth = head.number(4), head.number(2), head.number(2)
    head.take(2)
    root, count = head.address(), head.number(2)
    least = sum(_HEAP_IDS.get(kind, (0, 2 * file.length_bytes + file.address_bytes)))
    if record_bytes < least or node_bytes < 10 + record_bytes or depth > _MAX_DEPTH:
        raise MalformedError("an HDF5 index with strange sizes")
    most = [(node_bytes - 10) // record_bytes]  # records of a leaf, then of each level above
    below = [most[0]]
    for level in range(1, depth + 1):
        pointer = file.address_bytes + _width(most[0]) + (_width(below[-1]) if level > 1 else 0)
        most.append((node_bytes - 10 - pointer) // (record_bytes + pointer))
        below.append((most[-1] + 1) * below[-1] + most[-1])
    seen = 0
    nodes = [(root, count, depth)]
    while nodes:
        at, count, level = nodes.pop()
        if count > most[level]:
            raise MalformedError("an HDF5 index with strange sizes")
        node = file.block(at, node_bytes, b"BTIN" if level else b"BTLF") if count else None
        if node is None:
            continue
        node.take(2)
        for _ in range(count):
            seen += 1
            if seen > _MAX_RECORDS:
                raise LimitError("more HDF5 records than the limit")
            yield node.take(record_bytes)
        for _ in range(count + 1 if level else 0):
            child, child_count = node.address(), node.number(_width(most[0]))
            node.number(_width(below[level - 1]) if level > 1 else 0)
            nodes.append((child, child_count, level - 1))
