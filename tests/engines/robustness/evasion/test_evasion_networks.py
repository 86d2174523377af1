"""Networks whose branches part and meet: slopes of torch; what does not fit is refused."""

from typing import Any

import numpy as np
import pytest

from strongroom.engines.robustness.evasion.joints import Joined, Joint, Meeting, Product
from strongroom.engines.robustness.evasion.layers import Activation, Full, Layer, Shape
from strongroom.engines.robustness.evasion.networks import Step, chained, of_steps, values_of
from strongroom.engines.robustness.evasion.normalizing import Mean, Normalized, Softmax
from strongroom.engines.robustness.evasion.rearranging import (
    Padded,
    Repeated,
    Reshape,
    Taken,
    Transpose,
)
from strongroom.errors import ValidationError

RNG = np.random.default_rng(3)
Torch = Any
"""torch has no types here."""


def compared(does: Layer | Joint, shapes: list[Shape], as_torch: Torch) -> None:
    """A step's values, and slopes by each of what it takes, beside those of torch."""
    torch = pytest.importorskip("torch")
    values = [RNG.uniform(0.2, 1.5, size=(3, *shape)) for shape in shapes]
    if isinstance(does, Joint):
        made, spread = does.forward(values)
        expected = does.after(shapes)
    else:
        made, back = does.forward(values[0])
        expected = does.after(shapes[0])
        spread = lambda slopes: [back(slopes)]  # noqa: E731 # a name for either
    assert made.shape == (3, *expected)
    inputs = [torch.tensor(one, requires_grad=True) for one in values]
    known = as_torch(torch, *inputs)
    np.testing.assert_allclose(made, known.detach().numpy(), atol=1e-12)
    after = RNG.normal(size=made.shape)
    slopes = torch.autograd.grad((known * torch.tensor(after)).sum(), inputs)
    for found, one in zip(spread(after), slopes, strict=True):
        np.testing.assert_allclose(found, one.numpy(), atol=1e-10)


MEETINGS: dict[str, Torch] = {
    "add": lambda _, a, b: a + b, "subtract": lambda _, a, b: a - b,
    "multiply": lambda _, a, b: a * b, "divide": lambda _, a, b: a / b,
    "larger": lambda torch, a, b: torch.maximum(a, b),
    "smaller": lambda torch, a, b: torch.minimum(a, b),
}  # fmt: skip


@pytest.mark.parametrize("sign", MEETINGS)
@pytest.mark.parametrize(
    "shapes", [[(2, 3, 4), (2, 3, 4)], [(2, 3, 4), (3, 1)], [(1, 4), (5, 3, 1)]],
    ids=["alike", "smaller", "both ways"],
)  # fmt: skip
def test_meetings_are_those_of_torch(sign: Any, shapes: list[Shape]) -> None:  # noqa: ANN401 # a literal
    def as_torch(torch: Torch, first: Torch, second: Torch) -> Torch:
        axes = max(first.dim(), second.dim())
        lifted = [
            one.reshape(len(one), *(1,) * (axes - one.dim()), *one.shape[1:])
            for one in (first, second)
        ]
        return MEETINGS[sign](torch, *lifted)

    compared(Meeting(sign), shapes, as_torch)


@pytest.mark.parametrize(
    ("does", "shapes", "as_torch"),
    [
        (Joined(1), [(2, 3, 2), (2, 1, 2), (2, 4, 2)],
         lambda torch, *all_: torch.cat(all_, dim=2)),
        (Product(), [(2, 3, 4), (2, 4, 5)], lambda _, a, b: a @ b),
        (Product(), [(2, 3, 4), (1, 4, 5)], lambda _, a, b: a @ b),
        (Mean((0, 2)), [(2, 3, 4)], lambda _, x: x.mean((1, 3), keepdim=True)),
        (Softmax(1), [(2, 3, 4)], lambda _, x: x.softmax(2)),
        (Normalized((1, 2), 1e-3), [(2, 3, 4)],
         lambda torch, x: torch.nn.functional.layer_norm(x, (3, 4), eps=1e-3)),
        (Padded((0, 1), (2, 0)), [(3, 4)],
         lambda torch, x: torch.nn.functional.pad(x, (1, 0, 0, 2))),
        (Taken(1, np.array([2, 0, 2])), [(2, 3)], lambda _, x: x[:, :, [2, 0, 2]]),
        (Repeated((2, 3)), [(1, 3)], lambda _, x: x.expand(-1, 2, -1)),
    ],
    ids=["joined", "product", "product, broadcast", "mean", "softmax", "normalized", "padded",
         "taken", "repeated"],
)  # fmt: skip
def test_other_steps_are_those_of_torch(
    does: Layer | Joint, shapes: list[Shape], as_torch: Torch
) -> None:
    compared(does, shapes, as_torch)


