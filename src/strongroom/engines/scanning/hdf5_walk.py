"""What an HDF5 file would make its reader do, found without HDF5's own library.

Every object that can be reached from the root is looked at: links, data layouts, filters and
attributes. Keras' configurations lie in attributes, PyTables keeps pickles there.

Source: HDF5 File Format Specification, version 3.0, section IV; Keras 3, `legacy_h5_format`.
"""

from dataclasses import dataclass, field

from strongroom.engines.scanning.hdf5_chunks import Chunks, new_chunks, old_chunks
from strongroom.engines.scanning.hdf5_file import Fields, Hdf5File, Message
from strongroom.engines.scanning.hdf5_heaps import heap_objects
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import (
    LimitError,
    Limits,
    MalformedError,
    SeekableStream,
)

# deflate, shuffle, fletcher32, szip, nbit, scale-offset: in HDF5 itself; LZF: in h5py.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))
_DEFLATE, _SHUFFLE, _FLETCHER = 1, 2, 3
_SIMPLE = frozenset((_DEFLATE, _FLETCHER))
_HARD, _SOFT, _EXTERNAL = 0, 1, 64
_TEXT, _OPAQUE, _VARIABLE = 3, 5, 9
_FIXED = 0
_UNDEFINED = 0xFF
_VALUE_BYTES = 16 << 20
_SOFT_CACHE = 2


@dataclass(frozen=True, slots=True)
class ChunkedBytes:
    """Text or bytes that lie in chunks.

    Attributes:
        places: start, size and whether it is packed by zlib, for each chunk in order.
        checksum_bytes: at the end of each.
    """

    places: list[tuple[int, int, bool]]
    checksum_bytes: int


@dataclass(slots=True)
class Hdf5Facts:
    """What is in a file.

    Attributes:
        problems: what is wrong.
        values: attributes that hold text or bytes: object path, name, value.
        raw: places in the file of datasets that hold text or bytes: start and size.
        chunked: the same where a dataset lies in chunks.
    """

    problems: list[Problem] = field(default_factory=list)
    values: list[tuple[str, str, bytes]] = field(default_factory=list)
    raw: list[tuple[int, int]] = field(default_factory=list)
    chunked: list[ChunkedBytes] = field(default_factory=list)


def walk_hdf5(stream: SeekableStream, size: int, limits: Limits, base: int = 0) -> Hdf5Facts:
    """Walks a file from its root.

    Args:
        base: where the file begins behind a block of the user's own.

    Raises:
        MalformedError: its structure is broken, or of a kind not known here.
        LimitError: it is larger than any honest one.
    """
    walk = _Walk(Hdf5File(stream, size, base), limits, base)
    walk.run()
    return walk.facts


@dataclass(frozen=True, slots=True)
class _Elements:
    """What the elements of a dataset are, and what they go through when they are read."""

    kind: int | None
    filters: tuple[int, ...]


