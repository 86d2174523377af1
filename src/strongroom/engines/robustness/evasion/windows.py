"""Layers over images: convolutions and pools, by what a window sees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Numbers
from strongroom.engines.robustness.evasion.layers import Back, Shape, cells, required


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
        required((), shapely and min(self.pads) >= 0)
        made = [
            (image[1 + at] + self.pads[at] + self.pads[2 + at] - self._reach(at))
            // self.strides[at] + 1 for at in (0, 1)
        ]  # fmt: skip
        required((image[0], *(image[1 + at] + self.pads[at] + self.pads[2 + at] for at in (0, 1))))
        required((), min(made) >= 1)
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
        required((), fits)
        made = self.window.after(shape)
        required((shape[0], *made, *self.window.kernel))
        return required((outputs, *made))

    def work(self, shape: Shape) -> int:
        """Weights times places."""
        return self.weight.size * cells(self.window.after(shape))

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
        required((), self.name in {"most", "mean"} and self._is_covered())
        made = self.window.after(shape)
        required((shape[0], *made, *self.window.kernel))
        return (shape[0], *made)

    def work(self, shape: Shape) -> int:
        """One for each cell seen."""
        return cells((shape[0], *self.window.after(shape), *self.window.kernel))

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
