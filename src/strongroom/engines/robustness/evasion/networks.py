"""Slopes of a network whose layers are known, also where branches part and meet again.

Source: Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976: reverse
accumulation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion.gradients import Gradient, sides
from strongroom.engines.robustness.evasion.hunt import Numbers, margins_of
from strongroom.engines.robustness.evasion.joints import Joint
from strongroom.engines.robustness.evasion.layers import Layer, Shape, cells, required
from strongroom.engines.robustness.evasion.windows import Convolution, Pool
from strongroom.engines.robustness.target import Labels, Rows

MAX_LAYERS = 2_000
MAX_WORK = 4_000_000_000
"""Multiplications for one row."""
MAX_HELD = 60_000_000
"""Cells of one row after all layers together, which the way back needs: 480 MB."""
_MEMORY = 16_000_000
"""Cells of the rows that go through a network together, of all layers: 128 MB."""


@dataclass(frozen=True, slots=True)
class Step:
    """A layer or joint, and what it takes.

    Attributes:
        of: places of values: 0 is the point, each step makes the next.
    """

    does: Layer | Joint
    of: tuple[int, ...]


def chained(layers: Sequence[Layer]) -> list[Step]:
    """Steps of which each takes what the one before made."""
    return [Step(layer, (place,)) for place, layer in enumerate(layers)]


def of_steps(steps: Sequence[Step], shape: Shape) -> Gradient:
    """Slopes of a network whose last step gives logits; one logit speaks for the second of two.

    Args:
        shape: that a point takes before the first step.
    Raises: ValidationError: steps do not fit, or are more than is computed here.
    """
    most = _measured(steps, shape)
    each = max(1, _MEMORY // most)

    def gradient(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        found = [
            _through(steps, shape, points[at : at + each], labels[at : at + each])
            for at in range(0, len(points), each)
        ]
        if not found:
            return np.empty(0), np.empty_like(points)
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    return gradient


def values_of(steps: Sequence[Step], values: Numbers) -> Numbers:
    """What the last step makes of values, (rows, *shape)."""
    return _forward(steps, values)[0]


def _measured(steps: Sequence[Step], shape: Shape) -> int:
    """Cells of one row that are held at once, before one is made. Raises: ValidationError."""
    required(shape, len(steps) <= MAX_LAYERS)
    shapes, work, held, most = [shape], 0, cells(shape), 0
    for step in steps:
        required((), all(0 <= at < len(shapes) for at in step.of))
        before = [shapes[at] for at in step.of]
        if isinstance(step.does, Joint):
            made = step.does.after(before)
            work += step.does.work(before)
        else:
            required((), len(before) == 1)
            made = step.does.after(before[0])
            work += step.does.work(before[0])
        if isinstance(step.does, Convolution | Pool):
            most = max(most, cells((before[0][0], *made[1:], *step.does.window.kernel)))
        shapes.append(made)
        held += cells(made)
        required((), work <= MAX_WORK and held <= MAX_HELD)
    required(shapes[-1], cells(shapes[-1]) >= 1)
    return held + most


def _forward(
    steps: Sequence[Step], values: Numbers
) -> tuple[Numbers, list[Callable[[Numbers], Sequence[Numbers]]]]:
    made = [values]
    ways: list[Callable[[Numbers], Sequence[Numbers]]] = []
    for step in steps:
        if isinstance(step.does, Joint):
            value, spread = step.does.forward([made[at] for at in step.of])
            ways.append(spread)
        else:
            value, back = step.does.forward(made[step.of[0]])
            ways.append(lambda slopes, back=back: [back(slopes)])  # type: ignore[misc] # bound now
        made.append(value)
    return made[-1], ways


def _through(
    steps: Sequence[Step], shape: Shape, points: Rows, labels: Labels
) -> tuple[Numbers, Rows]:
    values, ways = _forward(steps, points.reshape(-1, *shape))
    logits = values.reshape(len(points), -1)
    is_single = logits.shape[1] == 1
    if is_single:
        logits = np.hstack([np.zeros_like(logits), logits])
    slopes = sides(logits, labels)
    waiting: dict[int, Numbers] = {
        len(steps): (slopes[:, 1:] if is_single else slopes).reshape(values.shape)
    }
    for place in range(len(steps), 0, -1):
        way, after = ways.pop(), waiting.pop(place, None)
        if after is None:
            continue  # it leads nowhere
        for at, slope in zip(steps[place - 1].of, way(after), strict=True):
            waiting[at] = waiting[at] + slope if at in waiting else slope
    found = waiting.get(0)
    return margins_of(logits, labels), (
        np.zeros_like(points) if found is None else np.asarray(found).reshape(points.shape)
    )