class _Walk:
    def __init__(self, file: Hdf5File, limits: Limits, base: int) -> None:
        self._file = file
        self._limits = limits
        self._base = base
        self._queue: list[tuple[int, str]] = [(file.root, "/")]
        self._seen = {file.root}
        self._value_bytes = 0
        self.facts = Hdf5Facts()

    def run(self) -> None:
        if self._file.has_driver:
            self._problem("SR-HDF-001", "keeps its content in several files", "driver")
        while self._queue:
            address, path = self._queue.pop()
            self._object(address, path)

    def _problem(self, rule_id: str, says: str, subject: str) -> None:
        if len(self.facts.problems) < self._limits.findings:
            self.facts.problems.append(Problem(rule_id, says, None, subject[:200]))

    def _visit(self, address: int | None, path: str) -> None:
        if address is None:
            raise MalformedError("an HDF5 link to nowhere")
        if address in self._seen:
            return
        self._seen.add(address)
        if len(self._seen) > self._limits.members:
            raise LimitError("more HDF5 objects than the limit")
        self._queue.append((address, path[: self._limits.name_chars]))

    def _object(self, address: int, path: str) -> None:
        kind: int | None = None
        layout: Message | None = None
        filters: tuple[int, ...] = ()
        for message in self._file.messages(address):
            if message.kind == 0x03:  # datatype
                kind = None if message.shared else message.data[0] & 15 if message.data else None
            elif message.kind == 0x08:  # layout
                layout = message
            elif message.kind == 0x0B and not message.shared:  # filter pipeline
                filters = self._filters(self._fields(message.data), path)
            else:
                self._message(message, path)
        if layout is not None:
            self._layout(self._fields(layout.data), _Elements(kind, filters), path)

    def _fields(self, data: bytes) -> Fields:
        return self._file.fields(data)

    def _message(self, message: Message, path: str) -> None:
        if message.kind == 0x02:  # link info
            self._dense_links(message, path)
        elif message.kind == 0x06:  # link
            self._link(message.data, path)
        elif message.kind == 0x07:  # external data files
            says = "reads the data of a dataset from other files"
            self._problem("SR-HDF-001", says, path)
        elif message.kind == 0x0C:  # attribute
            self._attribute(message, path)
        elif message.kind == 0x11:  # symbol table
            self._old_group(self._fields(message.data), path)
        elif message.kind == 0x15:  # attribute info
            fields = self._fields(message.data)
            fields.take(1)
            fields.take(2 if fields.number(1) & 1 else 0)
            for data in heap_objects(self._file, fields.address(), fields.address()):
                self._attribute(Message(0x0C, False, data), path)

    # ---- links ----

    def _old_group(self, fields: Fields, path: str) -> None:
        tree, heap_at = fields.address(), fields.address()
        heap = self._file.local_heap(heap_at)
        width = 2 * self._file.address_bytes + 24
        for node in self._file.tree_leaves(tree):
            count = self._file.block(node, 8, b"SNOD").data[6:8]
            used = int.from_bytes(count, "little")
            entries = self._fields(self._file.read(node + 8, used * width))
            for _ in range(used):
                name_at, address = entries.number(self._file.address_bytes), entries.address()
                cache = entries.number(4)
                entries.take(20)
                if cache == _SOFT_CACHE:
                    continue  # to a path within the file, which is walked anyway
                self._visit(address, f"{path.rstrip('/')}/{_name(heap, name_at)}")

    def _dense_links(self, message: Message, path: str) -> None:
        fields = self._fields(message.data)
        fields.take(1)
        fields.take(8 if fields.number(1) & 1 else 0)
        for data in heap_objects(self._file, fields.address(), fields.address()):
            self._link(data, path)

    def _link(self, data: bytes, path: str) -> None:
        fields = self._fields(data)
        if fields.number(1) != 1:
            raise MalformedError("an HDF5 link of another version")
        flags = fields.number(1)
        kind = fields.number(1) if flags & 8 else _HARD
        fields.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
        name = fields.take(fields.number(1 << (flags & 3))).decode("utf-8", "replace")
        inner = f"{path.rstrip('/')}/{name}"
        if kind == _HARD:
            self._visit(fields.address(), inner)
        elif kind == _EXTERNAL:
            target = fields.take(fields.number(2))[1:].split(b"\x00")[0]
            shown = target.decode("utf-8", "replace")[:120]
            self._problem("SR-HDF-001", f"links into another file, `{shown}`", inner)
        elif kind != _SOFT:
            says = "holds a link that only a library of its own can follow"
            self._problem("SR-HDF-002", says, inner)

    # ---- data ----

    def _filters(self, fields: Fields, path: str) -> tuple[int, ...]:
        version, count = fields.number(1), fields.number(1)
        if version not in (1, 2):
            raise MalformedError("an HDF5 filter pipeline of another version")
        fields.take(6 if version == 1 else 0)
        numbers = []
        for _ in range(count):
            number = fields.number(2)
            numbers.append(number)
            named = version == 1 or number >= 256  # below it HDF5's own, without a name
            name_bytes = fields.number(2) if named else 0
            fields.take(2)  # flags
            values = fields.number(2)
            fields.take(-(-name_bytes // 8) * 8 if version == 1 else name_bytes)
            padding = 4 if version == 1 and values % 2 else 0
            fields.take(min(4 * values + padding, fields.left))
            if number not in _FILTERS:
                says = f"needs the filter {number}, a plugin that its reader would load"
                self._problem("SR-HDF-002", says, path)
        return tuple(numbers)

    def _layout(self, fields: Fields, elements: _Elements, path: str) -> None:
        version = fields.number(1)
        if version in (1, 2):
            dimensions, form = fields.number(1), fields.number(1)
            fields.take(5)
            if form == 2:
                address = fields.address()
                sizes = [fields.number(4) for _ in range(dimensions)]
                self._chunked(old_chunks(self._file, address, sizes), elements, path)
            return
        if version not in (3, 4, 5):
            raise MalformedError("an HDF5 layout of another version")
        form = fields.number(1)
        if form == 3:  # a virtual dataset, made of parts of others
            self._problem("SR-HDF-001", "is put together from datasets of other files", path)
        elif form > 3:
            raise MalformedError("an HDF5 layout of an unknown kind")
        if form == 2:
            self._chunked(self._chunks(fields, version), elements, path)
        if elements.kind not in (_TEXT, _OPAQUE, _FIXED):
            return
        if form == 0:
            self._keep(path, "", fields.take(fields.number(2)))
        elif form == 1:
            address, length = fields.address(), fields.length()
            self._raw(address, length)

    def _chunks(self, fields: Fields, version: int) -> Chunks:
        if version > 3:  # with indices of their own
            return new_chunks(self._file, fields)
        dimensions = fields.number(1)
        address = fields.address()
        return old_chunks(self._file, address, [fields.number(4) for _ in range(dimensions)])

    def _chunked(self, chunks: Chunks, elements: _Elements, path: str) -> None:
        """Text and bytes in chunks are kept to be looked at, where their filters are simple."""
        is_bytes = elements.kind == _FIXED and chunks.element_bytes == 1
        if elements.kind not in (_TEXT, _OPAQUE) and not is_bytes:
            return
        filters = [number for number in elements.filters if number != _SHUFFLE]
        was_shuffled = _SHUFFLE in elements.filters and chunks.element_bytes > 1
        if chunks.places is None or was_shuffled or not _SIMPLE.issuperset(filters):
            says = "keeps bytes in chunks that are not looked into"
            self._problem("SR-HDF-004", says, path)
            return
        places = [
            (address + self._base, size, _DEFLATE in filters and not mask)
            for address, size, mask in chunks.places
        ]
        if len(self.facts.chunked) < self._limits.members:
            self.facts.chunked.append(ChunkedBytes(places, 4 * filters.count(_FLETCHER)))

    def _raw(self, address: int | None, length: int | None) -> None:
        if address is None or length is None:
            return
        self._file.read(address + max(0, length - 1), min(length, 1))  # it lies in the file
        if len(self.facts.raw) < self._limits.members:
            self.facts.raw.append((address + self._base, length))

    # ---- attributes ----

    def _attribute(self, message: Message, path: str) -> None:
        if message.shared:
            return  # kept once for several objects; found in the heap of the superblock
        fields = self._fields(message.data)
        version = fields.number(1)
        if version not in (1, 2, 3):
            raise MalformedError("an HDF5 attribute of another version")
        flags = fields.number(1)
        sizes = [fields.number(2) for _ in range(3)]  # name, type, shape
        fields.take(1 if version == 3 else 0)
        pad = 8 if version == 1 else 1
        name_data, kind_data, _shape = (fields.take(-(-size // pad) * pad) for size in sizes)
        name = name_data.split(b"\x00")[0].decode("utf-8", "replace")
        value = fields.take(fields.left)
        if not kind_data:
            raise MalformedError("an HDF5 attribute without a type")
        if version > 1 and flags & 1:  # its type is kept elsewhere
            self._keep(path, name, value)
        elif kind_data[0] & 15 == _VARIABLE:
            self._variable(path, name, value)
        elif kind_data[0] & 15 in (_TEXT, _OPAQUE, _FIXED):
            self._keep(path, name, value)

    def _variable(self, path: str, name: str, value: bytes) -> None:
        """Values of variable length: how many bytes, the address of a heap, and which in it."""
        fields = self._fields(value)
        width = 8 + self._file.address_bytes
        for _ in range(min(len(value) // width, 4096)):
            fields.take(4)
            address, index = fields.address(), fields.number(4)
            if address and index:
                self._keep(path, name, self._file.global_heap(address, index))

    def _keep(self, path: str, name: str, value: bytes) -> None:
        self._value_bytes += len(value)
        if self._value_bytes > _VALUE_BYTES:
            raise LimitError("more text in HDF5 attributes than the limit")
        if value:
            self.facts.values.append((path, name, value))


def _name(heap: bytes, at: int) -> str:
    end = heap.find(b"\x00", at)
    if end < 0:
        raise MalformedError("an HDF5 name outside its heap")
    return heap[at:end].decode("utf-8", "replace")
