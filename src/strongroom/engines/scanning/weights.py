"""Formats that hold weights as data: NumPy arrays and safetensors.

Source: numpy.lib.format (NEP 1); safetensors README, "Format".
"""

import ast
import json
import re
import struct
from dataclasses import dataclass
from math import prod

from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, Reader
from strongroom.engines.scanning.training_rows import named_rows

_NUMPY_HEADER_MAX = 1 << 16
_NUMBERS = frozenset("?bBiufcmM")
# What Python holds for an object with a key, for a list, and for a value, at most some 60 bytes.
_JSON_BYTES = {b"{": 240, b"[": 64, b",": 64}
_JSON_HELD_BYTES = 320 << 20
_SAFETENSORS_HEADER_MAX = 100_000_000  # the format's own limit
_SAFETENSORS_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "F64": 8, "I64": 8, "U64": 8, "C64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What a `.npy` header tells."""

    holds_objects: bool
    data_bytes: int
    is_numbers: bool
    shape: tuple[int, ...]
    item_bytes: int


def read_npy_header(reader: Reader) -> ArrayHeader:
    """Reads the header of a `.npy` file; the reader then stands at its data.

    Raises:
        MalformedError: it is not one that NumPy writes.
    """
    if reader.take(6) != b"\x93NUMPY":
        raise MalformedError("no NumPy header")
    major = reader.take(2)[0]
    if major not in (1, 2, 3):
        raise MalformedError("a NumPy format of another version")
    width = "<H" if major == 1 else "<I"
    (length,) = struct.unpack(width, reader.take(struct.calcsize(width)))
    if length > _NUMPY_HEADER_MAX:
        raise MalformedError("a NumPy header larger than any honest one")
    text = reader.take(length).decode(
        "latin-1" if major < 3 else "utf-8", "replace"
    )  # version 3 is UTF-8
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise MalformedError("a NumPy header that is no dictionary") from error
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise MalformedError("a NumPy header with other fields than it should have")
    shape = header["shape"]
    plain = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)
    if not plain:
        raise MalformedError("a NumPy header with a strange shape")
    count = 1
    for length_ in shape:
        count = min(count * length_, 1 << 60)
    itemsize, has_object = _descr(header["descr"], 0)
    descr = header["descr"]
    is_numbers = isinstance(descr, str) and descr.lstrip("<>=|")[:1] in _NUMBERS
    data_bytes = 0 if has_object else count * itemsize
    return ArrayHeader(has_object, data_bytes, is_numbers, shape, itemsize)


def _descr(descr: object, depth: int) -> tuple[int, bool]:
    """Bytes of an element and whether it holds Python objects, from a dtype description."""
    if depth > 16:  # deeper than any honest type
        raise MalformedError("a NumPy type nested too deep")
    if isinstance(descr, str):
        found = re.fullmatch(r"[<>=|]?([?bBiufcSUVOMm])(\d*)(\[[^\]]*\])?", descr)
        if found is None:
            raise MalformedError("a NumPy type that is unknown")
        size = int(found[2] or 1) * (4 if found[1] == "U" else 1)
        return size, found[1] == "O"
    if isinstance(descr, tuple) and len(descr) == 2:  # type, shape
        size, has_object = _descr(descr[0], depth + 1)
        return size * _product(descr[1]), has_object
    if isinstance(descr, list):
        total, any_object = 0, False
        for field in descr:
            if not isinstance(field, tuple) or len(field) not in (2, 3):
                raise MalformedError("a NumPy type with a strange field")
            size, has_object = _descr(field[1], depth + 1)
            total += size * (_product(field[2]) if len(field) == 3 else 1)  # name, type, shape
            any_object = any_object or has_object
        return total, any_object
    raise MalformedError("a NumPy type that is unknown")


def _product(shape: object) -> int:
    lengths = shape if isinstance(shape, tuple) else (shape,)
    product = 1
    for length in lengths:
        if type(length) is not int or not 0 <= length < 1 << 32:
            raise MalformedError("a NumPy type with a strange shape")
        product = min(product * length, 1 << 60)
    return product


def looks_like_safetensors(head: bytes) -> bool:
    """Whether the bytes begin with a length and a JSON object."""
    if len(head) < 10:  # length and `{}`
        return False
    (length,) = struct.unpack_from("<Q", head)
    return 2 <= length <= _SAFETENSORS_HEADER_MAX and head[8:9] == b"{"


def check_safetensors(reader: Reader, limits: Limits) -> list[Problem]:
    """Whether header and data of a safetensors file fit each other exactly."""
    (length,) = struct.unpack("<Q", reader.take(8))
    if length > min(_SAFETENSORS_HEADER_MAX, limits.header_bytes):
        raise LimitError("a safetensors header over the limit")
    header = load_json(reader.take(length))
    if not isinstance(header, dict):
        raise MalformedError("a safetensors header that is no object")
    spans: list[tuple[int, int]] = []
    problems: list[Problem] = []
    for name, entry in header.items():
        if name == "__metadata__":
            if not isinstance(entry, dict) or not all(isinstance(v, str) for v in entry.values()):
                raise MalformedError("safetensors metadata that is not text")
            continue
        start, end, shape = _tensor_span(entry)
        spans.append((start, end))
        kept = named_rows(name, shape, (end - start) // max(1, prod(shape)))
        problems.extend(rows.problem() for rows in kept)
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise MalformedError("safetensors data with gaps or overlaps")
        at = end
    reader.skip_numbers(at)
    if reader.peek(1):
        raise MalformedError("bytes behind the last tensor")
    return problems


def _tensor_span(entry: object) -> tuple[int, int, tuple[int, ...]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise MalformedError("a tensor with other fields than it should have")
    offsets, shape = entry["data_offsets"], entry["shape"]
    numbers = (
        isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    )  # start, end
    if not numbers or not all(type(n) is int and 0 <= n < 1 << 60 for n in (*shape, *offsets)):
        raise MalformedError("a tensor with a strange shape or place")
    count = 1
    for length in shape:
        count = min(count * length, 1 << 60)
    width = _SAFETENSORS_BYTES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if offsets[1] < offsets[0] or (width and offsets[1] - offsets[0] != count * width):
        raise MalformedError("a tensor whose place does not fit its shape")
    return offsets[0], offsets[1], tuple(shape)


def load_json(data: bytes) -> object:
    """A JSON value; a key twice in one object is refused, as readers differ in which they take.

    Raises:
        MalformedError: it is not JSON, nested too deep, or has a key twice.
        LimitError: it would take too much memory to hold.
    """
    held = len(data) + sum(size * data.count(sign) for sign, size in _JSON_BYTES.items())
    if held > _JSON_HELD_BYTES:
        raise LimitError("JSON of more values than the limit")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise MalformedError("a JSON object with a key twice")
        return found

    try:
        return json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise MalformedError("JSON that cannot be parsed") from error
