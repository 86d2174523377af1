"""A network as a list of layers and bare numbers, to be sent out of the sandbox and read again.

`packed` runs beside the model, `unpacked` outside. What comes over is data that a model's code may
have written: only kinds of layers that are known, of sizes that are computed before they are used.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.layers import (
    MAX_LAYERS,
    Activation,
    Convolution,
    Full,
    Layer,
    Pool,
    Reshape,
    Scale,
    Shape,
    Transpose,
    Window,
)

Numbers = NDArray[np.float64]
_MOST_AXES = 6


def packed(layers: Sequence[Layer]) -> tuple[list[dict[str, Any]], list[Numbers]]:
    """What describes each layer, and the arrays of all in order."""
    told: list[dict[str, Any]] = []
    arrays: list[Numbers] = []
    for layer in layers:
        match layer:
            case Scale():
                told.append({"kind": "scale"})
                arrays += [layer.factor, layer.shift]
            case Full():
                told.append({"kind": "full"})
                arrays += [layer.weight, layer.bias]
            case Reshape():
                told.append({"kind": "reshape", "shape": list(layer.shape)})
            case Transpose():
                told.append({"kind": "transpose", "order": list(layer.order)})
            case Activation():
                told.append({
                    "kind": "activation", "name": layer.name, "low": layer.low, "high": layer.high,
                })  # fmt: skip
            case Convolution():
                told.append({"kind": "convolution", "groups": layer.groups, **_told(layer.window)})
                arrays += [layer.weight, layer.bias]
            case Pool():
                told.append({
                    "kind": "pool", "name": layer.name, "counts_outside": layer.counts_outside,
                    **_told(layer.window),
                })  # fmt: skip
            case _:
                raise TypeError(type(layer).__name__)
    return told, [np.asarray(one, np.float64) for one in arrays]


def unpacked(told: object, arrays: Sequence[Numbers]) -> list[Layer]:
    """The layers. Raises: ValueError, TypeError, KeyError, IndexError: it makes no sense."""
    if not isinstance(told, list) or len(told) > MAX_LAYERS:
        raise ValueError
    left = iter(arrays)
    layers = [_layer(one, left) for one in told]
    if next(left, None) is not None:
        raise ValueError
    return layers


def whole(value: object, count: int | None = None) -> Shape:
    """Whole numbers of a list, so many. Raises: ValueError."""
    if not isinstance(value, list) or len(value) > _MOST_AXES:
        raise ValueError
    if not all(type(one) is int and 0 <= one < 1 << 31 for one in value):
        raise ValueError
    if count is not None and len(value) != count:
        raise ValueError
    return tuple(value)


def _told(window: Window) -> dict[str, Any]:
    return {
        "kernel": list(window.kernel), "strides": list(window.strides), "pads": list(window.pads),
        "dilations": list(window.dilations),
    }  # fmt: skip


def _layer(told: Mapping[str, Any], arrays: Any) -> Layer:  # noqa: ANN401 # an iterator over arrays
    match told["kind"]:
        case "scale":
            return Scale(_next(arrays), _next(arrays))
        case "full":
            return Full(_next(arrays), _next(arrays))
        case "reshape":
            return Reshape(whole(told["shape"]))
        case "transpose":
            return Transpose(whole(told["order"]))
        case "activation":
            return Activation(told["name"], _number(told["low"]), _number(told["high"]))
        case "convolution":
            [groups] = whole([told["groups"]])
            return Convolution(_next(arrays), _next(arrays), _window(told), groups)
        case "pool":
            return Pool(told["name"], _window(told), bool(told["counts_outside"]))
        case _:
            raise ValueError


def _window(told: Mapping[str, Any]) -> Window:
    kernel, strides, dilations = (whole(told[one], 2) for one in ("kernel", "strides", "dilations"))
    top, left, bottom, right = whole(told["pads"], 4)
    return Window(
        (kernel[0], kernel[1]), (strides[0], strides[1]), (top, left, bottom, right),
        (dilations[0], dilations[1]),
    )  # fmt: skip


def _next(arrays: Any) -> Numbers:  # noqa: ANN401 # as above
    found = next(arrays, None)
    if found is None:
        raise ValueError
    return np.asarray(found, np.float64)


def _number(value: object) -> float:
    if type(value) not in {int, float} or not abs(value) < 1e30:  # type: ignore[arg-type] # looked at before
        raise ValueError
    return float(value)  # type: ignore[arg-type] # a number
