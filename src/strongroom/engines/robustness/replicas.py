"""A model's numbers, answering in its place: the same answers, without a question to the model.

A test of a model asks it some hundred thousand rows, most of them in small batches, and what a
batch costs is the way to the model and back. Trees and layers are numbers: who has them can do the
sums. Nobody believes that they are the model's: `services/models/replicated` compares the answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from strongroom.engines.robustness.evasion import trees
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.target import Rows, Scores
from strongroom.errors import ValidationError

Numbers = NDArray[np.float64]
Operation = Literal["add", "subtract", "multiply", "divide"]
Link = Literal["shares", "softmax", "logistic", "numbers"]
Activation = Literal["relu", "tanh", "logistic", "identity"]

MAX_LAYERS = 50
_LANES = 1 << 15
"""Rows times trees that are followed at once: what a core's cache holds."""
_OPERATIONS: dict[Operation, Any] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TreeSums:
    """Trees over values of features.

    Attributes:
        trees: thresholds are in units of the features.
        parts: by which the sum is divided, after it is made: so scikit-learn does it, and a tie of
            two classes stays one.
        is_single: inputs are rounded to 32 bits first, as scikit-learn's trees do.
    """

    trees: Trees
    parts: int
    is_single: bool
    _left: NDArray[np.int32] = field(init=False, repr=False)
    _right: NDArray[np.int32] = field(init=False, repr=False)
    _features: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Lay out; the trees have been looked at."""
        one = self.trees
        object.__setattr__(self, "_left", one.left.astype(np.int32))
        object.__setattr__(self, "_right", one.right.astype(np.int32))
        object.__setattr__(self, "_features", one.features.astype(np.int32))

    def of(self, matrix: Rows) -> Scores:
        """Sums of the leaves, tree by tree in their order, (rows, classes)."""
        each = max(1, _LANES // len(self.trees.roots))
        pieces = [self._of(matrix[at : at + each]) for at in range(0, len(matrix), each)]
        return np.concatenate(pieces) if pieces else np.empty((0, len(self.trees.base)))

    def _of(self, matrix: Rows) -> Scores:
        if self.is_single:
            matrix = matrix.astype(np.float32).astype(np.float64)
        count, roots = len(matrix), self.trees.roots
        flat, width = np.ascontiguousarray(matrix).ravel(), matrix.shape[1]
        leaves = np.repeat(roots, count).astype(np.int32)
        lanes = np.flatnonzero(self._features[leaves] >= 0)
        starts = (lanes % max(count, 1)) * width
        nodes = leaves[lanes]
        while len(lanes):
            is_left = flat[starts + self._features[nodes]] <= self.trees.thresholds[nodes]
            nodes = np.where(is_left, self._left[nodes], self._right[nodes])
            leaves[lanes] = nodes
            goes_on = np.flatnonzero(self._features[nodes] >= 0)
            lanes, starts, nodes = lanes[goes_on], starts[goes_on], nodes[goes_on]
        values = self.trees.values[leaves].reshape(len(roots), count, -1)
        total = np.tile(self.trees.base, (count, 1))
        for one in values:  # in the order of the trees: a sum of floats depends on it
            total += one
        return total / self.parts


@dataclass(frozen=True, slots=True)
class Layers:
    """A network of dense layers; with one layer a linear model.

    Attributes:
        weights, biases: of each layer, (inputs, outputs) and (outputs,).
    """

    weights: tuple[Numbers, ...]
    biases: tuple[Numbers, ...]
    activation: Activation

    def __post_init__(self) -> None:
        """Check. Raises: ValidationError: layers do not fit each other."""
        fits = 0 < len(self.weights) == len(self.biases) <= MAX_LAYERS and all(
            weights.ndim == 2 and bias.shape == weights.shape[1:]
            for weights, bias in zip(self.weights, self.biases, strict=True)
        )
        widths = [one.shape for one in self.weights] if fits else []
        if not fits or any(a[1] != b[0] for a, b in pairwise(widths)):
            raise ValidationError("the layers of a network do not fit each other")

    def of(self, matrix: Rows) -> Scores:
        """What the last layer gives, (rows, outputs)."""
        made = matrix
        for place, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            made = made @ weights + bias
            if place < len(self.weights):
                made = _activated(made, self.activation)
        return made


@dataclass(frozen=True, slots=True)
class Replica:
    """A model as numbers.

    Attributes:
        width: of the rows it answers.
        steps: what is done to each column first, as scalers do.
        link: what makes probabilities of the sums: they are some, or by softmax, or each by itself
            (with one output, it is the second class's).
    """

    width: int
    steps: tuple[tuple[Operation, Numbers], ...]
    core: TreeSums | Layers
    link: Link

    def __post_init__(self) -> None:
        """Check. Raises: ValidationError: a step or the core takes rows of another width."""
        taken = (
            int(self.core.trees.features.max(initial=0)) < self.width
            if isinstance(self.core, TreeSums)
            else len(self.core.weights[0]) == self.width
        )
        if not taken or any(one.shape != (self.width,) for _, one in self.steps):
            raise ValidationError("the parts of a model do not fit each other")

    def answers(self, matrix: Rows) -> Scores:
        """Probabilities of rows of numbers, none of them missing, (rows, classes)."""
        made = matrix
        with np.errstate(all="ignore"):
            for operation, by in self.steps:
                made = _OPERATIONS[operation](made, by)
            found = self.core.of(made)
            if self.link in {"shares", "numbers"}:
                return found
            if self.link == "softmax":
                return np.asarray(softmax(found, axis=1))
            sure = expit(found)
            return np.hstack([1.0 - sure, sure]) if sure.shape[1] == 1 else sure


def _activated(values: Numbers, activation: Activation) -> Numbers:
    match activation:
        case "relu":
            return np.maximum(values, 0.0)
        case "tanh":
            return np.tanh(values)
        case "logistic":
            return np.asarray(expit(values))
        case _:
            return values


# ---- from scikit-learn: only numbers are read ----


def replica_of(model: Any, width: int) -> Replica | None:  # noqa: ANN401 # scikit-learn has no types
    """Of a fitted scikit-learn classifier, or trees of a regression, alone or behind scalers.

    None where it is no such thing. Whether it answers as the model does is for the caller to see: a
    class of another name may do something else with the same numbers.

    Raises: ValidationError: of `trees.of_estimator`.
    """
    parts = _steps(model)
    if parts is None:
        return None
    final, steps = parts
    if not hasattr(final, "predict_proba"):
        numbers = None if hasattr(final, "classes_") else trees.of_regressor(final)
        if numbers is None:
            return None
        return Replica(width, steps, TreeSums(numbers[0], numbers[1], _is_single(final)), "numbers")
    found = trees.of_estimator(final)
    if found is not None:
        core, link = _sums(final, found)
        return Replica(width, steps, core, link)
    layers = _layers(final)
    return None if layers is None else Replica(width, steps, *layers)


def _sums(final: Any, found: Trees) -> tuple[TreeSums, Link]:  # noqa: ANN401 # scikit-learn has no types
    if hasattr(final, "_predictors"):
        return TreeSums(found, 1, _is_single(final)), "softmax"
    if hasattr(final, "learning_rate"):
        return TreeSums(found, 1, is_single=True), "softmax"
    grown = list(final.estimators_) if hasattr(final, "estimators_") else [final]
    values = np.concatenate([np.asarray(one.tree_.value[:, 0, :], np.float64) for one in grown])
    return TreeSums(replace(found, values=values), len(grown), is_single=True), "shares"


def _is_single(final: Any) -> bool:  # noqa: ANN401 # scikit-learn has no types
    """Whether inputs are rounded to 32 bits: of all its trees but those of histograms."""
    return not hasattr(final, "_predictors")


def _steps(model: Any) -> tuple[Any, tuple[tuple[Operation, Numbers], ...]] | None:  # noqa: ANN401 # scikit-learn has no types
    """The last step of a pipeline and what those before it do; None: something else."""
    chain = getattr(model, "steps", None)
    if chain is None:
        return model, ()
    made: list[tuple[Operation, Numbers]] = []
    for _, step in chain[:-1]:
        if step is None or step == "passthrough":
            continue
        found = _scaling(step)
        if found is None:
            return None
        made += [(operation, np.asarray(by, np.float64)) for operation, by in found]
    return chain[-1][1], tuple(made)


def _scaling(step: Any) -> Sequence[tuple[Operation, Any]] | None:  # noqa: ANN401 # scikit-learn has no types
    match type(step).__name__:
        case "StandardScaler":
            first: list[tuple[Operation, Any]] = (
                [("subtract", step.mean_)] if step.with_mean else []
            )
            return [*first, ("divide", step.scale_)] if step.with_std else first
        case "MinMaxScaler":
            return None if step.clip else [("multiply", step.scale_), ("add", step.min_)]
        case "MaxAbsScaler":
            return None if getattr(step, "clip", False) else [("divide", step.scale_)]
        case "RobustScaler":
            first = [("subtract", step.center_)] if step.with_centering else []
            return [*first, ("divide", step.scale_)] if step.with_scaling else first
        case _:
            return None


def _layers(final: Any) -> tuple[Layers, Link] | None:  # noqa: ANN401 # scikit-learn has no types
    if hasattr(final, "coefs_") and hasattr(final, "out_activation_"):
        weights = tuple(np.asarray(one, np.float64) for one in final.coefs_)
        biases = tuple(np.asarray(one, np.float64) for one in final.intercepts_)
        activation, link = str(final.activation), str(final.out_activation_)
    elif hasattr(final, "coef_") and hasattr(final, "classes_"):
        weights = (np.asarray(np.atleast_2d(final.coef_), np.float64).T,)
        biases = (np.asarray(np.atleast_1d(final.intercept_), np.float64),)
        activation, link = "identity", "logistic" if weights[0].shape[1] == 1 else "softmax"
    else:
        return None
    for known in ("relu", "tanh", "logistic", "identity"):
        if activation == known and link in {"softmax", "logistic"}:
            return Layers(weights, biases, known), "softmax" if link == "softmax" else "logistic"
    return None
