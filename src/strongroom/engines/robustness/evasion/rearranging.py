"""Layers that move the cells of a row and compute nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.hunt import Numbers
from strongroom.engines.robustness.evasion.layers import Back, Shape, cells, required


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same cells in another shape."""

    shape: Shape

    def after(self, shape: Shape) -> Shape:
        """The other one."""
        return required(self.shape, cells(shape) == cells(self.shape))

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
        required((), fits)
        return tuple(shape[axis] for axis in self.order)

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        order = (0, *(axis + 1 for axis in self.order))
        return values.transpose(order), lambda back: back.transpose(tuple(np.argsort(order)))


@dataclass(frozen=True, slots=True)
class Padded:
    """Zeros around.

    Attributes:
        before, behind: so many, of each axis.
    """

    before: Shape
    behind: Shape

    def after(self, shape: Shape) -> Shape:
        """Larger."""
        fits = len(self.before) == len(self.behind) == len(shape)
        required((), fits and min((*self.before, *self.behind), default=0) >= 0)
        return required(
            tuple(a + b + c for a, b, c in zip(self.before, shape, self.behind, strict=True))
        )

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        pairs = [(0, 0), *zip(self.before, self.behind, strict=True)]
        inner = (slice(None), *(
            slice(before, before + size)
            for before, size in zip(self.before, values.shape[1:], strict=True)
        ))  # fmt: skip
        return np.pad(values, pairs), lambda back: back[inner]


@dataclass(frozen=True, slots=True)
class Taken:
    """Places of one axis, in an order, some perhaps more than once."""

    axis: int
    places: NDArray[np.intp]

    def after(self, shape: Shape) -> Shape:
        """As many as there are places."""
        fits = 0 <= self.axis < len(shape) and self.places.ndim == 1 and len(self.places) > 0
        required((), fits)
        required((), 0 <= self.places.min() <= self.places.max() < shape[self.axis])
        return required((*shape[: self.axis], len(self.places), *shape[self.axis + 1 :]))

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        axis = self.axis + 1

        def back(slopes: Numbers) -> Numbers:
            made = np.zeros_like(values)
            np.add.at(np.moveaxis(made, axis, 0), self.places, np.moveaxis(slopes, axis, 0))
            return made

        return values.take(self.places, axis=axis), back


@dataclass(frozen=True, slots=True)
class Repeated:
    """Axes of one cell made larger, as in an array's broadcast."""

    shape: Shape

    def after(self, shape: Shape) -> Shape:
        """The larger one."""
        fits = len(shape) == len(self.shape) and all(
            one in {1, other} for one, other in zip(shape, self.shape, strict=True)
        )
        return required(self.shape, fits)

    def work(self, _shape: Shape) -> int:
        """None."""
        return 0

    def forward(self, values: Numbers) -> tuple[Numbers, Back]:
        """As it says."""
        made = np.broadcast_to(values, (len(values), *self.shape))
        return made, lambda back: gathered(back, values.shape)


def gathered(slopes: Numbers, shape: Shape) -> Numbers:
    """Slopes of a value that was broadcast: summed over what it stood for."""
    axes = tuple(at for at, size in enumerate(shape) if size == 1 and slopes.shape[at] > 1)
    return np.asarray(slopes.sum(axis=axes, keepdims=True)) if axes else slopes
