"""Models in ONNX's form: what is read of their inside, how they answer, what is not believed."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from strongroom.engines.robustness.evasion.networks import chained
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.evasion.windows import Pool, Window
from strongroom.engines.robustness.space import Feature, Space
from strongroom.services.models import (
    confined_conversion,
    confined_subject,
    model_inside,
    network_inside,
    onnx_graph,
    onnx_inside,
    onnx_trees,
)
from strongroom.services.models.confined_onnx import OnnxModel
from strongroom.services.models.subjects import AssessedModel

Array = Any
"""Of numpy."""
RNG = np.random.default_rng(0)
ROWS, LABELS = load_wine(return_X_y=True)
ROWS = ROWS.astype(np.float32).astype(np.float64)
TWO = LABELS < 2
SPACE = Space([
    Feature(f"x{at}", float(ROWS[:, at].min()), float(ROWS[:, at].max()))
    for at in range(ROWS.shape[1])
])  # fmt: skip
POINTS = SPACE.encode({f"x{at}": ROWS[:, at] for at in range(ROWS.shape[1])})


class InProcess:
    """A model's sandbox without the sandbox: the same requests, the same answers."""

    def __init__(self, data: bytes) -> None:
        self._subject = confined_subject._Subject(OnnxModel(data, [], []))

    def __call__(self, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        return self._subject.handle(head, body)


def graph(nodes: list[tuple[str, list[str], dict[str, Any]]], constants: dict[str, Array],
          shape: list[int], answers: int = 3) -> bytes:  # fmt: skip
    """A chain of nodes from `x`, each with what else it takes, to `y`."""
    made, name = [], "x"
    for place, (kind, more, given) in enumerate(nodes):
        after = "y" if place == len(nodes) - 1 else f"n{place}"
        made.append(helper.make_node(kind, [name, *more], [after], **given))
        name = after
    built = helper.make_graph(
        made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", answers])],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )  # fmt: skip
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


IMAGES: dict[str, tuple[list[tuple[str, list[str], dict[str, Any]]], dict[str, Array]]] = {
    "a small LeNet": (
        [
            ("Div", ["sixteen"], {}),
            ("Conv", ["w0", "b0"], {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}),
            ("BatchNormalization", ["by", "plus", "mean", "variance"], {}),
            ("LeakyRelu", [], {"alpha": 0.1}),
            ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", ["w1"], {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "group": 2}),
            ("Elu", [], {}),
            ("AveragePool", [], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1],
                                 "count_include_pad": 1}),
            ("Flatten", [], {}),
            ("Gemm", ["w2", "b2"], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ],
        {
            "sixteen": np.float32(16), "w0": floats(4, 1, 3, 3), "b0": floats(4), "by": floats(4),
            "plus": floats(4), "mean": floats(4), "variance": np.abs(floats(4)) + 0.5,
            "w1": floats(6, 2, 2, 2), "w2": floats(3, 96), "b2": floats(3),
        },
    ),
    "means and orders": (
        [
            ("Transpose", [], {"perm": [0, 2, 3, 1]}),
            ("Transpose", [], {"perm": [0, 3, 1, 2]}),
            ("Conv", ["w0", "b0"], {"kernel_shape": [3, 3], "dilations": [2, 2]}),
            ("Clip", ["low", "high"], {}),
            ("GlobalAveragePool", [], {}),
            ("Reshape", ["flat"], {}),
            ("MatMul", ["w1"], {}),
            ("Add", ["b1"], {}),
            ("Sub", ["b1"], {}),
            ("Softmax", [], {}),
        ],
        {
            "w0": floats(5, 1, 3, 3), "b0": floats(5), "low": np.float32(-1),
            "high": np.float32(2), "flat": np.array([-1, 5]), "w1": floats(5, 3),
            "b1": floats(1, 3),
        },
    ),
    "reduced": (
        [
            ("Conv", ["w0", "b0"], {"kernel_shape": [3, 3], "auto_pad": "VALID"}),
            ("Tanh", [], {}),
            ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0}),
            ("Gemm", ["w1", "b1"], {}),
        ],
        {"w0": floats(5, 1, 3, 3), "b0": floats(5), "w1": floats(5, 3), "b1": floats(3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_slopes_of_a_network_over_images_are_those_of_its_answers(name: str) -> None:
    nodes, constants = IMAGES[name]
    model = AssessedModel(InProcess(graph(nodes, constants, [1, 8, 8])))
    assert (model.about.count, model.about.is_regression) == (64, False)
    space = Space.box(64, 0.0, 16.0)
    inside = model.inside(space)
    assert inside.gradient is not None
    assert inside.exact is None
    predict = model.predict(space, 3)
    points = RNG.random((6, 64))
    scores = predict(points)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
    labels = np.arange(6) % 3
    leads, slopes = inside.gradient(points, labels)
    # A lead of logits is the logarithm of the quotient of their probabilities.
    others = np.where(np.eye(3, dtype=bool)[labels], 0.0, scores).max(axis=1)
    known = np.log(scores[np.arange(6), labels] / others)
    is_clear = np.abs(known) < 10
    np.testing.assert_allclose(leads[is_clear], known[is_clear], atol=1e-3)
    for at in (9, 27, 60):
        ahead, behind = points.copy(), points.copy()
        ahead[:, at] += 1e-7
        behind[:, at] -= 1e-7
        rise = inside.gradient(ahead, labels)[0] - inside.gradient(behind, labels)[0]
        np.testing.assert_allclose(rise / 2e-7, slopes[:, at], rtol=1e-3, atol=1e-5)


def converted(model: Any) -> bytes:  # noqa: ANN401 # scikit-learn has no types
    width = ROWS.shape[1]
    about = {"feature_types": ["FP32"] * width, "features": [f"x{at}" for at in range(width)]}
    return confined_conversion._to_onnx(model, about)


@pytest.mark.parametrize("chosen", [np.ones_like(TWO), TWO], ids=["three", "two"])
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(MinMaxScaler(), MLPClassifier((6,), max_iter=100)),
        make_pipeline(StandardScaler(), RandomForestClassifier(4, random_state=0)),
        GradientBoostingClassifier(n_estimators=4, random_state=0),
    ],
    ids=["linear", "network", "scaled forest", "boosting"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_converted_estimators_have_the_inside_of_the_original(
    model: Any,  # noqa: ANN401 # scikit-learn has no types
    chosen: np.ndarray,
) -> None:
    model.fit(ROWS[chosen], LABELS[chosen])
    inside = AssessedModel(InProcess(converted(model))).inside(SPACE)
    answers = model.predict(ROWS[chosen])
    if isinstance(inside.exact, Trees):
        scores = inside.exact.scores(POINTS[chosen])
        np.testing.assert_array_equal(scores.argmax(axis=1), answers)
        return
    assert inside.gradient is not None
    leads, _ = inside.gradient(POINTS[chosen], LABELS[chosen].astype(np.int64))
    np.testing.assert_array_equal(leads > 0, answers == LABELS[chosen])
    if isinstance(inside.exact, tuple):
        weights, bias = inside.exact
        linear = POINTS[chosen] @ weights.T + bias
        np.testing.assert_array_equal(linear.argmax(axis=1), answers)
    else:
        assert hasattr(model[-1], "coefs_")


def test_a_regression_answers_with_its_number() -> None:
    ridge = Ridge().fit(ROWS, LABELS)
    model = AssessedModel(InProcess(converted(ridge)))
    assert model.about.is_regression
    inside = model.inside(SPACE)
    assert inside.gradient is not None
    leads, _ = inside.gradient(POINTS, np.zeros(len(POINTS), dtype=np.int64))
    np.testing.assert_allclose(-leads, ridge.predict(ROWS), atol=1e-4)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([], "softmax"), (["Softmax"], "softmax"), (["LogSoftmax"], "softmax"),
        (["Sigmoid"], "alone"),
    ],
    ids=["logits", "probabilities", "logarithms", "independent"],
)  # fmt: skip
def test_answers_become_probabilities(last: list[str], expected: str) -> None:
    weight = floats(4, 3)
    nodes: list[tuple[str, list[str], dict[str, Any]]] = [("MatMul", ["w"], {})]
    nodes += [(one, [], {}) for one in last]
    model = OnnxModel(graph(nodes, {"w": weight}, [4]), [], [])
    rows = floats(5, 4).astype(np.float64)
    found = model.scores({f"x{at}": rows[:, at] for at in range(4)}, None)
    logits = rows @ weight
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    known = soft if expected == "softmax" else 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(found, known, atol=1e-5)


def test_one_chance_is_that_of_the_second_class() -> None:
    nodes: list[tuple[str, list[str], dict[str, Any]]] = [
        ("MatMul", ["w"], {}),
        ("Sigmoid", [], {}),
    ]
    model = AssessedModel(InProcess(graph(nodes, {"w": np.array([[2], [-1]], np.float32)}, [2], 1)))
    assert not model.about.is_regression
    space = Space.box(2, 0.0, 1.0)
    points = RNG.random((9, 2))
    scores = model.predict(space, 2)(points)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    inside = model.inside(space)
    assert inside.gradient is not None
    leads, slopes = inside.gradient(points, np.ones(9, dtype=np.int64))
    np.testing.assert_allclose(leads, np.log(scores[:, 1] / scores[:, 0]), atol=1e-5)
    np.testing.assert_allclose(slopes, np.tile([2.0, -1.0], (9, 1)))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Sinh", [], {}), ("MatMul", ["w"], {})],
        [("MatMul", ["w"], {}), ("Div", ["zero"], {})],
        [("Cast", [], {"to": TensorProto.INT64}), ("Cast", [], {"to": TensorProto.FLOAT}),
         ("MatMul", ["w"], {})],
    ],
    ids=["unknown", "division by zero", "rounded"],
)  # fmt: skip
def test_other_graphs_have_no_inside(nodes: list[tuple[str, list[str], dict[str, Any]]]) -> None:
    constants = {"w": floats(3, 3), "zero": np.zeros(3, np.float32)}
    model = AssessedModel(InProcess(graph(nodes, constants, [3])))
    inside = model.inside(Space.box(3))
    assert (inside.exact, inside.gradient) == (None, None)
    assert model.predict(Space.box(3), 3)(RNG.random((2, 3))).shape == (2, 3)


