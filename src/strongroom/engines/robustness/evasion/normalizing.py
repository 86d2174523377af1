"""Layers that take means: over axes, against each other, and as a measure of the rest."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from strongroom.engines.robustness.evasion.hunt import Numbers
from strongroom.engines.robustness.evasion.layers import Back, Shape, cells, required


@dataclass(frozen=True, slots=True)
class Mean:
    """Of all cells over some axes, which stay with one cell."""

    axes: Shape

    def after(self, shape: Shape) -> Shape:
        """With ones in the places of the axes."""
        required((), _are_axes(self.axes, shape))
        return required(tuple(1 if at in self.axes else size for at, size in enumerate(shape)))

    def work(self, shape: Shape) -> int:
        """One a cell."""
        return cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        axes = tuple(at + 1 for at in self.axes)
        made = np.asarray(values.mean(axis=axes, keepdims=True))
        share = made.size / values.size
        return made, lambda back: np.broadcast_to(back * share, values.shape)


@dataclass(frozen=True, slots=True)
class Softmax:
    """Shares of an axis."""

    axis: int

    def after(self, shape: Shape) -> Shape:
        """The same."""
        return required(shape, _are_axes((self.axis,), shape))

    def work(self, shape: Shape) -> int:
        """Twelve a cell, about."""
        return 12 * cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        axis = self.axis + 1
        made = np.asarray(softmax(values, axis=axis))
        return made, lambda back: made * (back - (back * made).sum(axis=axis, keepdims=True))


@dataclass(frozen=True, slots=True)
class Normalized:
    """(x - mean) / sqrt(variance + epsilon), of the cells over some axes."""

    axes: Shape
    epsilon: float

    def after(self, shape: Shape) -> Shape:
        """The same."""
        return required(shape, _are_axes(self.axes, shape) and 0 < self.epsilon < 1)

    def work(self, shape: Shape) -> int:
        """Four a cell, about."""
        return 4 * cells(shape)

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        axes = tuple(at + 1 for at in self.axes)
        centred = values - values.mean(axis=axes, keepdims=True)
        scale = 1 / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + self.epsilon)
        made = centred * scale

        def back(slopes: Numbers) -> Numbers:
            along = (slopes * made).mean(axis=axes, keepdims=True)
            return np.asarray(
                scale * (slopes - slopes.mean(axis=axes, keepdims=True) - made * along)
            )

        return made, back


def _are_axes(axes: Shape, shape: Shape) -> bool:
    return bool(axes) and len(set(axes)) == len(axes) and set(axes) <= set(range(len(shape)))
