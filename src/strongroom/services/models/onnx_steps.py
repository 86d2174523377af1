"""Steps of a network as they are read off a graph; runs in the sandbox only."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.joints import Joint, Sign
from strongroom.engines.robustness.evasion.layers import Activation, Layer, Scale, Shape
from strongroom.engines.robustness.evasion.networks import MAX_LAYERS, Step
from strongroom.engines.robustness.evasion.rearranging import Repeated, Reshape
from strongroom.services.models.onnx_graph import Graph, UnknownInsideError

Numbers = NDArray[np.float64]
FAR = 1e29
"""In the place of an infinity that a mask adds."""


@dataclass(slots=True)
class Steps:
    """Those read so far, and where each value of the graph is made.

    Attributes:
        shapes: of values by place, each with an axis of rows of length 1 in front.
    """

    graph: Graph
    steps: list[Step] = field(default_factory=list)
    shapes: list[Shape] = field(init=False)
    _places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the input."""
        self.shapes = [(1, *self.graph.shape)]
        self._places = {self.graph.start: 0}

    def place(self, name: str) -> int:
        """Where a value is made. Raises: UnknownInsideError: nowhere."""
        if name not in self._places:
            raise UnknownInsideError
        return self._places[name]

    def then(self, does: Layer | Joint, *of: int) -> int:
        """Another step. Raises: ValidationError. Returns: the place of what it makes."""
        if len(self.steps) == MAX_LAYERS:
            raise UnknownInsideError
        if isinstance(does, Joint):
            shape = does.after([self.shapes[at] for at in of])
        else:
            shape = does.after(self.shapes[of[0]])
        self.steps.append(Step(does, of))
        self.shapes.append(shape)
        return len(self.steps)

    def give(self, name: str, at: int) -> None:
        """Say where a value of the graph is made."""
        self._places[name] = at

    def all(self, layers: Sequence[Layer], at: int) -> int:
        """Layers one after the other. Returns: the place of what the last makes."""
        for layer in layers:
            at = self.then(layer, at)
        return at

    def scaled(self, sign: Sign, value: Numbers, at: int, *, is_first: bool) -> int:
        """A value and an array that stands in the graph."""
        shape = self.shapes[at]
        made = np.broadcast_shapes(shape, value.shape)
        if made != shape:
            at = self.all([Reshape((1,) * (len(made) - len(shape)) + shape), Repeated(made)], at)
        value = np.clip(value, -FAR, FAR)
        one, nothing = np.ones(1), np.zeros(1)
        match sign:
            case "add":
                return self.then(Scale(one, value), at)
            case "multiply":
                return self.then(Scale(value, nothing), at)
            case "subtract" if is_first:
                return self.then(Scale(-one, value), at)
            case "subtract":
                return self.then(Scale(one, -value), at)
            case "divide" if is_first:
                at = self.then(Activation("power", -1.0), at)
                return self.then(Scale(value, nothing), at)
            case "divide" if (value != 0).all():
                return self.then(Scale(1 / value, nothing), at)
            case "larger" | "smaller" if value.size == 1:
                ends = (value.item(), FAR) if sign == "larger" else (-FAR, value.item())
                return self.then(Activation("clip", *ends), at)
            case _:
                raise UnknownInsideError
