"""The inside of a model as bare numbers: trees, or layers; for exact methods and slopes.

`stated` runs in the sandbox beside the model, `understood` outside. What comes over is believed of
no model: tests compare its answers with the model's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion import gradients, trees
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.layers import Full, Scale
from strongroom.engines.robustness.evasion.networks import MAX_LAYERS, Step, of_steps, values_of
from strongroom.engines.robustness.evasion.rearranging import Reshape
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.space import Space
from strongroom.errors import ValidationError
from strongroom.services.models import network_inside, onnx_inside

Numbers = NDArray[np.float64]
MAX_BYTES = 256 << 20
_TREE_ARRAYS = ("features", "thresholds", "left", "right", "values", "roots", "base")
_TWO = 2
_MOST_EXACT = 2_000
"""Coordinates of a linear model, whose weights are read off that many points."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What is known of a model, in the coordinates of a space.

    Attributes:
        exact: its trees, or weights (classes, width) and biases; None: neither.
        gradient: its slopes, or None.
    """

    exact: Trees | tuple[Numbers, Numbers] | None = None
    gradient: Gradient | None = None


# ---- beside the model ----


def stated(model: Any) -> tuple[dict[str, Any], bytes]:  # noqa: ANN401 # scikit-learn has no types
    """Head and body of what a model says of its inside; of kind `none` where it cannot."""
    final, factor, shift = _unwrapped(model)
    if final is None:
        return {"kind": "none"}, b""
    found = trees.of_estimator(final)
    if found is not None:
        arrays = [np.asarray(getattr(found, name), np.float64) for name in _TREE_ARRAYS]
        if factor is not None and shift is not None:
            at = np.maximum(found.features, 0)
            arrays[1] = (found.thresholds - shift[at]) / factor[at]
        return _packed("trees", "", arrays)
    layers = _layers(final)
    if layers is None:
        return {"kind": "none"}, b""
    activation, weights, biases = layers
    if factor is not None and shift is not None:
        biases[0] = biases[0] + shift @ weights[0]
        weights[0] = factor[:, None] * weights[0]
    pairs = [one for pair in zip(weights, biases, strict=True) for one in pair]
    return _packed("network", activation, pairs)


def stated_onnx(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The same of a model in ONNX's form. Raises: anything, for a graph that is not read here."""
    kind, steps, arrays, shape = onnx_inside.inside_of(data)
    if kind == "layers":
        told, arrays = network_inside.packed(steps)
        head, body = _packed("layers", "", arrays)
        return {**head, "layers": told, "shape": list(shape)}, body
    made = list(arrays)
    for step in reversed(steps):
        layer = step.does
        if not isinstance(layer, Scale) or (layer.factor <= 0).any():
            return {"kind": "none"}, b""
        at = np.maximum(made[0], 0).astype(np.intp)
        factor, shift = (
            np.broadcast_to(one, (1, *shape)).reshape(-1) for one in (layer.factor, layer.shift)
        )
        made[1] = (made[1] - shift[at]) / factor[at]
    return _packed("trees", "", made)


def _unwrapped(model: Any) -> tuple[Any, Numbers | None, Numbers | None]:  # noqa: ANN401 # scikit-learn has no types
    """The last step of a pipeline, with what those before make of x: `factor` x + `shift`."""
    steps = getattr(model, "steps", None)
    if steps is None:
        return model, None, None
    factor: Numbers | None = None
    shift: Numbers | None = None
    for _, step in steps[:-1]:
        if step is None or step == "passthrough":
            continue
        found = _affine(step)
        if found is None:
            return None, None, None
        by, plus = found
        factor = by if factor is None else factor * by
        shift = plus if shift is None else shift * by + plus
    return steps[-1][1], factor, shift


def _affine(step: Any) -> tuple[Numbers, Numbers] | None:  # noqa: ANN401 # scikit-learn has no types
    """Scalers of scikit-learn, as x times a factor above 0 plus a shift."""
    kind = type(step).__name__
    if kind == "MinMaxScaler" and not step.clip:
        return np.asarray(step.scale_, np.float64), np.asarray(step.min_, np.float64)
    if kind not in {"StandardScaler", "MaxAbsScaler", "RobustScaler"}:
        return None
    width = int(step.n_features_in_)
    scale = getattr(step, "scale_", None)
    centre = getattr(step, "mean_", None) if kind == "StandardScaler" else None
    centre = getattr(step, "center_", None) if kind == "RobustScaler" else centre
    if kind == "StandardScaler" and not step.with_mean:
        centre = None
    factor = np.ones(width) if scale is None else 1.0 / np.asarray(scale, np.float64)
    shift = np.zeros(width) if centre is None else -np.asarray(centre, np.float64) * factor
    return factor, shift


