"""Networks as layers of plain numbers, forward and back: for slopes without the network's library.

A layer knows the shape that it makes of a shape (rows left out), so that a network that came from
elsewhere is measured before anything is computed. Beside these are layers for images (`windows`),
layers that move cells (`rearranging`) or take means (`normalizing`), and those in which several
values meet (`joints`); `networks` puts them in order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from scipy.special import erf, expit

from strongroom.engines.robustness.evasion.hunt import Numbers
from strongroom.errors import ValidationError

MAX_CELLS = 4_000_000
"""Of one row after any layer: 32 MB."""

Shape = tuple[int, ...]
Back = Callable[[Numbers], Numbers]
"""Slopes after a layer → slopes before it."""
Function = Literal[
    "relu", "tanh", "logistic", "leaky", "elu", "clip", "erf", "gelu", "gelu by tanh", "exp", "log",
    "power", "softplus", "size",
]  # fmt: skip
_GELU = 0.044715


class Layer(Protocol):
    """A step of a network."""

    def after(self, shape: Shape, /) -> Shape:
        """The shape that it makes. Raises: ValidationError: it cannot take this one."""

    def work(self, shape: Shape, /) -> int:
        """Multiplications for one row of this shape."""

    def forward(self, values: Numbers, /) -> tuple[Numbers, Back]:
        """Values after it, and the way back."""


@dataclass(frozen=True, slots=True)
class Scale:
    """x * factor + shift, broadcast over a row."""

    factor: Numbers
    shift: Numbers

    def after(self, shape: Shape) -> Shape:
        """The same."""
        try:
            fits = np.broadcast_shapes(shape, self.factor.shape, self.shift.shape) == shape
        except ValueError:
            fits = False
        return required(shape, fits)

    def work(self, shape: Shape) -> int:
        """One a cell."""
        return cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        return values * self.factor + self.shift, lambda back: back * self.factor


@dataclass(frozen=True, slots=True)
class Full:
    """x . weight + bias over the last axis; weight is (inputs, outputs)."""

    weight: Numbers
    bias: Numbers

    def after(self, shape: Shape) -> Shape:
        """Outputs in the place of inputs."""
        fits = (
            self.weight.ndim == 2 and len(shape) > 0 and shape[-1] == len(self.weight)
            and self.bias.shape in {(), (1,), self.weight.shape[1:]}
        )  # fmt: skip
        return required((*shape[:-1], *self.weight.shape[1:]), fits)

    def work(self, shape: Shape) -> int:
        """Inputs times outputs."""
        return cells(shape[:-1]) * self.weight.size

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        return _times(values, self.weight) + self.bias, lambda back: _times(back, self.weight.T)


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each cell.

    Attributes:
        low, high: of `clip` the ends; of `leaky` and `elu`, `low` is the slope or depth below 0, of
            `power` the exponent.
    """

    name: Function
    low: float = 0.0
    high: float = 0.0

    def after(self, shape: Shape) -> Shape:
        """The same."""
        return required(shape, self.name in get_args(Function))

    def work(self, shape: Shape) -> int:
        """Ten a cell, about."""
        return 10 * cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        made, slope = (_bent if self.name in _BENT else _smooth)(self, values)
        return made, lambda back: back * slope


_BENT = frozenset(("relu", "leaky", "elu", "clip", "size"))


def _bent(by: Activation, x: Numbers) -> tuple[Numbers, Numbers]:
    """Functions with a corner: their values and slopes."""
    is_above = np.asarray(x > 0)
    match by.name:
        case "relu":
            return np.where(is_above, x, 0.0), is_above.astype(np.float64)
        case "leaky":
            return np.where(is_above, x, by.low * x), np.where(is_above, 1.0, by.low)
        case "elu":
            below = by.low * np.exp(np.minimum(x, 0.0))
            return np.where(is_above, x, below - by.low), np.where(is_above, 1.0, below)
        case "size":
            return np.abs(x), np.sign(x)
        case _:
            inside = (x > by.low) & (x < by.high)
            return np.clip(x, by.low, by.high), inside.astype(np.float64)


def _smooth(by: Activation, x: Numbers) -> tuple[Numbers, Numbers]:
    """Functions without one: their values and slopes."""
    match by.name:
        case "tanh":
            return (made := np.tanh(x)), 1 - made**2
        case "logistic":
            return (made := expit(x)), made * (1 - made)
        case "erf":
            return erf(x), 2 / np.sqrt(np.pi) * np.exp(-(x**2))
        case "gelu":
            share = (1 + erf(x / np.sqrt(2))) / 2
            return x * share, share + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
        case "gelu by tanh":
            bend = np.tanh(np.sqrt(2 / np.pi) * (x + _GELU * x**3))
            rise = (1 - bend**2) * np.sqrt(2 / np.pi) * (1 + 3 * _GELU * x**2)
            return x * (1 + bend) / 2, (1 + bend + x * rise) / 2
        case "exp":
            return (made := np.exp(x)), made
        case "log":
            return np.log(x), 1 / x
        case "power":
            return x**by.low, by.low * x ** (by.low - 1)
        case _:  # softplus
            return np.logaddexp(0.0, x), expit(x)


def _times(values: Numbers, weight: Numbers) -> Numbers:
    """Over the last axis, all rows in one product: one a row would be many small ones."""
    made = values.reshape(-1, values.shape[-1]) @ weight
    return made.reshape(*values.shape[:-1], weight.shape[1])


def cells(shape: Shape) -> int:
    """Of a shape."""
    count = 1
    for one in shape:
        count *= one
    return count


def required(shape: Shape, fits: bool = True) -> Shape:
    """The shape, if it is one. Raises: ValidationError: it is none, too large, or does not fit."""
    if not fits or min(shape, default=1) < 1 or cells(shape) > MAX_CELLS:
        raise ValidationError("the layers of the network do not fit, or are too large")
    return shape
