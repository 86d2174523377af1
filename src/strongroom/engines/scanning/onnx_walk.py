"""ONNX models, walked as protobuf without building them: where they reach outside themselves.

Source: onnx/onnx.proto (field numbers); protobuf encoding documentation.
"""

from dataclasses import dataclass, field

from strongroom.engines.scanning.archives import unsafe_name
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.protobuf import ProtobufWalk
from strongroom.engines.scanning.reading import Limits, MalformedError, Reader
from strongroom.engines.scanning.training_rows import KeptRows

# Domains whose operators ONNX and ONNX Runtime ship themselves.
_DOMAINS = frozenset(
    ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training")
) | {"com.microsoft"}
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
# Of a tensor: float_data, int32_data, int64_data, raw_data, double_data, uint64_data.
_NUMBERS = frozenset((4, 5, 7, 9, 10, 11))
# Operators of ONNX Runtime that call Python functions of the process that runs the model.
_PYTHON_OPERATORS = frozenset((("com.microsoft", "PythonOp"), ("com.microsoft", "PythonOpGrad")))


_SUPPORT_COUNTS = frozenset(("vectors_per_class", "n_supports"))
# Operators that compare a row with all rows of another table.
_COMPARING = frozenset(("Scan", "CDist"))
_FLOAT_BYTES, _FLOAT_FIELD_BYTES = 4, 5
_MAX_DIMENSIONS = 16


@dataclass(slots=True)
class _Graph:
    """What tells the rows of a training table from weights.

    Attributes:
        tables: initializers of two dimensions, with their shape.
        compared: inputs of operators that compare rows.
    """

    operators: set[str] = field(default_factory=set)
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)


class _Walk(ProtobufWalk):
    def __init__(self, reader: Reader, limits: Limits) -> None:
        super().__init__(reader)
        self.limits = limits
        self.problems: list[Problem] = []
        self.external: list[str] = []
        self.domains: set[str] = set()
        self.own_domains: set[str] = set()
        self.operators: set[tuple[str, str]] = set()
        self.operators_here = _Graph()

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
            elif number == 10 and wire == 2:  # domain
                self.own_domains.add(self.text(value))
            elif number == 11 and wire == 2:  # attribute_proto
                self.attribute(value, 2)

    def graph(self, length: int, depth: int) -> None:
        self.operators_here, outer = _Graph(), self.operators_here
        self.graph_fields(length, depth)
        here, self.operators_here = self.operators_here, outer
        if "TopK" in here.operators:  # neighbours, sought among rows that lie in the graph
            for name in here.compared & here.tables.keys():
                rows, columns = here.tables[name]
                self.keep_rows(KeptRows("the rows of a neighbours' model", rows, columns,
                                        _FLOAT_BYTES * rows * columns))  # fmt: skip

    def keep_rows(self, rows: KeptRows) -> None:
        if rows.are_many:
            self.problems.append(rows.problem())

    def graph_fields(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if wire != 2:  # messages only
                continue
            if number == 1:
                self.node(value, depth + 1)
            elif number == 5:  # initializer
                name, dims = self.tensor(value, depth + 1)
                if len(dims) == 2:  # rows and columns
                    self.operators_here.tables[name] = (dims[0], dims[1])
            elif number == 15:  # sparse_initializer
                self.sparse(value, depth + 1)

    def node(self, length: int, depth: int) -> None:
        domain = operator = ""
        inputs: list[str] = []
        vectors = rows = 0
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number == 1 and wire == 2:  # input
                inputs.append(self.text(value))
            elif number == 7 and wire == 2:  # domain
                domain = self.text(value)
            elif number == 4 and wire == 2:  # op_type
                operator = self.text(value)
            elif number == 5 and wire == 2:  # attribute
                name, total = self.attribute(value, depth + 1)
                if name == "support_vectors":
                    vectors = _FLOAT_BYTES * (value // _FLOAT_FIELD_BYTES)
                elif name in _SUPPORT_COUNTS:
                    rows = total
        self.domains.add(domain)
        self.operators_here.operators.add(operator)
        if operator in _COMPARING:
            self.operators_here.compared.update(inputs)
        if operator.startswith("SVM") and rows > 0:
            columns = vectors // (_FLOAT_BYTES * rows)
            self.keep_rows(KeptRows(f"{operator}.support_vectors", rows, columns, vectors))
        if (domain, operator) in _PYTHON_OPERATORS:
            self.operators.add((domain, operator))

    def attribute(self, length: int, depth: int) -> tuple[str, int]:
        """Its name, and the sum of its integers."""
        name, total = "", 0
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number in (3, 8) and wire == 0:  # i, ints
                total += value
            if wire != 2:  # messages only
                continue
            if number == 1:
                name = self.text(value)
            elif number in (5, 10):  # tensor, tensors
                self.tensor(value, depth + 1)
            elif number in (6, 11):  # graph, graphs
                self.graph(value, depth + 1)
            elif number in (22, 23):  # sparse tensors
                self.sparse(value, depth + 1)
        return name, total

    def sparse(self, length: int, depth: int) -> None:
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number in (1, 2) and wire == 2:  # values, indices
                self.tensor(value, depth + 1)

    def tensor(self, length: int, depth: int) -> tuple[str, list[int]]:
        """Its name and shape."""
        name, dims = "", list[int]()
        for number, wire, value in self.each(self.reader.offset + length, depth):
            if number == 1 and wire == 0 and len(dims) < _MAX_DIMENSIONS:
                dims.append(value)
            elif number == 8 and wire == 2:
                name = self.text(value)
            elif number in _NUMBERS and wire == 2:
                self.reader.skip_numbers(value)
            elif number == 13 and wire == 2:  # external_data
                self.external_entry(value, depth + 1)
        return name, dims

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
    for domain, operator in sorted(walk.operators):
        says = f"calls Python functions of the process that runs it, by `{operator}`"
        walk.problems.append(Problem("SR-ONX-002", says, None, f"{domain}.{operator}"))
    # Functions that the model defines itself are made of operators that are looked at as well.
    for domain in sorted(walk.domains - _DOMAINS - walk.own_domains):
        says = f"needs operators of the domain `{domain[:80]}`, which a library of its own brings"
        walk.problems.append(Problem("SR-ONX-002", says, None, domain[:200]))
    return walk.problems, walk.external
