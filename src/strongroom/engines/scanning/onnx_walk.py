"""ONNX models, walked as protobuf without building them: where they reach outside themselves.

Source: onnx/onnx.proto (field numbers); protobuf encoding documentation.
"""

from collections.abc import Iterator

from strongroom.engines.scanning.archives import Problem, unsafe_name
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, Reader

# Domains whose operators ONNX and ONNX Runtime ship themselves.
_DOMAINS = frozenset(
    ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training")
) | {"com.microsoft"}
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_MAX_DEPTH = 32
_MAX_FIELDS = 20_000_000
_TEXT = 1 << 16


class _Walk:
    def __init__(self, reader: Reader, limits: Limits) -> None:
        self.reader = reader
        self.limits = limits
        self.fields = 0
        self.problems: list[Problem] = []
        self.external: list[str] = []
        self.domains: set[str] = set()

    def each(self, end: int | None, depth: int) -> Iterator[tuple[int, int, int]]:
        """Fields of a message up to `end`: number, wire type, and length or value."""
        if depth > _MAX_DEPTH:
            raise MalformedError("an ONNX graph nested too deep")
        reader = self.reader
        while (end is None and reader.peek(1)) or (end is not None and reader.offset < end):
            self.fields += 1
            if self.fields > _MAX_FIELDS:
                raise LimitError("more ONNX fields than the limit")
            key = self.varint()
            number, wire = key >> 3, key & 7
            if wire == 0:
                yield number, wire, self.varint()
            elif wire == 1:
                reader.skip(8)
            elif wire == 5:  # wire type of 32-bit values
                reader.skip(4)
            elif wire == 2:  # wire type of length-delimited values
                length = self.varint()
                after = reader.offset + length
                if end is not None and after > end:
                    raise MalformedError("an ONNX field beyond its message")
                yield number, wire, length
                if reader.offset > after:
                    raise MalformedError("an ONNX field beyond its message")
                reader.skip(after - reader.offset)
            else:
                raise MalformedError("an ONNX field of an unknown kind")
        if end is not None and reader.offset != end:
            raise MalformedError("an ONNX message with a strange length")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # no continuation bit
                return value
            shift += 7
            if shift > 63:  # bits of the largest varint
                raise MalformedError("an ONNX number that does not end")

    def text(self, length: int) -> str:
        if length > _TEXT:
            raise MalformedError("an ONNX text longer than any honest one")
        return self.reader.take(length).decode("utf-8", "replace")

    # ---- messages ----

    def model(self) -> None:
        seen = set()
        for number, wire, value in self.each(None, 0):
            if _MODEL_FIELDS.get(number) != wire:
                raise MalformedError("not an ONNX model")
            seen.add(number)
            if number == 7:  # graph
                self.graph(value, 1)
            elif number == 8:  # opset_import
                self.opset(value)
            elif number == 25:  # functions
                self.function(value)
            elif number == 20:  # training_info
                self.training(value)
        if not seen >= {7, 8}:
            raise MalformedError("not an ONNX model")

    def opset(self, length: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, 1):
            if number == 1 and wire == 2:  # domain
                self.domains.add(self.text(value))

    def training(self, length: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, 1):
            if number in (1, 2) and wire == 2:  # initialization, algorithm
                self.graph(value, 2)

    def function(self, length: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, 1):
            if number == 7 and wire == 2:  # node
                self.node(value, 2)
            elif number == 9 and wire == 2:  # opset_import
                self.opset(value)

    def graph(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if wire != 2:  # messages only
                continue
            if number == 1:
                self.node(value, depth + 1)
            elif number == 5:  # initializer
                self.tensor(value, depth + 1)
            elif number == 15:  # sparse_initializer
                self.sparse(value, depth + 1)

    def node(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number == 7 and wire == 2:  # domain
                self.domains.add(self.text(value))
            elif number == 5 and wire == 2:  # attribute
                self.attribute(value, depth + 1)

    def attribute(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if wire != 2:  # messages only
                continue
            if number in (5, 10):  # tensor, tensors
                self.tensor(value, depth + 1)
            elif number in (6, 11):  # graph, graphs
                self.graph(value, depth + 1)
            elif number in (22, 23):  # sparse tensors
                self.sparse(value, depth + 1)

    def sparse(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number in (1, 2) and wire == 2:  # values, indices
                self.tensor(value, depth + 1)

    def tensor(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number == 13 and wire == 2:  # external_data
                self.external_entry(value, depth + 1)

    def external_entry(self, length: int, depth: int) -> None:
        key = text = ""
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number == 1 and wire == 2:  # key
                key = self.text(value)
            elif number == 2 and wire == 2:  # value
                text = self.text(value)
        if key == "location":
            why = unsafe_name(text, self.limits)
            if why is not None:
                says = f"keeps tensor data at a path that {why}"
                self.problems.append(Problem("SR-ONX-001", says, self.reader.offset, text[:200]))
            elif text not in self.external:
                self.external.append(text)


def check_onnx(reader: Reader, limits: Limits) -> tuple[list[Problem], list[str]]:
    """What is wrong with an ONNX model, and the files beside it that hold its tensors.

    Raises:
        MalformedError: it is not an ONNX model.
        LimitError: it has more fields than the limit.
    """
    walk = _Walk(reader, limits)
    walk.model()
    for domain in sorted(walk.domains - _DOMAINS):
        says = f"needs operators of the domain `{domain[:80]}`, which a library of its own brings"
        walk.problems.append(Problem("SR-ONX-002", says, None, domain[:200]))
    return walk.problems, walk.external
