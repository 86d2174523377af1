"""The graph of an ONNX model, followed back from its scores to its input; in the sandbox only.

All is seen as it is for one row alone: an axis of rows is 1 long wherever the graph moves it, so
what is computed of shapes is a number that stands there, and a product over rows never happens.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_MOST_CELLS = 1 << 25
"""That are computed and stand in a graph, of all arrays together."""
_SAME = frozenset(("Identity", "Dropout", "Cast", "ZipMap"))
_LAST = frozenset(("Softmax", "LogSoftmax", "Sigmoid", "Normalizer"))
_FOLDED = frozenset((
    "Add", "And", "Cast", "Concat", "ConstantOfShape", "Cos", "DequantizeLinear", "Div", "Equal",
    "Exp", "Expand", "Floor", "Gather", "Greater", "Identity", "Less", "Log", "Max", "Min", "Mod",
    "Mul", "Neg", "Not", "Or", "Pow", "Range", "Reciprocal", "ReduceProd", "ReduceSum", "Reshape",
    "Shape", "Sin", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose",
    "Trilu", "Unsqueeze", "Where",
))  # fmt: skip
"""Operators that are computed where all they take stands in the graph."""
_TWO = 2


class UnknownInsideError(Exception):
    """The graph is of no kind that is read here."""


def ending(data: bytes) -> str:
    """The operator that gives the scores; empty where the graph is not followed."""
    try:
        last = Graph(data).last
    except Exception:  # noqa: BLE001 # a graph may be anything; then nothing is known of its end
        return ""
    return last[0] if last else ""


class Graph:
    """What lies between a graph's input and its scores.

    Attributes:
        start, end: names of the input and of what the operators at the end take.
        nodes: between the two, in their order.
        last: operators at the end that keep the order of classes, the last one first.
        shape: of one row of the input.
        version: of ONNX's own operators.
    """

    def __init__(self, data: bytes) -> None:
        """Follow it. Raises: UnknownInsideError."""
        import onnx

        model = onnx.load_model_from_string(data)
        graph = model.graph
        self.version = max((one.version for one in model.opset_import if not one.domain), default=1)
        self._stored = {one.name: one for one in graph.initializer}
        self._known: dict[str, Array] = {}
        self._cells = 0
        self._made = {name: node for node in graph.node for name in node.output if name}
        inputs = [one for one in graph.input if one.name not in self._stored]
        if len(inputs) != 1 or not graph.output:
            raise UnknownInsideError
        dims = inputs[0].type.tensor_type.shape.dim
        self.shape = tuple(int(one.dim_value) for one in dims)[1:]
        self.start = inputs[0].name
        self.last: list[str] = []
        self.end = self._ended(graph.output[:_TWO][-1].name, len(graph.node))
        needed = self._needed()
        self.nodes = [node for node in graph.node if any(name in needed for name in node.output)]

    # ---- what stands in it ----

    def is_constant(self, name: str) -> bool:
        """Whether it stands in the graph."""
        return (
            name in self._known or name in self._stored
            or (name in self._made and self._made[name].op_type == "Constant")
        )  # fmt: skip

    def array(self, name: str) -> Array:
        """An array that stands in the graph. Raises: UnknownInsideError."""
        from onnx import TensorProto, numpy_helper

        if name in self._known:
            return self._known[name]
        tensor = self._stored.get(name)
        if tensor is None and name in self._made and self._made[name].op_type == "Constant":
            return self._constant(self._made[name])
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            raise UnknownInsideError
        return np.asarray(numpy_helper.to_array(tensor))

    def constant(self, name: str) -> NDArray[np.float64]:
        """The same as numbers. Raises: UnknownInsideError."""
        return np.asarray(self.array(name), np.float64)

    def keep(self, name: str, value: Array) -> None:
        """Let an array stand in the graph. Raises: UnknownInsideError: too much would."""
        self._cells += value.size
        if self._cells > _MOST_CELLS:
            raise UnknownInsideError
        self._known[name] = value

    def folded(self, node: Any) -> bool:  # noqa: ANN401 # protobuf
        """Whether all that a node takes stands in the graph; then what it makes does, too.

        Raises: UnknownInsideError: it is no operator that is computed here.
        """
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        if node.op_type == "Constant":
            return True
        if not all(self.is_constant(name) for name in node.input if name):
            return False
        if node.op_type not in _FOLDED or node.domain:
            raise UnknownInsideError
        names = [name for name in node.input if name]
        made = helper.make_graph(
            [node], "one",
            [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)],
            [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )  # fmt: skip
        opset = helper.make_opsetid("", self.version)
        alone = helper.make_model(made, opset_imports=[opset])
        found = ReferenceEvaluator(alone).run(None, {name: self.array(name) for name in names})
        for name, value in zip([one for one in node.output if one], found, strict=True):
            self.keep(name, np.asarray(value))
        return True

    @staticmethod
    def _constant(node: Any) -> Array:  # noqa: ANN401 # protobuf
        from onnx import TensorProto, helper, numpy_helper

        [given] = node.attribute
        value = helper.get_attribute_value(given)
        if given.name == "value" and value.data_location != TensorProto.EXTERNAL:
            return np.asarray(numpy_helper.to_array(value))
        if given.name in {"value_float", "value_floats"}:
            return np.asarray(value, np.float32)
        if given.name in {"value_int", "value_ints"}:
            return np.asarray(value, np.int64)
        raise UnknownInsideError

    # ---- its way ----

    def _ended(self, name: str, most: int) -> str:
        """What the operators at the end take that keep the order of classes."""
        for _ in range(most + 1):
            node = self._made.get(name)
            if node is None:
                return name
            if node.op_type == "Concat" and (rest := self._of_two(node)):
                name = rest
                continue
            inputs = [one for one in node.input if one and not self.is_constant(one)]
            if node.op_type not in _SAME | _LAST or len(inputs) != 1:
                return name
            if node.op_type in _LAST:
                self.last.append(node.op_type)
            name = inputs[0]
        raise UnknownInsideError

    def _of_two(self, node: Any) -> str:  # noqa: ANN401 # protobuf
        """The second of (1 - p, p); empty: it is no such pair."""
        first, second = node.input if len(node.input) == _TWO else ("", "")
        other = self._made.get(first)
        is_rest = (
            other is not None and other.op_type == "Sub" and other.input[1] == second
            and self.is_constant(other.input[0]) and (self.constant(other.input[0]) == 1).all()
        )  # fmt: skip
        is_pair = is_rest and second in self._made and self._made[second].op_type == "Sigmoid"
        return str(second) if is_pair else ""

    def _needed(self) -> set[str]:
        """Names of all that the end is made of. Raises: UnknownInsideError: not of the input."""
        needed: set[str] = set()
        pending = [self.end]
        while pending:
            name = pending.pop()
            if not name or name in needed or name in self._stored:
                continue
            needed.add(name)
            if name == self.start:
                continue
            if name not in self._made:
                raise UnknownInsideError
            pending += list(self._made[name].input)
        if self.start not in needed:
            raise UnknownInsideError
        return needed


def attributes(node: Any) -> Mapping[str, Any]:  # noqa: ANN401 # protobuf
    """Of a node, by name."""
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}
