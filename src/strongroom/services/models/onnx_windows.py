"""Operators of ONNX over images and rows of cells, as layers; runs in the sandbox only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.layers import Layer, Shape
from strongroom.engines.robustness.evasion.rearranging import Reshape
from strongroom.engines.robustness.evasion.windows import Convolution, Pool, Window
from strongroom.services.models.onnx_graph import Graph, UnknownInsideError, attributes

_ONE, _TWO = 1, 2


def _read(graph: Graph, node: Any, shape: Shape) -> Sequence[Layer]:  # noqa: ANN401 # protobuf
    """Between two changes of shape: the axis of rows is away, a row of cells is an image of one."""
    axes = len(shape) - 2
    if shape[:1] != (1,) or axes not in {_ONE, _TWO}:
        raise UnknownInsideError
    image: Shape = shape[1:] if axes == _TWO else (shape[1], 1, shape[2])
    layer = _layer(graph, node, image, axes)
    made = layer.after(image)
    return [Reshape(image), layer, Reshape((1, *(made if axes == _TWO else (made[0], made[2]))))]


def _layer(graph: Graph, node: Any, image: Shape, axes: int) -> Convolution | Pool:  # noqa: ANN401 # protobuf
    given = attributes(node)
    size = (image[1], image[2])
    if node.op_type.startswith("Global"):
        return Pool("mean" if node.op_type == "GlobalAveragePool" else "most", Window(size))
    if given.get("ceil_mode") or given.get("storage_order"):
        raise UnknownInsideError
    if node.op_type == "Conv":
        weight = graph.constant(node.input[1])
        weight = weight if axes == _TWO else weight[:, :, None]
        has_bias = len(node.input) > _TWO and node.input[2]
        bias = graph.constant(node.input[2]) if has_bias else np.zeros(len(weight))
        window = _window(given, weight.shape[2:], size, axes)
        return Convolution(weight, bias, window, int(given.get("group", 1)))
    kernel = _two(given["kernel_shape"], axes, 1)
    window = _window(given, kernel, size, axes)
    if node.op_type == "MaxPool":
        return Pool("most", window)
    return Pool("mean", window, bool(given.get("count_include_pad", 0)))


def _window(
    given: Mapping[str, Any], kernel: Sequence[int], image: tuple[int, int], axes: int
) -> Window:
    if len(kernel) != _TWO:
        raise UnknownInsideError
    down, across = int(kernel[0]), int(kernel[1])
    strides = _two(given.get("strides", (1,) * axes), axes, 1)
    dilations = _two(given.get("dilations", (1,) * axes), axes, 1)
    stated = list(given.get("pads", (0,) * 2 * axes))
    pads = stated if axes == _TWO else [0, stated[0], 0, stated[1]]
    padding = bytes(given.get("auto_pad", b"NOTSET")).decode()
    if padding in {"SAME_UPPER", "SAME_LOWER"}:
        for at, size in enumerate((down, across)):
            reach = (size - 1) * dilations[at] + 1
            more = max((-(-image[at] // strides[at]) - 1) * strides[at] + reach - image[at], 0)
            small, large = more // 2, more - more // 2
            pads[at], pads[2 + at] = (small, large) if padding == "SAME_UPPER" else (large, small)
    elif padding == "VALID":
        pads = [0, 0, 0, 0]
    return Window((down, across), strides, (pads[0], pads[1], pads[2], pads[3]), dilations)


def _two(given: Sequence[int], axes: int, else_: int) -> tuple[int, int]:
    if len(given) != axes:
        raise UnknownInsideError
    return (int(given[0]), int(given[1])) if axes == _TWO else (else_, int(given[0]))


READ: Mapping[str, Callable[[Graph, Any, Shape], Sequence[Layer]]] = dict.fromkeys(
    ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), _read
)
