"""Layers of plain numbers: the values and slopes of torch, and what is refused before it runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from strongroom.engines.robustness.evasion import networks as module
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.layers import (
    Activation,
    Full,
    Layer,
    Scale,
    Shape,
)
from strongroom.engines.robustness.evasion.networks import chained, of_steps
from strongroom.engines.robustness.evasion.rearranging import Reshape, Transpose
from strongroom.engines.robustness.evasion.windows import Convolution, Pool, Window
from strongroom.errors import ValidationError

RNG = np.random.default_rng(0)
Torch = Any
"""torch has no types here."""


def of_layers(layers: Sequence[Layer], shape: Shape) -> Gradient:
    """Slopes of a network without branches."""
    return of_steps(chained(layers), shape)


def convolution(outputs: int, inputs: int, window: Window, groups: int = 1) -> Convolution:
    weight = RNG.normal(size=(outputs, inputs // groups, *window.kernel))
    return Convolution(weight, RNG.normal(size=outputs), window, groups)


def ours_and_torch(layers: Sequence[Layer], shape: Shape, as_torch: Torch) -> None:
    """Leads and slopes are those of torch, in exact numbers."""
    torch = pytest.importorskip("torch")
    points = RNG.normal(size=(5, int(np.prod(shape))))
    labels = np.array([0, 1, 2, 0, 1])
    leads, slopes = of_layers(layers, shape)(points, labels)
    inputs = torch.tensor(points, requires_grad=True)
    logits = as_torch(torch, inputs.reshape(5, *shape)).reshape(5, -1)
    own = logits[torch.arange(5), torch.tensor(labels)]
    others = logits.detach().clone()
    others[torch.arange(5), torch.tensor(labels)] = -torch.inf
    rival = logits[torch.arange(5), others.argmax(dim=1)]
    (found,) = torch.autograd.grad((own - rival).sum(), inputs)
    np.testing.assert_allclose(leads, (own - rival).detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(slopes, found.numpy(), atol=1e-9)


def last(shape: Shape) -> list[Layer]:
    """Three logits."""
    width = int(np.prod(shape))
    return [Reshape((width,)), Full(RNG.normal(size=(width, 3)), np.zeros(3))]


@pytest.mark.parametrize(
    "window",
    [
        Window((3, 3)), Window((3, 2), (2, 1), (1, 0, 1, 1)), Window((2, 2), (1, 2), (0, 1, 1, 0)),
        Window((2, 3), (2, 2), (2, 1, 0, 3), (2, 1)),
    ],
    ids=["plain", "strides and pads", "uneven pads", "dilated"],
)  # fmt: skip
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_are_those_of_torch(window: Window, groups: int) -> None:
    layer = convolution(6, 4, window, groups)
    after = layer.after((4, 7, 6))
    end = last(after)

    def as_torch(torch: Torch, values: Torch) -> Torch:
        top, left, bottom, right = window.pads
        padded = torch.nn.functional.pad(values, (left, right, top, bottom))
        made = torch.nn.functional.conv2d(
            padded, torch.tensor(layer.weight), torch.tensor(layer.bias), stride=window.strides,
            dilation=window.dilations, groups=groups,
        )  # fmt: skip
        assert made.shape[1:] == after
        return made.flatten(1) @ torch.tensor(end[1].weight)  # type: ignore[attr-defined] # a full layer

    ours_and_torch([layer, *end], (4, 7, 6), as_torch)


@pytest.mark.parametrize("name", ["most", "mean", "mean, outside counted"])
def test_pools_are_those_of_torch(name: str) -> None:
    layer = Pool(
        "most" if name == "most" else "mean", Window((3, 3), (2, 2), (1, 1, 1, 1)),
        counts_outside=name.endswith("counted"),
    )  # fmt: skip
    end = last(layer.after((2, 6, 7)))

    def as_torch(torch: Torch, values: Torch) -> Torch:
        if name == "most":
            made = torch.nn.functional.max_pool2d(values, 3, 2, 1)
        else:
            made = torch.nn.functional.avg_pool2d(
                values, 3, 2, 1, count_include_pad=name.endswith("counted")
            )
        return made.flatten(1) @ torch.tensor(end[1].weight)  # type: ignore[attr-defined] # a full layer

    ours_and_torch([layer, *end], (2, 6, 7), as_torch)


FUNCTIONS = (
    Activation("relu"), Activation("tanh"), Activation("logistic"), Activation("leaky", 0.3),
    Activation("elu", 0.3), Activation("clip", -0.4, 0.5),
)  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.name)
def test_other_layers_are_those_of_torch(function: Activation) -> None:
    factor, shift = RNG.normal(size=(3, 1, 1)), RNG.normal(size=(3, 1, 1))
    end = last((4, 4, 3))
    weight = end[1].weight  # type: ignore[attr-defined] # a full layer

    def as_torch(torch: Torch, values: Torch) -> Torch:
        made = (values * torch.tensor(factor) + torch.tensor(shift)).permute(0, 2, 3, 1)
        apply = {
            "relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid,
            "leaky": lambda x: torch.nn.functional.leaky_relu(x, 0.3),
            "elu": lambda x: torch.nn.functional.elu(x, 0.3),
            "clip": lambda x: torch.clamp(x, -0.4, 0.5),
        }[function.name]  # fmt: skip
        return apply(made).flatten(1) @ torch.tensor(weight)

    layers: list[Layer] = [Scale(factor, shift), Transpose((1, 2, 0)), function, *end]
    ours_and_torch(layers, (3, 4, 4), as_torch)


def test_one_logit_speaks_for_the_second_class() -> None:
    weight = np.array([[2.0], [-1.0]])
    leads, slopes = of_layers([Full(weight, np.array([0.5]))], (2,))(
        np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1, 0])
    )
    assert leads.tolist() == [1.5, -1.5]
    assert slopes.tolist() == [[2.0, -1.0], [-2.0, 1.0]]


def test_rows_go_through_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    network = [convolution(2, 1, Window((3, 3))), *last((2, 4, 4))]
    points, labels = RNG.normal(size=(7, 36)), np.arange(7) % 3
    whole = of_layers([Reshape((1, 6, 6)), *network], (36,))(points, labels)
    monkeypatch.setattr(module, "_MEMORY", 1)
    parts = of_layers([Reshape((1, 6, 6)), *network], (36,))(points, labels)
    np.testing.assert_allclose(whole[1], parts[1])
    assert of_layers(network, (1, 6, 6))(points[:0], labels[:0])[1].shape == (0, 36)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Full(np.ones((3, 2)), np.zeros(2))], (4,)),
        ([Full(np.ones((3, 2)), np.zeros(5))], (3,)),
        ([Reshape((5,))], (4,)),
        ([Reshape((-1, -4))], (4,)),
        ([Transpose((0, 0))], (2, 2)),
        ([Scale(np.ones(3), np.zeros(1))], (4,)),
        ([Scale(np.ones((4, 4)), np.zeros(1))], (4,)),
        ([Activation("exec")], (4,)),  # type: ignore[arg-type] # hostile
        ([Convolution(np.ones((1, 1, 3, 3)), np.zeros(1), Window((3, 3)))], (1, 2, 2)),
        ([Convolution(np.ones((1, 1, 3, 3)), np.zeros(1), Window((2, 2)))], (1, 4, 4)),
        ([Convolution(np.ones((1, 1, 1, 1)), np.zeros(1), Window((1, 1), (0, 1)))], (1, 4, 4)),
        ([Convolution(np.ones((1, 1, 1, 1)), np.zeros(1),
                      Window((1, 1), pads=(1 << 15,) * 4))], (1, 4, 4)),
        ([Convolution(np.ones((1, 1, 1, 1)), np.zeros(1), Window((1, 1)), 0)], (1, 4, 4)),
        ([Pool("most", Window((2, 2), pads=(2, 0, 0, 0)))], (1, 4, 4)),
        ([Pool("least", Window((2, 2)))], (1, 4, 4)),  # type: ignore[arg-type] # hostile
        ([Pool("mean", Window((2, 2), dilations=(2, 2)))], (1, 4, 4)),
        ([Activation("relu")] * 2_001, (4,)),
        ([Full(np.ones((2_000, 2_000)), np.zeros(2_000))] * 400, (2_000, 100)),
        ([], (4_000_001,)),
        ([], (0,)),
    ],
    ids=range(20),
)  # fmt: skip
def test_layers_that_do_not_fit_are_refused(layers: list[Layer], shape: Shape) -> None:
    with pytest.raises(ValidationError):
        of_layers(layers, shape)
