"""GGUF: weights as data, with a chat template that some loader will render.

Source: GGUF specification of ggml; block sizes of gguf 0.19, `constants.GGML_QUANT_SIZES`.
"""

import struct

from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, Reader
from strongroom.engines.scanning.templates import MAX_TEMPLATE, check_template
from strongroom.engines.scanning.training_rows import named_rows

_GGUF_TYPES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_UINT32, _GGUF_STRING, _GGUF_ARRAY = 4, 8, 9
_GGUF_MAX_ITEMS = 4_000_000
_GGUF_MAX_DIMENSIONS = 8
_GGUF_ALIGNMENT = 32
# Numbers in a block and bytes of it, by the type of a tensor.
_GGUF_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip


def check_gguf(reader: Reader, limits: Limits) -> list[Problem]:
    """Walks a GGUF file, reads its chat templates, and sees that its tensors are there."""
    problems: list[Problem] = []
    alignment = _GGUF_ALIGNMENT
    if reader.take(4) != b"GGUF":
        raise MalformedError("no GGUF header")
    version, tensors, pairs = struct.unpack("<IQQ", reader.take(20))
    if version not in (2, 3):
        raise MalformedError("a GGUF format of another version")
    if pairs > limits.members:
        raise LimitError("more GGUF keys than the limit")
    for _ in range(pairs):
        key = _gguf_string(reader, 1 << 16)
        (kind,) = struct.unpack("<I", reader.take(4))
        at = reader.offset
        if key == "general.alignment" and kind == _GGUF_UINT32:
            alignment = struct.unpack("<I", reader.take(4))[0] or _GGUF_ALIGNMENT
        elif kind == _GGUF_STRING and "chat_template" in key:
            found = check_template(_gguf_string(reader, MAX_TEMPLATE))
            problems.extend(Problem(one.rule_id, one.says, at, key) for one in found)
        else:
            _gguf_skip(reader, kind, 0)
    if tensors > limits.members:
        raise LimitError("more GGUF tensors than the limit")
    end = max((_tensor_end(reader, problems) for _ in range(tensors)), default=0)
    reader.skip(-reader.offset % alignment if tensors else 0)
    reader.skip_numbers(end)
    return problems


def _tensor_end(reader: Reader, problems: list[Problem]) -> int:
    """Where the numbers of a tensor end, counted from where those of all begin."""
    name = _gguf_string(reader, 1 << 16)
    (dimensions,) = struct.unpack("<I", reader.take(4))
    if dimensions > _GGUF_MAX_DIMENSIONS:
        raise MalformedError("a GGUF tensor with a strange shape")
    count = 1
    lengths = struct.unpack(f"<{dimensions}Q", reader.take(8 * dimensions))
    for length in lengths:
        count = min(count * length, 1 << 60)
    kind, offset = struct.unpack("<IQ", reader.take(12))
    block, width = _GGUF_BLOCKS.get(kind, (1, 0))  # of an unknown type: at least its start
    size = -(-count // block) * width
    # The dimension that changes fastest stands first.
    kept = named_rows(name, lengths[::-1], -(-size // max(1, count)))
    problems.extend(rows.problem() for rows in kept)
    return int(offset) + size


def _gguf_string(reader: Reader, limit: int) -> str:
    (length,) = struct.unpack("<Q", reader.take(8))
    if length > limit:
        raise MalformedError("a GGUF text longer than any honest one")
    return reader.take(length).decode("utf-8", "replace")


def _gguf_skip(reader: Reader, kind: int, depth: int) -> None:
    if kind in _GGUF_TYPES:
        reader.skip(_GGUF_TYPES[kind])
    elif kind == _GGUF_STRING:
        (length,) = struct.unpack("<Q", reader.take(8))
        reader.skip(length)
    elif kind == _GGUF_ARRAY and depth < 2:  # arrays of arrays are rare, deeper ones absurd
        inner, count = struct.unpack("<IQ", reader.take(12))
        if inner in _GGUF_TYPES:
            reader.skip(_GGUF_TYPES[inner] * count)
            return
        if count > _GGUF_MAX_ITEMS:
            raise LimitError("a GGUF array over the limit")
        for _ in range(count):
            _gguf_skip(reader, inner, depth + 1)
    else:
        raise MalformedError("a GGUF value of an unknown type")