# ---- hostile ----


def test_a_constant_outside_the_file_is_not_read() -> None:
    nodes: list[tuple[str, list[str], dict[str, Any]]] = [("MatMul", ["w"], {})]
    model = onnx.load_model_from_string(graph(nodes, {"w": floats(3, 3)}, [3]))
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    with pytest.raises(onnx_graph.UnknownInsideError):
        onnx_inside.inside_of(model.SerializeToString())


def test_graphs_that_are_none_say_nothing() -> None:
    whole = graph([("MatMul", ["w"], {})], {"w": floats(3, 3)}, [3])
    circle = onnx.load_model_from_string(whole)
    circle.graph.node.append(helper.make_node("Relu", ["y"], ["z"]))
    circle.graph.node[0].input[0] = "z"
    for data in (b"", b"PK\x03\x04", whole[:40], bytes(1_000), circle.SerializeToString()):
        assert onnx_graph.ending(data) == ""
    with pytest.raises(onnx_graph.UnknownInsideError):
        onnx_graph.Graph(circle.SerializeToString())


def test_nonsense_from_the_sandbox_is_no_network() -> None:
    nodes, constants = IMAGES["a small LeNet"]
    head, body = model_inside.stated_onnx(graph(nodes, constants, [1, 8, 8]))
    space = Space.box(64)
    assert model_inside.understood(head, body, space).gradient is not None
    layers = head["layers"]
    at = next(place for place, one in enumerate(layers) if one["kind"] == "convolution")

    def changed(**more: object) -> list[dict[str, Any]]:
        return [*layers[:at], {**layers[at], **more}, *layers[at + 1 :]]

    hostile: list[Any] = [
        changed(kind="exec"), changed(groups=-1), changed(groups="all"), changed(kernel=[3]),
        changed(kernel=[1 << 40, 3]), changed(pads=[1 << 30] * 4), changed(strides=[0, 0]),
        changed(dilations=[True, 1]), changed(of=[-1]), changed(of=[at + 1]), changed(of=[]),
        changed(of=[at] * 1_001), changed(of="all"), changed(kind="joined", axis=0),
        layers[:-1], [*layers, *layers], layers * 200, "all", None,
        [{**one, "low": float("inf")} for one in layers], [{}], [None],
    ]  # fmt: skip
    for wrong in hostile:
        found = model_inside.understood({**head, "layers": wrong}, body, space)
        assert (found.exact, found.gradient) == (None, None), wrong
    for shape in ([63], [1, 8, 9], [1] * 10, "64", [-64, -1], None):
        found = model_inside.understood({**head, "shape": shape}, body, space)
        assert found.gradient is None, shape
    assert model_inside.understood(head, body[:-8], space).gradient is None
    assert model_inside.understood(head, body, Space.box(63)).gradient is None


