"""Operators of ONNX with values or arrays of their own, as steps; runs in the sandbox only."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.joints import Joined, Meeting, Product, Sign
from strongroom.engines.robustness.evasion.layers import Activation, Full, Scale
from strongroom.engines.robustness.evasion.normalizing import Mean, Normalized, Softmax
from strongroom.engines.robustness.evasion.rearranging import Padded, Reshape, Transpose
from strongroom.services.models.onnx_graph import UnknownInsideError
from strongroom.services.models.onnx_steps import FAR, Steps

_TWO = 2
_OWN_SOFTMAX = 13
"""Version of ONNX's operators from which on softmax is of one axis."""
_SIGNS: dict[str, Sign] = {
    "Add": "add", "Sum": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide",
    "Max": "larger", "Min": "smaller",
}  # fmt: skip


def _met(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """Sums, products and the like, of any number of values."""
    sign = _SIGNS[node.op_type]
    names = list(node.input)
    if len(names) == 1:
        return by.place(names[0])
    left = names[0]
    at = -1
    for name in names[1:]:
        is_first = at < 0 and by.graph.is_constant(left)
        if is_first or by.graph.is_constant(name):
            value = by.graph.constant(left if is_first else name)
            start = at if at >= 0 else by.place(name if is_first else left)
            at = by.scaled(sign, value, start, is_first=is_first)
        else:
            at = by.then(Meeting(sign), at if at >= 0 else by.place(left), by.place(name))
    return at


def _full(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    if node.op_type.startswith("Linear"):
        biases = np.asarray(given.get("intercepts", [0.0]), np.float64)
        weight = np.asarray(given["coefficients"], np.float64).reshape(len(biases), -1).T
        return by.then(Full(weight, biases), by.place(node.input[0]))
    if given.get("transA") or by.graph.is_constant(node.input[0]):
        raise UnknownInsideError
    weight = by.graph.constant(node.input[1])
    weight = given.get("alpha", 1.0) * (weight.T if given.get("transB") else weight)
    bias = np.zeros(weight.shape[1])
    if len(node.input) > _TWO and node.input[2]:
        bias = bias + given.get("beta", 1.0) * by.graph.constant(node.input[2]).reshape(-1)
    return by.then(Full(weight, bias), by.place(node.input[0]))


def _product(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    first, second = node.input
    if by.graph.is_constant(second):
        weight = by.graph.constant(second)
        if weight.ndim != _TWO:
            raise UnknownInsideError
        return by.then(Full(weight, np.zeros(weight.shape[1])), by.place(first))
    if not by.graph.is_constant(first):
        return by.then(Product(), by.place(first), by.place(second))
    weight, at = by.graph.constant(first), by.place(second)
    axes = len(by.shapes[at])
    if weight.ndim != _TWO or axes < _TWO:
        raise UnknownInsideError
    swapped = (*range(axes - _TWO), axes - 1, axes - _TWO)
    at = by.then(Full(weight.T, np.zeros(len(weight))), by.then(Transpose(swapped), at))
    return by.then(Transpose(swapped), at)


def _batch_normalized(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    at = by.place(node.input[0])
    factor, plus, mean, variance = (by.graph.constant(name) for name in node.input[1:5])
    factor = factor / np.sqrt(variance + given.get("epsilon", 1e-5))
    form = (-1, *(1 for _ in by.shapes[at][2:]))
    return by.then(Scale(factor.reshape(form), (plus - mean * factor).reshape(form)), at)


def _normalized(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """Of a layer, or of each channel alone."""
    at = by.place(node.input[0])
    axes = len(by.shapes[at])
    is_layer = node.op_type == "LayerNormalization"
    first = given.get("axis", -1) % axes if is_layer else _TWO
    at = by.then(Normalized(tuple(range(first, axes)), float(given.get("epsilon", 1e-5))), at)
    form = () if is_layer else (-1, *(1,) * (axes - _TWO))
    factor = by.graph.constant(node.input[1])
    shift = np.zeros(1)
    if len(node.input) > _TWO and node.input[2]:
        shift = by.graph.constant(node.input[2])
    if form:
        factor, shift = factor.reshape(form), shift.reshape(form)
    return by.then(Scale(factor, shift), at)


def _group_normalized(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    at = by.place(node.input[0])
    shape, groups = by.shapes[at], int(given["num_groups"])
    at = by.then(Reshape((1, groups, int(np.prod(shape)) // groups)), at)
    at = by.then(Normalized((2,), float(given.get("epsilon", 1e-5))), at)
    at = by.then(Reshape(shape), at)
    factor, shift = (by.graph.constant(one) for one in node.input[1:3])
    if len(factor) != shape[1]:  # one for each group, as before version 21
        factor, shift = (np.repeat(one, shape[1] // groups) for one in (factor, shift))
    form = (-1, *(1,) * (len(shape) - _TWO))
    return by.then(Scale(factor.reshape(form), shift.reshape(form)), at)


def _softmax(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    at = by.place(node.input[0])
    shape = by.shapes[at]
    if by.graph.version >= _OWN_SOFTMAX:
        return by.then(Softmax(given.get("axis", -1) % len(shape)), at)
    axis = given.get("axis", 1) % len(shape)
    front = int(np.prod(shape[:axis]))
    at = by.then(Reshape((front, int(np.prod(shape[axis:])))), at)
    return by.then(Reshape(shape), by.then(Softmax(1), at))


def _reduced(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """Means and sums over axes."""
    at = by.place(node.input[0])
    shape = by.shapes[at]
    asked = given.get("axes")
    if len(node.input) > 1 and node.input[1]:
        asked = by.graph.array(node.input[1])
    axes = tuple(sorted({int(one) % len(shape) for one in np.ravel(asked)})) if asked is not None \
        else tuple(range(len(shape)))  # fmt: skip
    at = by.then(Mean(axes), at)
    if node.op_type == "ReduceSum":
        at = by.then(Scale(np.array([np.prod([shape[one] for one in axes])]), np.zeros(1)), at)
    if given.get("keepdims", 1):
        return at
    return by.then(Reshape(tuple(one for place, one in enumerate(shape) if place not in axes)), at)


def _power(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    return by.then(
        Activation("power", by.graph.constant(node.input[1]).item()), by.place(node.input[0])
    )


def _clip(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    ends = [given.get("min", -FAR), given.get("max", FAR)]
    for place, name in enumerate(node.input[1:3]):
        if name:
            ends[place] = by.graph.constant(name).item()
    return by.then(
        Activation("clip", max(ends[0], -FAR), min(ends[1], FAR)), by.place(node.input[0])
    )


def _parametric(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """A leaky one whose slopes stand in the graph."""
    at = by.place(node.input[0])
    slope = by.graph.constant(node.input[1])
    above = by.then(Activation("relu"), at)
    below = by.then(Activation("relu"), by.then(Scale(-np.ones(1), np.zeros(1)), at))
    return by.then(Meeting("add"), above, by.then(Scale(-slope, np.zeros(1)), below))


def _hard_swish(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    at = by.place(node.input[0])
    gate = by.then(Scale(np.array([1 / 6]), np.array([0.5])), at)
    return by.then(Meeting("multiply"), at, by.then(Activation("clip", 0.0, 1.0), gate))


def _where(by: Steps, node: Any, _given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """A mask that stands in the graph: one of the two is an array, too."""
    mask = by.graph.array(node.input[0]).astype(bool)
    is_first = by.graph.is_constant(node.input[1])
    value = np.clip(by.graph.constant(node.input[1 if is_first else 2]), -FAR, FAR)
    at = by.place(node.input[2 if is_first else 1])
    stays = ~mask if is_first else mask
    if np.broadcast_shapes(by.shapes[at], mask.shape, value.shape) != by.shapes[at]:
        raise UnknownInsideError
    return by.then(Scale(stays.astype(np.float64), np.where(stays, 0.0, value)), at)


def _joined(by: Steps, node: Any, given: Mapping[str, Any]) -> int:  # noqa: ANN401 # protobuf
    """Values side by side; arrays of the graph are added where zeros were put for them."""
    known = {name: by.graph.constant(name) for name in node.input if by.graph.is_constant(name)}
    shapes = [known[one].shape if one in known else by.shapes[by.place(one)] for one in node.input]
    axis = given["axis"] % len(shapes[0])
    ends = np.cumsum([0, *(one[axis] for one in shapes)])
    computed = [at for at, one in enumerate(node.input) if one not in known]
    made = []
    shift = np.zeros([ends[-1] if at == axis else one for at, one in enumerate(shapes[0])])
    for order, at in enumerate(computed):
        before, behind = [0] * len(shapes[0]), [0] * len(shapes[0])
        before[axis] = int(ends[at]) if order == 0 else 0
        follows = computed[order + 1] if order + 1 < len(computed) else len(shapes)
        behind[axis] = int(ends[follows] - ends[at + 1])
        place = by.place(node.input[at])
        if before[axis] or behind[axis]:
            place = by.then(Padded(tuple(before), tuple(behind)), place)
        made.append(place)
    for at, name in enumerate(node.input):
        if name in known:
            where = [slice(None)] * shift.ndim
            where[axis] = slice(int(ends[at]), int(ends[at + 1]))
            shift[tuple(where)] = known[name]
    whole = made[0] if len(made) == 1 else by.then(Joined(axis), *made)
    return by.then(Scale(np.ones(1), shift), whole) if known else whole


READ: dict[str, Callable[[Steps, Any, Mapping[str, Any]], int]] = {
    "Gemm": _full, "LinearClassifier": _full, "LinearRegressor": _full, "MatMul": _product,
    "BatchNormalization": _batch_normalized, "LayerNormalization": _normalized,
    "InstanceNormalization": _normalized, "GroupNormalization": _group_normalized,
    "Softmax": _softmax, "ReduceMean": _reduced, "ReduceSum": _reduced, "Pow": _power,
    "Clip": _clip, "PRelu": _parametric, "HardSwish": _hard_swish, "Where": _where,
    "Concat": _joined, **dict.fromkeys(_SIGNS, _met),
}  # fmt: skip
