"""Operators of ONNX that move cells, as layers; runs in the sandbox only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.layers import Layer, Shape
from strongroom.engines.robustness.evasion.rearranging import (
    Padded,
    Repeated,
    Reshape,
    Taken,
    Transpose,
)
from strongroom.services.models.onnx_graph import Graph, UnknownInsideError, attributes

_EQUAL_PARTS = 18
"""Version of ONNX's operators from which on `Split` says in how many parts."""


def split(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    """The parts, in order. Raises: UnknownInsideError."""
    given = attributes(node)
    axis = given.get("axis", 0) % len(shape)
    sizes = list(given.get("split", ()))
    if len(node.input) > 1 and node.input[1]:
        sizes = [int(one) for one in graph.array(node.input[1])]
    if not sizes:
        count = len(node.output)
        each = -(-shape[axis] // count)
        sizes = [min(each, shape[axis] - each * at) for at in range(count)]
    if sum(sizes) != shape[axis] or len(sizes) != len(node.output):
        raise UnknownInsideError
    ends = np.cumsum([0, *sizes])
    return [Taken(axis, np.arange(ends[at], ends[at + 1])) for at in range(len(sizes))]


def _reshape(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    """0 keeps an axis, -1 takes what is left."""
    if attributes(node).get("allowzero"):
        raise UnknownInsideError
    asked = [int(one) for one in graph.array(node.input[1]).reshape(-1)]
    made = [shape[at] if one == 0 and at < len(shape) else one for at, one in enumerate(asked)]
    if made.count(-1) > 1:
        raise UnknownInsideError
    if -1 in made:
        known = int(np.prod([one for one in made if one != -1]))
        made[made.index(-1)] = int(np.prod(shape)) // max(known, 1)
    return [Reshape(tuple(made))]


def _flatten(_graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    axis = attributes(node).get("axis", 1)
    axis = axis % len(shape) if axis < 0 else axis
    return [Reshape((int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))]


def _axes(graph: Graph, node: Any) -> list[int] | None:  # noqa: ANN401 # protobuf
    given = attributes(node).get("axes")
    if len(node.input) > 1 and node.input[1]:
        given = graph.array(node.input[1]).reshape(-1)
    return None if given is None else [int(one) for one in given]


def _squeeze(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    axes = _axes(graph, node)
    if axes is None:
        raise UnknownInsideError  # it would take the axis of rows away, if there is one row
    gone = {one % len(shape) for one in axes}
    return [Reshape(tuple(one for at, one in enumerate(shape) if at not in gone))]


def _unsqueeze(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    axes = _axes(graph, node) or []
    most = len(shape) + len(axes)
    new = {one % most for one in axes}
    left = iter(shape)
    return [Reshape(tuple(1 if at in new else next(left) for at in range(most)))]


def _transpose(_graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    order = attributes(node).get("perm", range(len(shape))[::-1])
    return [Transpose(tuple(int(one) for one in order))]


def _slice(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    given = attributes(node)
    starts: Any
    if len(node.input) > 1:
        found: list[Any] = [graph.array(one).reshape(-1) if one else None for one in node.input[1:]]
        found += [None] * (4 - len(found))
        starts, ends, axes, steps = found
    else:
        starts, ends, axes, steps = given["starts"], given["ends"], given.get("axes"), None
    if starts is None or ends is None:
        raise UnknownInsideError
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    made: list[Layer] = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = int(axis) % len(shape)
        # What lies beyond the end of an axis is its end, as in a slice of a list.
        stop = None if step < 0 and end < -shape[at] else int(end)
        places = np.arange(shape[at])[int(start) : stop : int(step)]
        if len(places) != shape[at] or step < 0:
            made.append(Taken(at, places))
    return made


def _gather(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    axis = attributes(node).get("axis", 0) % len(shape)
    asked = graph.array(node.input[1]).astype(np.intp)
    places = np.where(asked < 0, asked + shape[axis], asked)
    return [
        Taken(axis, places.reshape(-1)),
        Reshape((*shape[:axis], *asked.shape, *shape[axis + 1 :])),
    ]


def _pad(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    """Zeros; the nearest cells, or the cells behind those, by their places."""
    given = attributes(node)
    mode = given.get("mode", b"constant").decode()
    asked = graph.array(node.input[1]).reshape(-1) if len(node.input) > 1 else given["pads"]
    numbers = [int(one) for one in asked]
    if len(node.input) > 3 and node.input[3]:
        raise UnknownInsideError
    if len(node.input) > 2 and node.input[2] and graph.constant(node.input[2]).item():
        raise UnknownInsideError
    before, behind = numbers[: len(shape)], numbers[len(shape) :]
    if mode == "constant" and min(numbers) >= 0:
        return [Padded(tuple(before), tuple(behind))]
    if mode not in {"constant", "edge", "reflect"} or (mode == "constant" and max(numbers) > 0):
        raise UnknownInsideError
    made: list[Layer] = []
    for axis, (low, high) in enumerate(zip(before, behind, strict=True)):
        size = shape[axis]
        places = np.arange(-low, size + high)
        if mode == "reflect":
            turn = max(2 * (size - 1), 1)
            places = np.abs((places + size - 1) % turn - (size - 1)) if size > 1 else 0 * places
        places = np.clip(places, 0, size - 1)
        if low or high:
            made.append(Taken(axis, places))
    return made


def _expand(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    made = np.broadcast_shapes(shape, tuple(int(one) for one in graph.array(node.input[1])))
    return [Reshape((1,) * (len(made) - len(shape)) + shape), Repeated(made)]


READ: Mapping[str, Callable[[Graph, Any, Shape], Sequence[Layer]]] = {
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Transpose": _transpose, "Slice": _slice, "Gather": _gather, "Pad": _pad, "Expand": _expand,
}  # fmt: skip
