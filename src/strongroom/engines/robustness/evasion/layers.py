"""Networks as layers of plain numbers, forward and back: for slopes without the network's library.

A layer knows the shape that it makes of a shape (rows left out), so that a network that came from
elsewhere is measured before anything is computed. Slopes are those of reverse accumulation, a layer
at a time (Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from strongroom.engines.robustness.evasion.gradients import Gradient, sides
from strongroom.engines.robustness.evasion.hunt import Numbers, margins_of
from strongroom.engines.robustness.target import Labels, Rows
from strongroom.errors import ValidationError

MAX_LAYERS = 500
MAX_CELLS = 4_000_000
"""Of one row after any layer: 32 MB."""
MAX_WORK = 4_000_000_000
"""Multiplications for one row."""
_MEMORY = 8_000_000
"""Cells of the rows that go through a network together, windows of convolutions counted."""

Shape = tuple[int, ...]
Back = Callable[[Numbers], Numbers]
"""Slopes after a layer → slopes before it."""


class Layer(Protocol):
    """A step of a network."""

    def after(self, shape: Shape, /) -> Shape:
        """The shape that it makes. Raises: ValidationError: it cannot take this one."""

    def work(self, shape: Shape, /) -> int:
        """Multiplications for one row of this shape."""

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
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
        return _required(shape, fits)

    def work(self, shape: Shape) -> int:
        """One a cell."""
        return _cells(shape)

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
        return _required((*shape[:-1], *self.weight.shape[1:]), fits)

    def work(self, shape: Shape) -> int:
        """Inputs times outputs."""
        return _cells(shape[:-1]) * self.weight.size

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        return values @ self.weight + self.bias, lambda back: back @ self.weight.T


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same cells in another shape."""

    shape: Shape

    def after(self, shape: Shape) -> Shape:
        """The other one."""
        return _required(self.shape, _cells(shape) == _cells(self.shape))

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        return values.reshape(-1, *self.shape), lambda back: back.reshape(values.shape)


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes of a row in another order."""

    order: Shape

    def after(self, shape: Shape) -> Shape:
        """Reordered."""
        fits = sorted(self.order) == list(range(len(shape)))
        _required((), fits)
        return tuple(shape[axis] for axis in self.order)

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        order = (0, *(axis + 1 for axis in self.order))
        return values.transpose(order), lambda back: back.transpose(tuple(np.argsort(order)))


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each cell.

    Attributes:
        low, high: of `clip` the ends; of `leaky` and `elu`, `low` is the slope or depth below 0.
    """

    name: Literal["relu", "tanh", "logistic", "leaky", "elu", "clip"]
    low: float = 0.0
    high: float = 0.0

    def after(self, shape: Shape) -> Shape:
        """The same."""
        known = {"relu", "tanh", "logistic", "leaky", "elu", "clip"}
        return _required(shape, self.name in known)

    def work(self, shape: Shape) -> int:
        """Ten a cell, about."""
        return 10 * _cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        made, slope = self._both(values)
        return made, lambda back: back * slope

    def _both(self, x: Numbers) -> tuple[Numbers, Numbers]:
        is_above = np.asarray(x > 0)
        match self.name:
            case "relu":
                return np.where(is_above, x, 0.0), is_above.astype(np.float64)
            case "tanh":
                return (made := np.tanh(x)), 1 - made**2
            case "logistic":
                return (made := 0.5 * (1 + np.tanh(x / 2))), made * (1 - made)
            case "leaky":
                return np.where(is_above, x, self.low * x), np.where(is_above, 1.0, self.low)
            case "elu":
                below = self.low * np.exp(np.minimum(x, 0.0))
                return np.where(is_above, x, below - self.low), np.where(is_above, 1.0, below)
            case _:
                inside = (x > self.low) & (x < self.high)
                return np.clip(x, self.low, self.high), inside.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel moves over an image.

    Attributes:
        kernel, strides, dilations: (down, across).
        pads: (top, left, bottom, right).
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    def after(self, image: Shape) -> tuple[int, int]:
        """Rows and columns that it makes of (channels, rows, columns)."""
        numbers = (*self.kernel, *self.strides, *self.dilations)
        shapely = len(image) == 3 and min(numbers) >= 1 and max(*numbers, *self.pads) <= 1 << 16
        _required((), shapely and min(self.pads) >= 0)
        made = [
            (image[1 + at] + self.pads[at] + self.pads[2 + at] - self._reach(at))
            // self.strides[at] + 1 for at in (0, 1)
        ]  # fmt: skip
        _required((image[0], *(image[1 + at] + self.pads[at] + self.pads[2 + at] for at in (0, 1))))
        _required((), min(made) >= 1)
        return made[0], made[1]

    def seen(self, values: Numbers, outside: float) -> Numbers:
        """What it sees of images: (images, channels, down, across, *kernel)."""
        top, left, bottom, right = self.pads
        padded = np.pad(
            values, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=outside
        )
        reach = (self._reach(0), self._reach(1))
        every = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
        (down, across), (far, wide) = self.strides, self.dilations
        return every[:, :, ::down, ::across, ::far, ::wide]

    def spread(self, back: Callable[[int, int], Numbers], image: Shape) -> Numbers:
        """Slopes of images: those of each place of the kernel, put where it saw.

        Args:
            back: of one place of the kernel, (images, channels, down, across).
            image: shape of the images, all four axes.
        """
        top, left, bottom, right = self.pads
        count, channels, rows, columns = image
        whole = np.zeros((count, channels, rows + top + bottom, columns + left + right))
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                part = back(y, x)
                start = y * self.dilations[0], x * self.dilations[1]
                stop = (start[0] + self.strides[0] * part.shape[2],
                        start[1] + self.strides[1] * part.shape[3])  # fmt: skip
                whole[
                    :, :, start[0] : stop[0] : self.strides[0], start[1] : stop[1] : self.strides[1]
                ] += part
        return whole[:, :, top : top + rows, left : left + columns]

    def _reach(self, at: int) -> int:
        return (self.kernel[at] - 1) * self.dilations[at] + 1


