"""The inside of an ONNX model as steps or trees of plain numbers; runs in the sandbox only.

The graph may part and meet again. What comes last and keeps the order of classes (softmax, a
logistic, a normalization) is left out; an operator that is not known here means no inside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.layers import Scale, Shape
from strongroom.engines.robustness.evasion.networks import Step
from strongroom.services.models import (
    onnx_functions,
    onnx_operators,
    onnx_rearranging,
    onnx_windows,
)
from strongroom.services.models.onnx_graph import Graph, UnknownInsideError, attributes
from strongroom.services.models.onnx_steps import Steps
from strongroom.services.models.onnx_trees import TREES, trees_of

Numbers = NDArray[np.float64]


def inside_of(data: bytes) -> tuple[str, Sequence[Step], Sequence[Numbers], Shape]:
    """Kind, steps, arrays of trees behind them, and the shape of a row.

    Returns: `layers`, or `trees`; then the steps are scales of the input, one after the other.
    Raises: UnknownInsideError: it has none that is known; or anything of the library's, for a graph
    that is none.
    """
    graph = Graph(data)
    found = Steps(graph)
    for at, node in enumerate(graph.nodes):
        if node.op_type in TREES:
            scales = [one.does for one in found.steps]
            if at + 1 < len(graph.nodes) or not all(isinstance(one, Scale) for one in scales):
                raise UnknownInsideError
            trees = trees_of(node.op_type, attributes(node))
            return "trees", found.steps, trees, graph.shape
        _read(found, node)
    if found.place(graph.end) != len(found.steps):
        raise UnknownInsideError
    return "layers", found.steps, (), graph.shape


def _read(by: Steps, node: Any) -> None:  # noqa: ANN401 # protobuf
    """The steps that a node stands for. Raises: UnknownInsideError: nobody knows."""
    if node.op_type in {"Shape", "Size"} and not by.graph.is_constant(node.input[0]):
        _measured(by, node)
        return
    if by.graph.folded(node):
        return
    kind, given = node.op_type, attributes(node)
    if kind in onnx_operators.READ:
        # A classifier's first output is a label; of others, the rest is for training.
        name = node.output[1 if kind == "LinearClassifier" else 0]
        by.give(name, onnx_operators.READ[kind](by, node, given))
        return
    at = by.place(node.input[0])
    if kind == "Split":
        pieces = onnx_rearranging.split(by.graph, node, by.shapes[at])
        for name, piece in zip(node.output, pieces, strict=True):
            by.give(name, by.then(piece, at))
    elif kind in onnx_functions.FUNCTIONS:
        by.give(node.output[0], by.all(onnx_functions.FUNCTIONS[kind](given), at))
    else:
        layers = {**onnx_windows.READ, **onnx_rearranging.READ}.get(kind)
        if layers is None:
            raise UnknownInsideError
        by.give(node.output[0], by.all(layers(by.graph, node, by.shapes[at]), at))


def _measured(by: Steps, node: Any) -> None:  # noqa: ANN401 # protobuf
    shape = np.array(by.shapes[by.place(node.input[0])], np.int64)
    if node.op_type == "Size":
        by.graph.keep(node.output[0], np.asarray(shape.prod()))
        return
    given = attributes(node)
    by.graph.keep(node.output[0], shape[given.get("start", 0) : given.get("end", len(shape))])
