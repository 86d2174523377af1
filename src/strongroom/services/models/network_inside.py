"""A network as a list of steps and bare numbers, to be sent out of the sandbox and read again.

`packed` runs beside the model, `unpacked` outside. What comes over is data that a model's code may
have written: only kinds of layers that are known, of sizes that are computed before they are used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.joints import Joined, Joint, Meeting, Product
from strongroom.engines.robustness.evasion.layers import Activation, Full, Layer, Scale, Shape
from strongroom.engines.robustness.evasion.networks import MAX_LAYERS, Step
from strongroom.engines.robustness.evasion.normalizing import Mean, Normalized, Softmax
from strongroom.engines.robustness.evasion.rearranging import (
    Padded,
    Repeated,
    Reshape,
    Taken,
    Transpose,
)
from strongroom.engines.robustness.evasion.windows import Convolution, Pool, Window

Numbers = NDArray[np.float64]
Told = dict[str, Any]
_MOST_AXES = 8
_MOST_MET = 1_000
"""Values that are put side by side."""
_MOST_PLACES = 1 << 31


def packed(steps: Sequence[Step]) -> tuple[list[Told], list[Numbers]]:
    """What describes each step, and the arrays of all in order."""
    told: list[Told] = []
    arrays: list[Numbers] = []
    for place, step in enumerate(steps):
        about, held = _described(step.does)
        told.append(about if step.of == (place,) else {**about, "of": list(step.of)})
        arrays += held
    return told, [np.asarray(one, np.float64) for one in arrays]


def unpacked(told: object, arrays: Sequence[Numbers]) -> list[Step]:
    """The steps. Raises: ValueError, TypeError, KeyError, IndexError: it makes no sense."""
    if not isinstance(told, list) or len(told) > MAX_LAYERS:
        raise ValueError
    left = iter(arrays)
    steps = []
    for place, one in enumerate(told):
        of = whole(one["of"], most=_MOST_MET) if "of" in one else (place,)
        steps.append(Step(_READ[one["kind"]](one, left), of))
    if next(left, None) is not None:
        raise ValueError
    return steps


def whole(value: object, count: int | None = None, *, most: int = _MOST_AXES) -> Shape:
    """Whole numbers of a list, so many. Raises: ValueError."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError
    if not all(type(one) is int and 0 <= one < 1 << 31 for one in value):
        raise ValueError
    if count is not None and len(value) != count:
        raise ValueError
    return tuple(value)


# ---- beside the model ----


def _described(layer: Layer | Joint) -> tuple[Told, list[Any]]:
    """What describes a layer, and its arrays."""
    match layer:
        case Scale():
            return {"kind": "scale"}, [layer.factor, layer.shift]
        case Full():
            return {"kind": "full"}, [layer.weight, layer.bias]
        case Activation():
            return {
                "kind": "activation", "name": layer.name, "low": layer.low, "high": layer.high,
            }, []  # fmt: skip
        case Convolution():
            told = {"kind": "convolution", "groups": layer.groups, **_told(layer.window)}
            return told, [layer.weight, layer.bias]
        case Pool():
            return {
                "kind": "pool", "name": layer.name, "counts_outside": layer.counts_outside,
                **_told(layer.window),
            }, []  # fmt: skip
        case Reshape() | Transpose() | Padded() | Taken() | Repeated():
            return _moved(layer)
        case Mean():
            return {"kind": "mean", "axes": list(layer.axes)}, []
        case Softmax():
            return {"kind": "softmax", "axis": layer.axis}, []
        case Normalized():
            return {"kind": "normalized", "axes": list(layer.axes), "epsilon": layer.epsilon}, []
        case Meeting():
            return {"kind": "meeting", "sign": layer.sign}, []
        case Joined():
            return {"kind": "joined", "axis": layer.axis}, []
        case Product():
            return {"kind": "product"}, []
        case _:
            raise TypeError(type(layer).__name__)


def _moved(
    layer: Reshape | Transpose | Padded | Taken | Repeated,
) -> tuple[Told, list[Any]]:
    match layer:
        case Reshape():
            return {"kind": "reshape", "shape": list(layer.shape)}, []
        case Transpose():
            return {"kind": "transpose", "order": list(layer.order)}, []
        case Padded():
            return {
                "kind": "padded", "before": list(layer.before), "behind": list(layer.behind),
            }, []  # fmt: skip
        case Taken():
            return {"kind": "taken", "axis": layer.axis}, [layer.places]
        case Repeated():
            return {"kind": "repeated", "shape": list(layer.shape)}, []


def _told(window: Window) -> Told:
    return {
        "kernel": list(window.kernel), "strides": list(window.strides), "pads": list(window.pads),
        "dilations": list(window.dilations),
    }  # fmt: skip


# ---- outside ----

_Left = Iterator[Numbers]
_READ: dict[str, Callable[[Mapping[str, Any], _Left], Layer | Joint]] = {
    "scale": lambda _, left: Scale(_next(left), _next(left)),
    "full": lambda _, left: Full(_next(left), _next(left)),
    "activation": lambda told, _: Activation(
        told["name"], _number(told["low"]), _number(told["high"])
    ),
    "convolution": lambda told, left: Convolution(
        _next(left), _next(left), _window(told), _one(told["groups"])
    ),
    "pool": lambda told, _: Pool(told["name"], _window(told), bool(told["counts_outside"])),
    "reshape": lambda told, _: Reshape(whole(told["shape"])),
    "transpose": lambda told, _: Transpose(whole(told["order"])),
    "padded": lambda told, _: Padded(whole(told["before"]), whole(told["behind"])),
    "taken": lambda told, left: Taken(_one(told["axis"]), _places(_next(left))),
    "repeated": lambda told, _: Repeated(whole(told["shape"])),
    "mean": lambda told, _: Mean(whole(told["axes"])),
    "softmax": lambda told, _: Softmax(_one(told["axis"])),
    "normalized": lambda told, _: Normalized(whole(told["axes"]), _number(told["epsilon"])),
    "meeting": lambda told, _: Meeting(told["sign"]),
    "joined": lambda told, _: Joined(_one(told["axis"])),
    "product": lambda _told, _left: Product(),
}


def _window(told: Mapping[str, Any]) -> Window:
    kernel, strides, dilations = (whole(told[one], 2) for one in ("kernel", "strides", "dilations"))
    top, left, bottom, right = whole(told["pads"], 4)
    return Window(
        (kernel[0], kernel[1]), (strides[0], strides[1]), (top, left, bottom, right),
        (dilations[0], dilations[1]),
    )  # fmt: skip


def _next(arrays: _Left) -> Numbers:
    found = next(arrays, None)
    if found is None:
        raise ValueError
    return np.asarray(found, np.float64)


def _places(numbers: Numbers) -> NDArray[np.intp]:
    if np.abs(numbers).max(initial=0.0) >= _MOST_PLACES:
        raise ValueError
    return numbers.astype(np.intp)


def _one(value: object) -> int:
    return whole([value])[0]


def _number(value: object) -> float:
    if type(value) not in {int, float} or not abs(value) < 1e30:  # type: ignore[arg-type] # looked at before
        raise ValueError
    return float(value)  # type: ignore[arg-type] # a number
