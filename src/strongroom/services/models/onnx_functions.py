"""Operators of ONNX that are a function of each cell, as layers; runs in the sandbox only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.layers import Activation, Layer, Scale
from strongroom.services.models.onnx_graph import UnknownInsideError

_SELU = 1.67326319217681884765625, 1.05070102214813232421875


def _gelu(given: Mapping[str, Any]) -> list[Layer]:
    by_tanh = given.get("approximate", b"none") == b"tanh"
    return [Activation("gelu by tanh" if by_tanh else "gelu")]


def _hard(given: Mapping[str, Any]) -> list[Layer]:
    factor, shift = given.get("alpha", 0.2), given.get("beta", 0.5)
    return [Scale(np.array([factor]), np.array([shift])), Activation("clip", 0.0, 1.0)]


def _selu(given: Mapping[str, Any]) -> list[Layer]:
    depth, factor = given.get("alpha", _SELU[0]), given.get("gamma", _SELU[1])
    return [Activation("elu", float(depth)), Scale(np.array([factor]), np.zeros(1))]


def _cast(given: Mapping[str, Any]) -> list[Layer]:
    if given["to"] not in {1, 10, 11, 16}:  # numbers with fractions; else it rounds
        raise UnknownInsideError
    return []


def _scaler(given: Mapping[str, Any]) -> list[Layer]:
    factor = np.asarray(given["scale"], np.float64)
    return [Scale(factor, -np.asarray(given["offset"], np.float64) * factor)]


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Sequence[Layer]]] = {
    "Relu": lambda _: [Activation("relu")],
    "Tanh": lambda _: [Activation("tanh")],
    "Sigmoid": lambda _: [Activation("logistic")],
    "LeakyRelu": lambda given: [Activation("leaky", float(given.get("alpha", 0.01)))],
    "Elu": lambda given: [Activation("elu", float(given.get("alpha", 1.0)))],
    "Selu": _selu,
    "HardSigmoid": _hard,
    "Gelu": _gelu,
    "Erf": lambda _: [Activation("erf")],
    "Exp": lambda _: [Activation("exp")],
    "Log": lambda _: [Activation("log")],
    "Sqrt": lambda _: [Activation("power", 0.5)],
    "Reciprocal": lambda _: [Activation("power", -1.0)],
    "Softplus": lambda _: [Activation("softplus")],
    "Abs": lambda _: [Activation("size")],
    "Neg": lambda _: [Scale(-np.ones(1), np.zeros(1))],
    "Identity": lambda _: [],
    "Dropout": lambda _: [],
    "Cast": _cast,
    "Scaler": _scaler,
}
