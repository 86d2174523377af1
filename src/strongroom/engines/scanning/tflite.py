"""TensorFlow Lite models: which operators they need from outside the runtime.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import struct

from strongroom.engines.scanning.flatbuffers import FlatBuffer
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.tensorflow_operators import (
    CALLS_PYTHON,
    COMPUTES,
    REACHES_FILES,
    REACHES_NETWORK,
)

MAGIC = b"TFL3"
_CODES, _SUBGRAPHS, _BUFFERS = 1, 2, 4
_CUSTOM = 32
_BYTE, _INT, _ULONG = struct.Struct("<B"), struct.Struct("<i"), struct.Struct("<Q")
_FLEX = "Flex"  # an operator of TensorFlow itself, run by its own runtime


def check_tflite(data: bytes, size: int) -> list[Problem]:
    """What is wrong with a model.

    Args:
        data: the file, or its first 2 GiB: no FlatBuffer is longer.
        size: bytes of the whole file, behind which large weights may stand.

    Raises:
        MalformedError: it cannot be walked.
    """
    if data[4:8] != MAGIC:
        raise MalformedError("not a TensorFlow Lite model")
    buffer = FlatBuffer(data)
    model = buffer.root()
    problems: dict[str, Problem] = {}
    for code in buffer.tables(model, _CODES):
        kind = max(buffer.scalar(code, 0, _BYTE), buffer.scalar(code, 3, _INT))
        name = buffer.text(code, 1)
        if kind == _CUSTOM or name:
            found = _judge(name)
            if found is not None:
                problems.setdefault(name, found)
    if not buffer.tables(model, _SUBGRAPHS):
        raise MalformedError("a TensorFlow Lite model without a graph")
    for subgraph in buffer.tables(model, _SUBGRAPHS):
        for part in (0, 3):  # tensors, operators
            for table in buffer.tables(subgraph, part):
                buffer.field(table, 0)
    for entry in buffer.tables(model, _BUFFERS):
        buffer.vector(entry, 0, 1)
        offset, length = buffer.scalar(entry, 1, _ULONG), buffer.scalar(entry, 2, _ULONG)
        if offset > 1 and offset + length > size:
            raise MalformedError("a TensorFlow Lite model that breaks off")
    return list(problems.values())


def _judge(name: str) -> Problem | None:
    shown = name[:80] or "?"
    if name.startswith(_FLEX):
        operator = name[len(_FLEX) :]
        if operator in REACHES_FILES | REACHES_NETWORK:
            says = f"reads or writes files or the network by `{shown}`"
            return Problem("SR-TFM-001", says, None, name[:200])
        if operator in CALLS_PYTHON:
            says = f"calls Python functions of the process that loads it, by `{shown}`"
            return Problem("SR-TFM-002", says, None, name[:200])
        if operator in COMPUTES:
            return None
    says = f"needs the operator `{shown}`, which a library of its own brings"
    return Problem("SR-TFM-003", says, None, name[:200])
