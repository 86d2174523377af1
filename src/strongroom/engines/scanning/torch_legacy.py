"""What torch wrote before its zip archives: pickles with raw tensors behind or between them.

The numbers are passed over; that they are all there, and nothing else, is what is looked at.

Source: torch 2.13, `torch/serialization.py`, `_legacy_load` and `_legacy_save`.
"""

import struct
from collections.abc import Callable

from strongroom.engines.scanning.reading import MalformedError, Reader
from strongroom.engines.scanning.symbols import Items, Symbol

_ELEMENT_BYTES = {
    "ByteStorage": 1, "CharStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
    "QInt8Storage": 1, "QUInt8Storage": 1, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
    "ShortStorage": 2, "HalfStorage": 2, "BFloat16Storage": 2,
    "IntStorage": 4, "FloatStorage": 4, "QInt32Storage": 4,
    "LongStorage": 8, "DoubleStorage": 8, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
}  # fmt: skip
_MAX_PARTS = 1_000_000
_MAX_NUMBERS = 1 << 48
_MAX_DIMENSIONS = 64


def pass_storages(reader: Reader, keys: object, kinds: dict[str, Symbol]) -> None:
    """Passes over the storages behind the five streams of a file of before 1.6.

    Args:
        keys: the value of the last stream, a list in the order of the storages.
        kinds: key of a storage → the class that the program asked it to be of.

    Raises:
        MalformedError: they break off, or are of a kind not known here.
    """
    if not isinstance(keys, Items) or keys.kind != "list":
        raise MalformedError("a torch file without the list of its storages")
    # Of a long list only the first keys are kept; torch writes them sorted.
    order = keys.items if keys.whole else sorted(kinds)
    if len(order) != keys.count:
        raise MalformedError("a torch file whose storages are not those of its tensors")
    for key in order:
        kind = kinds.get(key) if isinstance(key, str) else None
        if kind is None:
            raise MalformedError("a torch file with a storage that no tensor uses")
        _pass_storage(reader, kind)


def pass_tar_storages(reader: Reader, next_value: Callable[[], object]) -> None:
    """Passes over `storages` of the tar of before 0.1.10: a count, storages, views of them.

    Raises:
        MalformedError: it breaks off, or something follows.
    """
    for _ in range(_count(next_value())):
        value = next_value()
        kind = value[2] if isinstance(value, tuple) and len(value) == 3 else None  # key, place
        if not isinstance(kind, Symbol):
            raise MalformedError("a torch storage without its kind")
        _pass_storage(reader, kind)
    next_value()
    _at_end(reader)


def pass_tar_tensors(reader: Reader, next_value: Callable[[], object]) -> None:
    """Passes over `tensors` of the tar of before 0.1.10: a count, and where each tensor lies.

    Raises:
        MalformedError: it breaks off, or something follows.
    """
    for _ in range(_count(next_value())):
        next_value()
        dimensions = struct.unpack("<ii", reader.take(8))[0]
        if not 0 <= dimensions <= _MAX_DIMENSIONS:
            raise MalformedError("a torch tensor of strange dimensions")
        reader.skip(16 * dimensions + 8)  # sizes, strides, offset
    _at_end(reader)


def _pass_storage(reader: Reader, kind: Symbol) -> None:
    size = _ELEMENT_BYTES.get(kind.name) if kind.module.split(".")[0] == "torch" else None
    if size is None:
        raise MalformedError("a torch storage of a kind that is not known")
    (count,) = struct.unpack("<q", reader.take(8))
    if not 0 <= count <= _MAX_NUMBERS:
        raise MalformedError("a torch storage of a strange length")
    reader.skip_numbers(count * size)


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MAX_PARTS:
        raise MalformedError("a torch file without the count of its parts")
    return value


def _at_end(reader: Reader) -> None:
    if reader.peek(1):
        raise MalformedError("bytes behind the last tensor")