def test_layers_come_back_as_they_went() -> None:
    nodes, constants = IMAGES["a small LeNet"]
    _, layers, _, _ = onnx_inside.inside_of(graph(nodes, constants, [1, 8, 8]))
    told, arrays = network_inside.packed(layers)
    again, same = network_inside.packed(network_inside.unpacked(told, arrays))
    assert again == told
    assert all(np.array_equal(one, other) for one, other in zip(arrays, same, strict=True))
    assert network_inside.packed(chained([Pool("mean", Window((2, 2)))]))[0][0]["kind"] == "pool"
    with pytest.raises(TypeError):
        network_inside.packed(chained([object()]))  # type: ignore[list-item] # no layer


@pytest.mark.parametrize(
    "changed",
    [
        {"nodes_truenodeids": [0, 0, 0]}, {"nodes_falsenodeids": [7, 0, 0]},
        {"nodes_modes": [b"BRANCH_GT", b"LEAF", b"LEAF"]}, {"nodes_modes": [b"LEAF"] * 2},
        {"class_nodeids": [9, 9]}, {"class_ids": [7, 7]},
    ],
    ids=["a circle", "no such child", "other branch", "fewer", "no such leaf", "no such class"],
)  # fmt: skip
def test_trees_that_are_none_are_refused(changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "nodes_modes": [b"BRANCH_LEQ", b"LEAF", b"LEAF"], "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2], "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0], "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0], "class_treeids": [0, 0], "class_nodeids": [1, 2],
        "class_ids": [0, 1], "class_weights": [1.0, 1.0], "classlabels_int64s": [0, 1],
    }  # fmt: skip
    assert len(onnx_trees.trees_of("TreeEnsembleClassifier", given)) == 7
    with pytest.raises((ValueError, KeyError, IndexError)):
        onnx_trees.trees_of("TreeEnsembleClassifier", {**given, **changed})
