"""Gradients of models whose inside the attacker knows: linear ones, small networks, torch."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Numbers, margins_of
from strongroom.engines.robustness.target import Labels, Rows
from strongroom.errors import MissingExtraError, ValidationError

Gradient = Callable[[Rows, Labels], tuple[Numbers, Rows]]
"""Points and right classes → by how much each leads (of logits), (rows,), and the slopes of that,
(rows, width)."""

Activation = Literal["relu", "tanh", "logistic", "identity"]


def of_linear(weights: Rows, bias: Numbers) -> Gradient:
    """Of logits `weights` . x + `bias`; `weights` is (classes, width)."""
    return of_network([weights.T], [bias], "identity")


def of_network(
    weights: Sequence[Rows], biases: Sequence[Numbers], activation: Activation
) -> Gradient:
    """Of a network of full layers.

    Args:
        weights, biases: of each layer, (inputs, outputs) and (outputs,); the last gives logits, at
            least two.
        activation: after each layer but the last.

    Raises: ValidationError: layers do not fit, or there is one logit.
    """
    if not weights or len(weights) != len(biases) or weights[-1].shape[1] < 2:
        raise ValidationError("a network needs a bias for each layer, and two logits or more")

    def gradient(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        layers = [points]
        for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            value = layers[-1] @ weight + bias
            layers.append(value if place == len(weights) - 1 else _ACTIVATIONS[activation](value))
        logits = layers.pop()
        back = sides(logits, labels) @ weights[-1].T
        for weight, value in zip(reversed(weights[:-1]), reversed(layers), strict=False):
            back = (back * _SLOPES[activation](value)) @ weight.T
        return margins_of(logits, labels), back

    return gradient


def of_estimator(model: Any) -> Gradient | None:  # noqa: ANN401 # scikit-learn has no types
    """Of a fitted scikit-learn classifier: logistic regression, linear SVM, network; else None.

    Only numbers are read of it. Its inputs must be the points.
    """
    if hasattr(model, "coefs_") and hasattr(model, "out_activation_"):
        weights, biases = list(model.coefs_), list(model.intercepts_)
        if weights[-1].shape[1] == 1:
            weights[-1] = np.hstack([np.zeros_like(weights[-1]), weights[-1]])
            biases[-1] = np.concatenate([np.zeros(1), biases[-1]])
        return of_network(weights, biases, model.activation)
    if hasattr(model, "coef_") and hasattr(model, "classes_"):
        rows = np.asarray(np.atleast_2d(model.coef_), dtype=np.float64)
        bias = np.asarray(np.atleast_1d(model.intercept_), dtype=np.float64)
        if len(rows) == 1:
            rows = np.vstack([np.zeros_like(rows), rows])
            bias = np.concatenate([np.zeros(1), bias])
        return of_linear(rows, bias)
    return None


def of_module(module: Any) -> Gradient:  # noqa: ANN401 # an optional library
    """Of a torch module: points as float32 in, logits out, two or more; it is set to evaluate.

    Raises: MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "gradients of a torch module need PyTorch", next_step="install strongroom[torch]"
        ) from None
    module.eval()

    def gradient(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        inputs = torch.tensor(points, dtype=torch.float32, requires_grad=True)
        logits = module(inputs)
        values = logits.detach().numpy().astype(np.float64)
        signs = torch.tensor(sides(values, labels), dtype=torch.float32)
        (slopes,) = torch.autograd.grad((logits * signs).sum(), inputs)
        return margins_of(values, labels), slopes.numpy().astype(np.float64)

    return gradient


def sides(logits: Numbers, labels: Labels) -> Numbers:
    """1 at the right class, -1 at its best rival."""
    at = np.arange(len(logits))
    others = logits.copy()
    others[at, labels] = -np.inf
    sides = np.zeros_like(logits)
    sides[at, others.argmax(axis=1)] = -1.0
    sides[at, labels] = 1.0
    return sides


_ACTIVATIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "relu": lambda value: np.maximum(value, 0.0),
    "tanh": np.tanh,
    "logistic": lambda value: 0.5 * (1 + np.tanh(value / 2)),
    "identity": lambda value: value,
}
_SLOPES: dict[str, Callable[[Numbers], Numbers]] = {
    "relu": lambda value: (value > 0).astype(np.float64),
    "tanh": lambda value: 1 - value**2,
    "logistic": lambda value: value * (1 - value),
    "identity": np.ones_like,
}
"""Of an activation's value, its slope there."""
