"""Graphs of ONNX whose branches part and meet: their slopes are those of torch, and of answers."""

import io
import itertools
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from strongroom.engines.robustness.space import Space
from strongroom.errors import ValidationError
from strongroom.services.models import model_inside, network_inside, onnx_graph, onnx_inside

Array = Any
"""Of numpy."""
Torch = Any
"""torch has no types here."""
Node = tuple[str, list[str], list[str], dict[str, Any]]
"""Operator, what it takes, what it makes, attributes."""
RNG = np.random.default_rng(5)
FLOAT, WHOLE = TensorProto.FLOAT, TensorProto.INT64


def slopes_of(data: bytes, space: Space, points: Array, labels: Array) -> tuple[Array, Array]:
    """Leads and slopes, by way of what leaves the sandbox."""
    inside = model_inside.understood(*model_inside.stated_onnx(data), space)
    assert inside.gradient is not None
    assert inside.exact is None
    return inside.gradient(points, labels)


# ---- networks that torch exports ----


def residual(torch: Torch) -> Torch:
    """Two blocks with a way around each, one of them through a convolution of its own."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined] # torch has no types here
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
            self.norm = nn.BatchNorm2d(outputs)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
            self.around = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x: Torch) -> Torch:
            inner = self.second(torch.relu(self.norm(self.first(x))))
            return torch.relu(inner + self.around(x))

    class Network(nn.Module):  # type: ignore[misc, name-defined] # as above
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(Block(3, 3, 1), Block(3, 6, 2))
            self.end = nn.Linear(6, 3)

        def forward(self, x: Torch) -> Torch:
            return self.end(self.body(x).mean((2, 3)))

    return Network()


def dense(torch: Torch) -> Torch:
    """Values side by side, a gate for each channel, functions with and without a corner."""
    nn = torch.nn

    class Network(nn.Module):  # type: ignore[misc, name-defined] # as above
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(3, 4, 3, 1, 1)
            self.gate = nn.Linear(7, 7)
            self.end = nn.Linear(7, 3)

        def forward(self, x: Torch) -> Torch:
            x = torch.cat([x, nn.functional.gelu(self.one(x))], 1)
            gate = torch.sigmoid(self.gate(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)))
            x = nn.functional.silu(x * gate[:, :, None, None])
            x = nn.functional.max_pool2d(nn.functional.pad(x, (1, 1, 1, 1)), 2)
            return self.end(nn.functional.hardswish(x).mean((2, 3)))

    return Network()


def transformer(torch: Torch) -> Torch:
    """Patches, a token of the class, places, attention of two heads, and a network of its own."""
    nn = torch.nn

    class Network(nn.Module):  # type: ignore[misc, name-defined] # as above
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, 4)
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.where = nn.Parameter(torch.randn(1, 5, 8))
            self.norm = nn.LayerNorm(8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.inner = nn.Sequential(
                nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)
            )
            self.end = nn.Linear(8, 3)

        def forward(self, x: Torch) -> Torch:
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.where
            inner = self.norm(x)
            x = x + self.attention(inner, inner, inner, need_weights=False)[0]
            return self.end((x + self.inner(x))[:, 0])

    return Network()


def sequence(torch: Torch) -> Torch:
    """Attention by hand behind a mask, norms of groups and channels, convolutions of rows."""
    nn = torch.nn

    class Network(nn.Module):  # type: ignore[misc, name-defined] # as above
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.Linear(12, 24)
            self.groups = nn.GroupNorm(2, 8)
            self.channels = nn.InstanceNorm1d(4, affine=True)
            self.row = nn.Conv1d(8, 4, 3, padding=1)
            self.bent = nn.PReLU(4)
            self.end = nn.Linear(4, 3)

        def forward(self, x: Torch) -> Torch:
            x = x.reshape(x.shape[0], 16, 12)
            asks, keys, values = self.all(x).chunk(3, -1)
            mask = torch.triu(torch.full((16, 16), float("-inf")), 1)
            x = torch.softmax(asks @ keys.transpose(1, 2) / 4 + mask, -1) @ values
            x = self.bent(self.channels(self.row(self.groups(x.transpose(1, 2)))))
            return torch.tanh(self.end(x.mean(-1))) + nn.functional.softplus(self.end(x[:, :, 3]))

    return Network()


@pytest.mark.parametrize("network", [residual, dense, transformer, sequence])
def test_slopes_of_exported_networks_are_those_of_torch(network: Any) -> None:  # noqa: ANN401 # a function of torch
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = network(torch).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the older exporter, which needs no package more
        torch.onnx.export(
            module, (torch.randn(1, 3, 8, 8),), file, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False, opset_version=17,
        )  # fmt: skip
    points, labels = RNG.random((5, 192)), np.arange(5) % 3
    leads, slopes = slopes_of(file.getvalue(), Space.box(192, -1.0, 1.0), points, labels)
    inputs = torch.tensor(2 * points - 1, requires_grad=True)
    logits = module.double()(inputs.reshape(5, 3, 8, 8))
    others = logits.detach().clone()
    others[torch.arange(5), torch.tensor(labels)] = -torch.inf
    own = logits[torch.arange(5), torch.tensor(labels)]
    lead = own - logits[torch.arange(5), others.argmax(dim=1)]
    (known,) = torch.autograd.grad(lead.sum(), inputs)
    np.testing.assert_allclose(leads, lead.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(slopes, 2 * known.numpy(), atol=1e-6)
    assert np.abs(slopes).max() > 1e-3


# ---- operators that are rarely seen ----


def graph(nodes: list[Node], constants: dict[str, Array], shape: list[int], version: int) -> bytes:
    """From `x` to `y`, three numbers."""
    built = helper.make_graph(
        [helper.make_node(kind, takes, makes, **given) for kind, takes, makes, given in nodes], "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", version)]
    model = helper.make_model(built, opset_imports=opset, ir_version=9 if version > 11 else 7)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


END: list[Node] = [("Flatten", ["e"], ["f"], {}), ("MatMul", ["f", "last"], ["y"], {})]
CASES: dict[str, tuple[list[Node], dict[str, Array], list[int], int]] = {
    "split, slices, places": (
        [
            ("Split", ["x", "sizes"], ["a", "b"], {"axis": 2}),
            ("Slice", ["a", "from", "to", "axes", "back"], ["c"], {}),
            ("Gather", ["b", "places"], ["d"], {"axis": 1}),
            ("Min", ["c", "d"], ["g"], {}),
            ("Max", ["g", "c", "half"], ["h"], {}),
            ("Div", ["one", "h"], ["i"], {}),
            ("ReduceSum", ["i", "axis"], ["e"], {"keepdims": 0}),
            *END,
        ],
        {
            "sizes": np.array([4, 2]), "from": np.array([-1, 0]), "to": np.array([-99, 2]),
            "axes": np.array([1, 2]), "back": np.array([-1, 1]), "places": np.array([-1, 0, 2, 2]),
            "half": np.float32(0.5), "one": np.float32(1), "axis": np.array([2]),
            "last": floats(4, 3),
        },
        [4, 6], 17,
    ),
    "arrays beside values": (
        [
            ("Concat", ["left", "x", "middle", "x", "right"], ["a"], {"axis": 1}),
            ("Where", ["mask", "a", "low"], ["b"], {}),
            ("Selu", ["b"], ["c"], {}),
            ("HardSigmoid", ["b"], ["d"], {"alpha": 0.3}),
            ("Sub", ["one", "d"], ["g"], {}),
            ("Sum", ["c", "d", "g", "d"], ["h"], {}),
            ("Pow", ["h", "two"], ["i"], {}),
            ("MatMul", ["turn", "i"], ["e"], {}),
            *END,
        ],
        {
            "left": floats(1, 1, 2), "middle": floats(1, 2, 2), "right": floats(1, 1, 2),
            "mask": RNG.random((10, 2)) < 0.7, "low": np.float32(-0.3), "one": np.float32(1),
            "two": np.float32(2), "turn": floats(4, 10), "last": floats(8, 3),
        },
        [3, 2], 17,
    ),
    "pads": (
        [
            ("Pad", ["x", "around"], ["a"], {"mode": "reflect"}),
            ("Pad", ["a", "within"], ["b"], {}),
            ("Pad", ["b", "sides"], ["c"], {"mode": "edge"}),
            ("Pad", ["c", "sides"], ["d"], {}),
            ("GroupNormalization", ["d", "factors", "shifts"], ["g"], {"num_groups": 2}),
            ("GlobalMaxPool", ["g"], ["h"], {}),
            ("Squeeze", ["h", "axes"], ["e"], {}),
            *END,
        ],
        {
            "around": np.array([0, 0, 2, 1, 0, 0, 2, 3]),
            "within": np.array([0, 0, 0, -1, 0, 0, -1, 0]),
            "sides": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "factors": floats(4), "shifts": floats(4),
            "axes": np.array([2, 3]), "last": floats(4, 3),
        },
        [4, 3, 4], 21,
    ),
    "of old": (
        [
            ("Split", ["x"], ["a", "b"], {"axis": 1}),
            ("Softmax", ["a"], ["c"], {"axis": 1}),
            ("Mul", ["c", "b"], ["d"], {}),
            ("Slice", ["d", "from", "to"], ["g"], {}),
            ("Unsqueeze", ["g"], ["h"], {"axes": [1]}),
            ("Expand", ["h", "wide"], ["i"], {}),
            ("Add", ["i", "more"], ["e"], {}),
            *END,
        ],
        {
            "from": np.array([0, 0, 1]), "to": np.array([9, 2, 1 << 40]),
            "wide": np.array([1, 2, 1, 1]), "more": floats(2, 2, 3), "last": floats(12, 3),
        },
        [4, 4], 11,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_slopes_of_rare_operators_are_those_of_the_answers(name: str) -> None:
    nodes, constants, shape, version = CASES[name]
    data = graph(nodes, constants, shape, version)
    width = int(np.prod(shape))
    points, labels = RNG.random((4, width)), np.arange(4) % 3
    leads, slopes = slopes_of(data, Space.box(width, 0.0, 2.0), points, labels)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    rows = (2 * points).astype(np.float32).reshape(-1, 1, *shape)
    logits = np.concatenate([session.run(None, {"x": row})[0] for row in rows]).astype(np.float64)
    own = logits[np.arange(4), labels]
    others = np.where(np.eye(3, dtype=bool)[labels], -np.inf, logits).max(axis=1)
    np.testing.assert_allclose(leads, own - others, rtol=1e-4, atol=1e-4)
    assert np.abs(slopes).max() > 1e-3
    space = Space.box(width, 0.0, 2.0)
    for at in RNG.choice(width, 6, replace=False):
        ahead, behind = points.copy(), points.copy()
        ahead[:, at] += 1e-7
        behind[:, at] -= 1e-7
        rise = slopes_of(data, space, ahead, labels)[0] - slopes_of(data, space, behind, labels)[0]
        np.testing.assert_allclose(rise / 2e-7, slopes[:, at], rtol=1e-3, atol=1e-4)


def test_steps_come_back_as_they_went() -> None:
    kinds = set()
    for nodes, constants, shape, version in CASES.values():
        _, steps, _, _ = onnx_inside.inside_of(graph(nodes, constants, shape, version))
        told, arrays = network_inside.packed(steps)
        again, same = network_inside.packed(network_inside.unpacked(told, arrays))
        assert again == told
        assert all(np.array_equal(one, other) for one, other in zip(arrays, same, strict=True))
        kinds |= {one["kind"] for one in told}
    assert {"taken", "joined", "padded", "repeated", "meeting", "softmax", "normalized"} <= kinds


# ---- refused ----


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([("MatMul", ["w", "w"], ["a"], {}), ("MatMul", ["a", "w"], ["y"], {})], {}),
        ([("ReduceL1", ["w"], ["a"], {}), ("Mul", ["x", "a"], ["y"], {})], {}),
        ([("Squeeze", ["x"], ["a"], {}), ("Flatten", ["a"], ["y"], {})], {}),
        ([("Reshape", ["x", "two"], ["y"], {})], {"two": np.array([-1, -1])}),
        ([("Expand", ["x", "wide"], ["a"], {}), ("Flatten", ["a"], ["y"], {})],
         {"wide": np.array([1 << 22, 1, 3])}),
        ([("TopK", ["x", "k"], ["y", "at"], {})], {"k": np.array([3])}),
        ([("Gather", ["w", "at"], ["y"], {}), ("Cast", ["x"], ["at"], {"to": WHOLE})], {}),
    ],
    ids=["no input", "not folded", "rows squeezed", "two unknown", "too large", "unknown", "order"],
)  # fmt: skip
def test_what_is_not_understood_has_no_inside(
    nodes: list[Node], constants: dict[str, Array]
) -> None:
    built = helper.make_graph(
        [helper.make_node(kind, takes, makes, **given) for kind, takes, makes, given in nodes], "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", 3])],
        [
            numpy_helper.from_array(one, name)
            for name, one in {"w": floats(3, 3), **constants}.items()
        ],
    )  # fmt: skip
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises((onnx_graph.UnknownInsideError, ValidationError)):
        onnx_inside.inside_of(model.SerializeToString())


@pytest.mark.parametrize("count", [10, 11])
def test_what_is_computed_of_constants_is_limited_together(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "_MOST_CELLS", 30)
    names = ["w", *(f"a{at}" for at in range(count))]
    nodes: list[Node] = [
        ("Add", [before, "w"], [after], {}) for before, after in itertools.pairwise(names)
    ]
    data = graph([*nodes, ("Add", ["x", names[-1]], ["y"], {})], {"w": floats(3)}, [3], 17)
    if count == 10:  # three cells each
        assert onnx_inside.inside_of(data)[0] == "layers"
    else:
        with pytest.raises(onnx_graph.UnknownInsideError):
            onnx_inside.inside_of(data)