@pytest.mark.parametrize(
    ("function", "as_torch"),
    [
        (Activation("erf"), lambda torch, x: torch.erf(x)),
        (Activation("gelu"), lambda torch, x: torch.nn.functional.gelu(x)),
        (Activation("gelu by tanh"),
         lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh")),
        (Activation("exp"), lambda torch, x: torch.exp(x)),
        (Activation("log"), lambda torch, x: torch.log(x)),
        (Activation("power", -1.5), lambda _, x: x**-1.5),
        (Activation("softplus"), lambda torch, x: torch.nn.functional.softplus(x)),
        (Activation("size"), lambda torch, x: torch.abs(x)),
    ],
    ids=lambda one: one.name if isinstance(one, Activation) else "",
)  # fmt: skip
def test_functions_are_those_of_torch(function: Activation, as_torch: Torch) -> None:
    compared(function, [(2, 3)], as_torch)


def test_a_value_that_is_taken_twice_has_both_slopes() -> None:
    """x -> (x W + x, times itself): (w + 1)^2 x^2 for one number."""
    steps = [
        Step(Full(np.array([[2.0, 0.0], [0.0, -3.0]]), np.zeros(2)), (0,)),
        Step(Meeting("add"), (1, 0)),
        Step(Activation("tanh"), (1,)),  # leads nowhere
        Step(Meeting("multiply"), (2, 2)),
    ]
    points = np.array([[1.0, 2.0], [3.0, 0.5]])
    leads, slopes = of_steps(steps, (2,))(points, np.array([0, 1]))
    assert values_of(steps, points).tolist() == [[9.0, 16.0], [81.0, 1.0]]
    assert leads.tolist() == [-7.0, -80.0]
    assert slopes.tolist() == [[18.0, -16.0], [-54.0, 4.0]]


def test_a_network_that_does_not_look_at_its_input_has_no_slope() -> None:
    steps = [Step(Activation("power", 0.0), (0,))]
    leads, slopes = of_steps(steps, (2,))(np.array([[1.0, 2.0]]), np.array([0]))
    assert leads == pytest.approx([0.0])
    assert slopes.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("steps", "shape"),
    [
        ([Step(Meeting("add"), (0, 1))], (2,)),
        ([Step(Meeting("add"), (0,))], (2,)),
        ([Step(Meeting("add"), ())], (2,)),
        ([Step(Meeting("exec"), (0, 0))], (2,)),  # type: ignore[arg-type] # hostile
        ([Step(Activation("relu"), (0, 0))], (2,)),
        ([Step(Activation("relu"), (-1,))], (2,)),
        ([Step(Joined(0), ())], (2,)),
        ([Step(Joined(1), (0, 0))], (2,)),
        ([Step(Joined(0), (0,) * 1_000)], (10_000,)),
        ([Step(Product(), (0, 0))], (2,)),
        ([Step(Product(), (0, 0))], (2, 3)),
        ([Step(Reshape((1, 2)), (0,)), Step(Reshape((2, 1)), (0,)),
          Step(Meeting("add"), (1, 2)), Step(Meeting("add"), (3, 0))], (3,)),
        (chained([Mean(())]), (2,)),
        (chained([Mean((0, 0))]), (2,)),
        (chained([Softmax(1)]), (2,)),
        (chained([Normalized((0,), 0.0)]), (2,)),
        (chained([Padded((1,), (-1,))]), (2,)),
        (chained([Padded((1 << 30,), (0,))]), (2,)),
        (chained([Taken(0, np.array([2]))]), (2,)),
        (chained([Taken(0, np.array([-1]))]), (2,)),
        (chained([Taken(0, np.array([], dtype=np.intp))]), (2,)),
        (chained([Repeated((1 << 30,))]), (1,)),
        (chained([Repeated((3,))]), (2,)),
        (chained([Transpose((0, 1))]), (2,)),
        (chained([Activation("relu")] * 100), (1_000_000,)),
    ],
    ids=range(25),
)  # fmt: skip
def test_steps_that_do_not_fit_are_refused(steps: list[Step], shape: Shape) -> None:
    with pytest.raises(ValidationError):
        of_steps(steps, shape)
