"""Where branches of a network meet: sums and products of values, values side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Numbers
from strongroom.engines.robustness.evasion.layers import Shape, cells, required
from strongroom.engines.robustness.evasion.rearranging import gathered

Spread = Callable[[Numbers], Sequence[Numbers]]
"""Slopes after a joint → slopes of each value before it."""
Sign = Literal["add", "subtract", "multiply", "divide", "larger", "smaller"]
_TWO = 2


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two values, cell by cell, broadcast over each other; of equal ones the first counts."""

    sign: Sign

    def after(self, shapes: Sequence[Shape]) -> Shape:
        """The larger one."""
        required((), self.sign in get_args(Sign) and len(shapes) == _TWO)
        return _broadcast(shapes)

    def work(self, shapes: Sequence[Shape]) -> int:
        """One a cell."""
        return cells(_broadcast(shapes))

    def forward(self, values: Sequence[Numbers]) -> tuple[Numbers, Spread]:
        """As it says."""
        first, second = _lifted(values)
        made, slopes = self._both(first, second)

        def back(after: Numbers) -> Sequence[Numbers]:
            return [
                gathered(after * slope, lifted.shape).reshape(value.shape)
                for slope, lifted, value in zip(slopes, (first, second), values, strict=True)
            ]

        return made, back

    def _both(
        self, first: Numbers, second: Numbers
    ) -> tuple[Numbers, tuple[Numbers | float, Numbers | float]]:
        match self.sign:
            case "add":
                return first + second, (1.0, 1.0)
            case "subtract":
                return first - second, (1.0, -1.0)
            case "multiply":
                return first * second, (second, first)
            case "divide":
                made = first / second
                return made, (1 / second, -made / second)
            case "larger":
                is_first = np.asarray(first >= second)
            case _:
                is_first = np.asarray(first <= second)
        return np.where(is_first, first, second), (
            is_first.astype(np.float64), (~is_first).astype(np.float64)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Joined:
    """Values side by side along an axis."""

    axis: int

    def after(self, shapes: Sequence[Shape]) -> Shape:
        """As long as all together."""
        first = shapes[0] if shapes else ()
        required((), 0 <= self.axis < len(first))
        before, behind = first[: self.axis], first[self.axis + 1 :]
        fits = all(
            len(one) == len(first) and one[: self.axis] == before
            and one[self.axis + 1 :] == behind for one in shapes
        )  # fmt: skip
        required((), fits)
        return required((*before, sum(one[self.axis] for one in shapes), *behind))

    def work(self, _shapes: Sequence[Shape]) -> int:
        """None."""
        return 0

    def forward(self, values: Sequence[Numbers]) -> tuple[Numbers, Spread]:
        """As it says."""
        axis = self.axis + 1
        ends = np.cumsum([one.shape[axis] for one in values])[:-1]
        return np.concatenate(values, axis=axis), lambda back: np.split(back, ends, axis=axis)


@dataclass(frozen=True, slots=True)
class Product:
    """Matrices of the last two axes times each other, as attention has them."""

    def after(self, shapes: Sequence[Shape]) -> Shape:
        """Rows of the first, columns of the second."""
        fits = len(shapes) == _TWO and min(map(len, shapes)) >= _TWO
        required((), fits)
        first, second = shapes
        required((), first[-1] == second[-2])
        return required((*_broadcast([first[:-2], second[:-2]]), first[-2], second[-1]))

    def work(self, shapes: Sequence[Shape]) -> int:
        """Cells that it makes, times the axis that goes."""
        return cells(self.after(shapes)) * shapes[0][-1]

    def forward(self, values: Sequence[Numbers]) -> tuple[Numbers, Spread]:
        """As it says."""
        first, second = _lifted(values)

        def back(after: Numbers) -> Sequence[Numbers]:
            found = after @ second.swapaxes(-1, -2), first.swapaxes(-1, -2) @ after
            return [
                gathered(slopes, lifted.shape).reshape(value.shape)
                for slopes, lifted, value in zip(found, (first, second), values, strict=True)
            ]

        return first @ second, back


Joint = Meeting | Joined | Product


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    try:
        return required(np.broadcast_shapes(*shapes))
    except ValueError:
        return required((), fits=False)


def _lifted(values: Sequence[Numbers]) -> Sequence[Numbers]:
    """With as many axes each; new ones stand behind that of rows."""
    most = max(one.ndim for one in values)
    return [
        one.reshape(len(one), *(1,) * (most - one.ndim), *one.shape[1:]) for one in values
    ]  # fmt: skip