def _layers(model: Any) -> tuple[str, list[Numbers], list[Numbers]] | None:  # noqa: ANN401 # scikit-learn has no types
    if hasattr(model, "coefs_") and hasattr(model, "out_activation_"):
        weights = [np.asarray(one, np.float64) for one in model.coefs_]
        biases = [np.asarray(one, np.float64) for one in model.intercepts_]
        activation = str(model.activation)
    elif hasattr(model, "coef_") and (hasattr(model, "classes_") or not np.ndim(model.intercept_)):
        weights = [np.asarray(np.atleast_2d(model.coef_), np.float64).T]
        biases = [np.asarray(np.atleast_1d(model.intercept_), np.float64)]
        activation = "identity"
    else:
        return None
    if weights[-1].shape[1] == 1:  # one logit speaks for the second of two classes
        weights[-1] = np.hstack([np.zeros_like(weights[-1]), weights[-1]])
        biases[-1] = np.concatenate([np.zeros(1), np.atleast_1d(biases[-1])])
    return activation, weights, biases


def _packed(kind: str, activation: str, arrays: Sequence[Numbers]) -> tuple[dict[str, Any], bytes]:
    body = b"".join(np.ascontiguousarray(one, np.float64).tobytes() for one in arrays)
    if len(body) > MAX_BYTES:
        return {"kind": "none"}, b""
    shapes = [list(one.shape) for one in arrays]
    return {"kind": kind, "activation": activation, "shapes": shapes}, body


# ---- outside ----


def understood(head: Mapping[str, object], body: bytes, space: Space) -> Inside:
    """What a model stated, in the coordinates of a space; nothing where it makes no sense.

    Args:
        space: of numbers, whose features are the model's inputs, in their order.
    """
    if any(one.levels for one in space.features):
        return Inside()
    try:
        arrays = _unpacked(head, body)
        if head.get("kind") == "trees":
            return _trees(arrays, space)
        if head.get("kind") == "network":
            return _network(arrays, str(head.get("activation")), space)
        if head.get("kind") == "layers":
            return _of_layers(head, arrays, space)
    except (ValueError, TypeError, IndexError, KeyError, ValidationError):
        return Inside()
    return Inside()


def _unpacked(head: Mapping[str, object], body: bytes) -> list[Numbers]:
    shapes = head.get("shapes", [])
    if not isinstance(shapes, list) or len(shapes) > 2 * MAX_LAYERS or len(body) > MAX_BYTES:
        raise ValueError
    arrays, at = [], 0
    for shape in shapes:
        if not isinstance(shape, list) or not all(type(one) is int and one >= 0 for one in shape):
            raise ValueError
        size = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(body, np.float64, size, at).reshape(shape))
        at += 8 * size
    if at != len(body) or not all(np.isfinite(one).all() for one in arrays):
        raise ValueError
    return arrays


def _ranges(space: Space) -> tuple[Numbers, Numbers]:
    low = np.array([one.low for one in space.features])
    return low, np.array([one.high - one.low or 1.0 for one in space.features])


def _trees(arrays: list[Numbers], space: Space) -> Inside:
    found = dict(zip(_TREE_ARRAYS, arrays, strict=True))
    whole = {name: _places(found[name]) for name in ("features", "left", "right", "roots")}
    low, span = _ranges(space)
    if whole["features"].max(initial=-1) >= len(low) or len(found["base"]) < _TWO:
        raise ValueError
    at = np.maximum(whole["features"], 0)
    thresholds = np.where(whole["features"] < 0, 0.0, (found["thresholds"] - low[at]) / span[at])
    return Inside(
        Trees(
            whole["features"], thresholds, whole["left"], whole["right"], found["values"],
            whole["roots"], found["base"],
        )
    )  # fmt: skip


def _places(numbers: Numbers) -> NDArray[np.intp]:
    if np.abs(numbers).max(initial=0.0) > MAX_BYTES:
        raise ValueError
    return numbers.astype(np.intp)


def _of_layers(head: Mapping[str, object], arrays: list[Numbers], space: Space) -> Inside:
    low, span = _ranges(space)
    shape = network_inside.whole(head.get("shape"))
    inner = network_inside.unpacked(head.get("layers"), arrays)
    first = [Step(Scale(span, low), (0,)), Step(Reshape((1, *shape)), (1,))]
    steps = [*first, *(Step(one.does, tuple(at + len(first) for at in one.of)) for one in inner)]
    gradient = of_steps(steps, (len(low),))
    is_linear = all(
        isinstance(one.does, Scale | Full | Reshape) and one.of == (place,)
        for place, one in enumerate(steps)
    )
    if len(low) > _MOST_EXACT or not is_linear:
        return Inside(None, gradient)
    values = values_of(steps, np.vstack([np.zeros(len(low)), np.eye(len(low))]))
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1:
        values = np.hstack([np.zeros_like(values), values])
    return Inside(((values[1:] - values[0]).T, values[0]), gradient)


def _network(arrays: list[Numbers], activation: str, space: Space) -> Inside:
    weights, biases = list(arrays[::2]), list(arrays[1::2])
    low, span = _ranges(space)
    if activation not in {"relu", "tanh", "logistic", "identity"} or len(weights[0]) != len(low):
        raise ValueError
    biases[0] = biases[0] + low @ weights[0]
    weights[0] = span[:, None] * weights[0]
    gradient = gradients.of_network(weights, biases, activation)  # type: ignore[arg-type] # looked at above
    exact = (weights[0].T, biases[0]) if len(weights) == 1 else None
    return Inside(exact, gradient)
