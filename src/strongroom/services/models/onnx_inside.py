"""The inside of an ONNX model as layers or trees of plain numbers; runs in the sandbox only.

The graph is followed back from the output that holds the scores to the input, along one path: a
network with branches that meet again, or an operator that is not known here, has no inside. What
comes last and keeps the order of classes (softmax, a logistic, a normalization) is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.layers import (
    Activation,
    Convolution,
    Full,
    Layer,
    Pool,
    Reshape,
    Scale,
    Shape,
    Transpose,
    Window,
)
from strongroom.services.models.onnx_trees import TREES, trees_of

Numbers = NDArray[np.float64]
_MOST_STEPS = 500
_SAME = frozenset(("Identity", "Dropout", "Cast", "ZipMap"))
_LAST = frozenset(("Softmax", "LogSoftmax", "Sigmoid", "Normalizer"))
_TWO = 2


class UnknownInsideError(Exception):
    """The graph is of no kind that is read here."""


def ending(data: bytes) -> str:
    """The operator that gives the scores; empty where the graph is not followed."""
    try:
        last = Path(data).last
    except Exception:  # noqa: BLE001 # a graph may be anything; then nothing is known of its end
        return ""
    return last[0] if last else ""


class Path:
    """The way of the numbers through a graph, from its input to its scores.

    Attributes:
        nodes: in that order.
        last: operators at the end that keep the order of classes, the last one first.
        shape: of one row of the input.
    """

    def __init__(self, data: bytes) -> None:
        """Follow it. Raises: UnknownInsideError."""
        import onnx

        graph = onnx.load_model_from_string(data).graph
        self._constants = {one.name: one for one in graph.initializer}
        self._made = {name: node for node in graph.node for name in node.output if name}
        inputs = [one for one in graph.input if one.name not in self._constants]
        if len(inputs) != 1 or not graph.output:
            raise UnknownInsideError
        dims = inputs[0].type.tensor_type.shape.dim
        self.shape: Shape = tuple(int(one.dim_value) for one in dims)[1:]
        self.last: list[str] = []
        self.nodes: list[Any] = []
        self._follow(graph.output[:2][-1].name, inputs[0].name)
        self.nodes.reverse()

    def constant(self, name: str) -> Numbers:
        """An array that stands in the graph. Raises: UnknownInsideError."""
        from onnx import TensorProto, numpy_helper

        tensor = self._constants.get(name)
        if tensor is None and name in self._made and self._made[name].op_type == "Constant":
            found = [one.t for one in self._made[name].attribute if one.name == "value"]
            tensor = found[0] if found else None
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            raise UnknownInsideError
        return np.asarray(numpy_helper.to_array(tensor), np.float64)

    def is_constant(self, name: str) -> bool:
        """Whether it stands in the graph."""
        return name in self._constants or (
            name in self._made and self._made[name].op_type == "Constant"
        )

    def _follow(self, name: str, start: str) -> None:
        is_end = True
        for _ in range(_MOST_STEPS):
            if name == start:
                return
            node = self._made.get(name)
            if node is None:
                raise UnknownInsideError
            if is_end and node.op_type == "Concat":
                name = self._of_two(node)
                continue
            inputs = [one for one in node.input if one and not self.is_constant(one)]
            if len(inputs) != 1:
                raise UnknownInsideError
            if is_end and node.op_type in _LAST:
                self.last.append(node.op_type)
            elif node.op_type not in _SAME:
                is_end = False
                self.nodes.append(node)
            name = inputs[0]
        raise UnknownInsideError

    def _of_two(self, node: Any) -> str:  # noqa: ANN401 # protobuf
        """Of (1 - p, p), p."""
        first, second = node.input if len(node.input) == _TWO else ("", "")
        other = self._made.get(first)
        is_rest = (
            other is not None and other.op_type == "Sub" and other.input[1] == second
            and self.is_constant(other.input[0]) and (self.constant(other.input[0]) == 1).all()
        )  # fmt: skip
        if not is_rest or self._made[second].op_type != "Sigmoid":
            raise UnknownInsideError
        return str(second)


def inside_of(data: bytes) -> tuple[str, Sequence[Layer], Sequence[Numbers], Shape]:
    """Kind, layers, arrays of trees behind them, and the shape of a row.

    Returns: `layers`, or `trees`; then the layers scale the input.
    Raises: UnknownInsideError: it has none that is known; or anything of the library's, for a graph
    that is none.
    """
    path = Path(data)
    layers: list[Layer] = []
    shape = path.shape
    for at, node in enumerate(path.nodes):
        if node.op_type in TREES:
            if at + 1 < len(path.nodes):
                raise UnknownInsideError
            return "trees", layers, trees_of(node.op_type, _attributes(node)), path.shape
        for layer in _layers(path, node, shape):
            shape = layer.after(shape)
            layers.append(layer)
    return "layers", layers, (), path.shape


def _attributes(node: Any) -> dict[str, Any]:  # noqa: ANN401 # protobuf
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _layers(path: Path, node: Any, shape: Shape) -> list[Layer]:  # noqa: ANN401 # protobuf
    """The layers that a node stands for."""
    given = _attributes(node)
    match node.op_type:
        case "Gemm" | "MatMul" | "LinearClassifier" | "LinearRegressor":
            return [_full(path, node, given)]
        case "Add" | "Sub" | "Mul" | "Div" | "Scaler" | "BatchNormalization":
            return [_scale(path, node, given, shape)]
        case "Relu":
            return [Activation("relu")]
        case "Tanh":
            return [Activation("tanh")]
        case "Sigmoid":
            return [Activation("logistic")]
        case "LeakyRelu":
            return [Activation("leaky", float(given.get("alpha", 0.01)))]
        case "Elu":
            return [Activation("elu", float(given.get("alpha", 1.0)))]
        case "Clip":
            low, high = (path.constant(one).item() for one in node.input[1:3])
            return [Activation("clip", low, high)]
        case "Flatten" if given.get("axis", 1) == 1:
            return [Reshape((int(np.prod(shape)),))]
        case "Reshape":
            return [Reshape(_reshaped(path.constant(node.input[1]), shape))]
        case "Transpose" if given["perm"][0] == 0:
            return [Transpose(tuple(one - 1 for one in given["perm"][1:]))]
        case "Conv" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "ReduceMean":
            return _windowed(path, node, given, shape)
        case _:
            raise UnknownInsideError


def _full(path: Path, node: Any, given: Mapping[str, Any]) -> Full:  # noqa: ANN401 # protobuf
    if node.op_type.startswith("Linear"):
        biases = np.asarray(given.get("intercepts", [0.0]), np.float64)
        weight = np.asarray(given["coefficients"], np.float64).reshape(len(biases), -1).T
        return Full(weight, biases)
    if path.is_constant(node.input[0]):
        raise UnknownInsideError
    weight = path.constant(node.input[1])
    if node.op_type == "MatMul":
        return Full(weight, np.zeros(weight.shape[-1]))
    if given.get("transA"):
        raise UnknownInsideError
    weight = given.get("alpha", 1.0) * (weight.T if given.get("transB") else weight)
    bias = np.zeros(weight.shape[1])
    if len(node.input) > _TWO and node.input[2]:
        bias = bias + given.get("beta", 1.0) * path.constant(node.input[2]).reshape(-1)
    return Full(weight, bias)


def _scale(path: Path, node: Any, given: Mapping[str, Any], shape: Shape) -> Scale:  # noqa: ANN401 # protobuf
    one, nothing = np.ones(1), np.zeros(1)
    if node.op_type == "Scaler":
        factor = np.asarray(given["scale"], np.float64)
        return Scale(factor, -np.asarray(given["offset"], np.float64) * factor)
    if node.op_type == "BatchNormalization":
        by, plus, mean, variance = (path.constant(name) for name in node.input[1:5])
        factor = by / np.sqrt(variance + given.get("epsilon", 1e-5))
        form = (-1, *(1 for _ in shape[1:]))
        return Scale(factor.reshape(form), (plus - mean * factor).reshape(form))
    is_first = path.is_constant(node.input[0])
    value = path.constant(node.input[0 if is_first else 1])
    if value.ndim > len(shape):  # the axis of rows, which must say nothing
        if value.shape[0] != 1:
            raise UnknownInsideError
        value = value[0]
    match node.op_type:
        case "Add":
            return Scale(one, value)
        case "Mul":
            return Scale(value, nothing)
        case "Sub":
            return Scale(-one, value) if is_first else Scale(one, -value)
        case _ if not is_first and (value != 0).all():
            return Scale(1 / value, nothing)
        case _:
            raise UnknownInsideError


def _reshaped(asked: Numbers, shape: Shape) -> Shape:
    """What a row becomes: 0 keeps an axis, -1 takes what is left; the first is that of rows."""
    numbers = [int(one) for one in asked.reshape(-1)]
    made = [shape[at - 1] if one == 0 and 0 < at <= len(shape) else one
            for at, one in enumerate(numbers)][1:]  # fmt: skip
    if made.count(-1) > 1:
        raise UnknownInsideError
    if -1 in made:
        known = int(np.prod([one for one in made if one != -1]))
        made[made.index(-1)] = int(np.prod(shape)) // max(known, 1)
    return tuple(made)


def _windowed(path: Path, node: Any, given: Mapping[str, Any], shape: Shape) -> list[Layer]:  # noqa: ANN401 # protobuf
    if len(shape) != 3:
        raise UnknownInsideError
    image = (shape[1], shape[2])
    if node.op_type == "GlobalAveragePool":
        return [Pool("mean", Window(image))]
    if node.op_type == "ReduceMean":
        axes = path.constant(node.input[1]) if len(node.input) > 1 else given.get("axes", [])
        if sorted(int(one) % 4 for one in np.ravel(axes)) != [2, 3]:
            raise UnknownInsideError
        means: list[Layer] = [Pool("mean", Window(image))]
        return means if given.get("keepdims", 1) else [*means, Reshape((shape[0],))]
    if given.get("ceil_mode") or given.get("storage_order"):
        raise UnknownInsideError
    if node.op_type == "Conv":
        weight = path.constant(node.input[1])
        bias = path.constant(node.input[2]) if len(node.input) > _TWO else np.zeros(len(weight))
        window = _window(given, weight.shape[2:], image)
        return [Convolution(weight, bias, window, int(given.get("group", 1)))]
    window = _window(given, given["kernel_shape"], image)
    if node.op_type == "MaxPool":
        return [Pool("most", window)]
    return [Pool("mean", window, bool(given.get("count_include_pad", 0)))]


def _window(given: Mapping[str, Any], kernel: Sequence[int], image: tuple[int, int]) -> Window:
    if len(kernel) != _TWO:
        raise UnknownInsideError
    down, across = int(kernel[0]), int(kernel[1])
    strides = tuple(given.get("strides", (1, 1)))
    dilations = tuple(given.get("dilations", (1, 1)))
    pads = list(given.get("pads", (0, 0, 0, 0)))
    padding = bytes(given.get("auto_pad", b"NOTSET")).decode()
    if padding in {"SAME_UPPER", "SAME_LOWER"}:
        for at, size in enumerate((down, across)):
            reach = (size - 1) * dilations[at] + 1
            more = max((-(-image[at] // strides[at]) - 1) * strides[at] + reach - image[at], 0)
            small, large = more // 2, more - more // 2
            pads[at], pads[2 + at] = (small, large) if padding == "SAME_UPPER" else (large, small)
    elif padding == "VALID":
        pads = [0, 0, 0, 0]
    return Window(
        (down, across), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
    )  # fmt: skip