@dataclass(frozen=True, slots=True)
class Convolution:
    """Over (channels, rows, columns); weight is (outputs, channels of a group, down, across)."""

    weight: Numbers
    bias: Numbers
    window: Window
    groups: int = 1

    def after(self, shape: Shape) -> Shape:
        """Outputs, rows, columns."""
        outputs = len(self.weight) if self.weight.ndim == 4 else 0
        fits = (
            outputs > 0 and len(shape) == 3 and self.groups >= 1
            and self.weight.shape[2:] == self.window.kernel
            and self.weight.shape[1] * self.groups == shape[0] and outputs % self.groups == 0
            and self.bias.shape == (outputs,)
        )  # fmt: skip
        _required((), fits)
        made = self.window.after(shape)
        _required((shape[0], *made, *self.window.kernel))
        return _required((outputs, *made))

    def work(self, shape: Shape) -> int:
        """Weights times places."""
        return self.weight.size * _cells(self.window.after(shape))

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        seen = np.split(self.window.seen(values, 0.0), self.groups, axis=1)
        weights = np.split(self.weight, self.groups)
        made = [
            np.tensordot(part, weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
            for part, weight in zip(seen, weights, strict=True)
        ]

        def back(slopes: Numbers) -> Numbers:
            parts = np.split(slopes, self.groups, axis=1)

            def at(y: int, x: int) -> Numbers:
                found = [
                    np.tensordot(part, weight[:, :, y, x], axes=([1], [0])).transpose(0, 3, 1, 2)
                    for part, weight in zip(parts, weights, strict=True)
                ]
                return np.concatenate(found, axis=1)

            return self.window.spread(at, values.shape)

        return np.concatenate(made, axis=1) + self.bias[:, None, None], back


@dataclass(frozen=True, slots=True)
class Pool:
    """The largest or the mean of what a window sees.

    Attributes:
        counts_outside: of a mean: what lies beyond the image counts as 0, else not at all.
    """

    name: Literal["most", "mean"]
    window: Window
    counts_outside: bool = False

    def after(self, shape: Shape) -> Shape:
        """Channels, rows, columns."""
        _required((), self.name in {"most", "mean"} and self._is_covered())
        made = self.window.after(shape)
        _required((shape[0], *made, *self.window.kernel))
        return (shape[0], *made)

    def work(self, shape: Shape) -> int:
        """One for each cell seen."""
        return _cells((shape[0], *self.window.after(shape), *self.window.kernel))

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        if self.name == "most":
            seen = self.window.seen(values, -np.inf)
            made = seen.max(axis=(4, 5))
            place = seen.reshape(*made.shape, -1).argmax(axis=4)
            width = self.window.kernel[1]
            return made, lambda back: self.window.spread(
                lambda y, x: back * (place == y * width + x), values.shape
            )
        counted = np.ones_like(values[:1, :1])
        number = self.window.seen(counted, float(self.counts_outside)).sum(axis=(4, 5))
        made = self.window.seen(values, 0.0).sum(axis=(4, 5)) / number
        return made, lambda back: self.window.spread(lambda _y, _x: back / number, values.shape)

    def _is_covered(self) -> bool:
        """Whether no window lies beyond the image altogether."""
        down, across = self.window.kernel
        top, left, bottom, right = self.window.pads
        is_near = max(top, bottom) < down and max(left, right) < across
        return is_near and self.window.dilations == (1, 1)


def of_layers(layers: Sequence[Layer], shape: Shape) -> Gradient:
    """Slopes of a network whose last layer gives logits; one logit speaks for the second of two.

    Args:
        shape: that a point takes before the first layer.
    Raises: ValidationError: layers do not fit, or are more than is computed here.
    """
    _required(shape, len(layers) <= MAX_LAYERS)
    work, most, here = 0, _cells(shape), shape
    for layer in layers:
        before, here = here, layer.after(here)
        work += layer.work(before)
        most = max(most, _cells(here))
        if isinstance(layer, Convolution | Pool):
            most = max(most, _cells((before[0], *here[1:], *layer.window.kernel)))
    _required(here, work <= MAX_WORK and _cells(here) >= 1)
    each = max(1, _MEMORY // most)

    def gradient(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        found = [
            _through(layers, shape, points[at : at + each], labels[at : at + each])
            for at in range(0, len(points), each)
        ]
        if not found:
            return np.empty(0), np.empty_like(points)
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    return gradient


def _through(
    layers: Sequence[Layer], shape: Shape, points: Rows, labels: Labels
) -> tuple[Numbers, Rows]:
    values: Numbers = points.reshape(-1, *shape)
    ways = []
    for layer in layers:
        values, back = layer.forward(values)
        ways.append(back)
    logits = values.reshape(len(points), -1)
    is_single = logits.shape[1] == 1
    if is_single:
        logits = np.hstack([np.zeros_like(logits), logits])
    slopes = sides(logits, labels)
    slopes = (slopes[:, 1:] if is_single else slopes).reshape(values.shape)
    for back in reversed(ways):
        slopes = back(slopes)
    return margins_of(logits, labels), slopes.reshape(points.shape)


def _cells(shape: Shape) -> int:
    cells = 1
    for one in shape:
        cells *= one
    return cells


def _required(shape: Shape, fits: bool = True) -> Shape:
    if not fits or min(shape, default=1) < 1 or _cells(shape) > MAX_CELLS:
        raise ValidationError("the layers of the network do not fit, or are too large")
    return shape
