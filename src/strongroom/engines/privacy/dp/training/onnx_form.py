"""A model as an ONNX graph: the same places, the same sums, in the same order.

Inputs are one matrix `input` of 32-bit floats where all columns are numbers, else one column vector
each: floats, or texts. Outputs are a label and the chance of each class, or one number. Sums are
kept in 64 bits, so that nothing but the last step, to 32 bits, rounds differently from `model`.
"""

from typing import Any, Protocol

import numpy as np

from strongroom.engines.privacy.dp.training.domain import Amount, Target
from strongroom.engines.privacy.dp.training.model import AdditiveModel
from strongroom.engines.privacy.dp.training.network import NetworkModel

INPUT = "input"
_OPSET = 18
_ML_OPSET = 3
_IR = 9


class _Graph:
    """Nodes and constants under construction."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:  # noqa: ANN401 # any array
        """A constant; its name."""
        from onnx import TensorProto, helper, numpy_helper

        name = f"c{len(self.constants)}"
        array = np.asarray(values)
        if array.dtype.kind in "UO":
            texts = [str(one).encode() for one in array]
            made = helper.make_tensor(name, TensorProto.STRING, [len(texts)], texts)
        else:
            made = numpy_helper.from_array(array, name)
        self.constants.append(made)
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:  # noqa: ANN401 # ONNX's
        """A node; the name of its output."""
        from onnx import helper

        name = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


class _Column(Protocol):
    """What is known of a column: its name, and its cuts or values."""

    @property
    def name(self) -> str: ...
    @property
    def cuts(self) -> tuple[float, ...]: ...
    @property
    def values(self) -> tuple[str, ...] | None: ...


def onnx_bytes(model: AdditiveModel | NetworkModel) -> bytes:
    """The graph of a model, serialized; checked for its form by the library."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    is_matrix = all(term.values is None for term in model.terms)
    if isinstance(model, AdditiveModel):
        total = graph.constant(np.array([float(model.intercept)]))
        columns: list[_Column] = list(model.terms)
        tables = [np.array(one.scores, np.float64) for one in model.terms]
    else:
        total = graph.constant(model.bias[None, :])
        columns = list(model.terms)
        tables = [one.weights for one in model.terms]
    for at, (term, table) in enumerate(zip(columns, tables, strict=True)):
        column = term.name
        if is_matrix:
            column = graph.node("Gather", INPUT, graph.constant(np.array([at])), axis=1)
        added = graph.node("Gather", graph.constant(table), _places(graph, term, column))
        total = graph.node("Add", total, added)
    if isinstance(model, NetworkModel):
        last = graph.node("MatMul", graph.node("Relu", total), graph.constant(model.last[:, None]))
        last = graph.node("Reshape", last, graph.constant(np.array([-1])))
        total = graph.node("Add", last, graph.constant(np.array([model.last_bias])))
    outputs = _outputs(graph, model.target, total)
    inputs = [
        helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(model.terms)])
    ] if is_matrix else [
        helper.make_tensor_value_info(
            one.name, TensorProto.FLOAT if one.values is None else TensorProto.STRING, [None, 1]
        )
        for one in model.terms
    ]  # fmt: skip
    made = helper.make_model(
        helper.make_graph(graph.nodes, "additive", inputs, outputs, graph.constants),
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
        ],
        ir_version=_IR,
        producer_name="strongroom",
    )
    onnx.checker.check_model(made)
    serialized: bytes = made.SerializeToString(deterministic=True)
    return serialized


def _places(graph: _Graph, term: _Column, column: str) -> str:
    """The place of each row's value. Shape (rows,)."""
    from onnx import TensorProto

    flat = graph.constant(np.array([-1]))
    if term.values is not None:
        return graph.node(
            "LabelEncoder", graph.node("Reshape", column, flat), domain="ai.onnx.ml",
            keys_strings=list(term.values), values_int64s=list(range(len(term.values))),
            default_int64=len(term.values),
        )  # fmt: skip
    cuts = graph.constant(np.array([term.cuts], np.float32))
    reached = graph.node("GreaterOrEqual", column, cuts)
    counted = graph.node("Cast", reached, to=TensorProto.INT64)
    places = graph.node("ReduceSum", counted, graph.constant(np.array([1])), keepdims=0)
    is_missing = graph.node("IsNaN", graph.node("Reshape", column, flat))
    return graph.node("Where", is_missing, graph.constant(np.array(len(term.cuts) + 1)), places)


def _outputs(graph: _Graph, target: Target, total: str) -> list[Any]:
    """The last steps, and what the graph gives."""
    from onnx import TensorProto, helper

    column = graph.constant(np.array([-1, 1]))
    if isinstance(target, Amount):
        low, high = (graph.constant(np.array(float(one))) for one in (target.low, target.high))
        held = graph.node("Reshape", graph.node("Clip", total, low, high), column)
        graph.node("Cast", held, name="variable", to=TensorProto.FLOAT)
        return [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])]
    chance = graph.node("Reshape", graph.node("Sigmoid", total), column)
    other = graph.node("Sub", graph.constant(np.array(1.0)), chance)
    both = graph.node("Concat", other, chance, axis=1)
    graph.node("Cast", both, name="probabilities", to=TensorProto.FLOAT)
    is_second = graph.node("Greater", total, graph.constant(np.array(0.0)))
    place = graph.node("Cast", is_second, to=TensorProto.INT64)
    labels = graph.constant(np.array(target.values, object))
    graph.node("Gather", labels, place, name="label")
    return [
        helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
