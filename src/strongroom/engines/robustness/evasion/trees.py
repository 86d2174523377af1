"""Ensembles of decision trees as plain arrays, and how they are read from scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.hunt import Numbers, Places
from strongroom.engines.robustness.target import Rows, Scores
from strongroom.errors import ValidationError

MAX_NODES = 2_000_000
MAX_CELLS = 20_000_000
"""Leaves times coordinates, for boxes: 320 MB."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees whose leaves add up to one score for each class.

    A node is a place in the arrays; children stand behind their parents.

    Attributes:
        features: coordinate that a node looks at; -1 in a leaf.
        thresholds: in coordinates of the points.
        left, right: children; a point goes left at the threshold or below.
        values: (nodes, classes); counted in leaves only.
        roots: of each tree.
        base: (classes,), added to the sum.
    """

    features: Places
    thresholds: Numbers
    left: Places
    right: Places
    values: Numbers
    roots: Places
    base: Numbers

    def __post_init__(self) -> None:
        """Check. Raises: ValidationError: arrays do not fit, or what they describe is no tree."""
        count = len(self.features)
        inner = np.flatnonzero(self.features >= 0)
        children = np.concatenate([self.left[inner], self.right[inner]])
        fits = (
            0 < count <= MAX_NODES
            and len(self.thresholds) == len(self.left) == len(self.right) == count
            and self.values.shape == (count, len(self.base))
            and len(self.base) >= 1
            and len(self.roots) > 0
            and np.isfinite(self.thresholds[inner]).all()
            and np.isfinite(self.values).all()
            and np.isfinite(self.base).all()
        )
        if not fits:
            raise ValidationError(f"trees need arrays of one length, 1 to {MAX_NODES:,} nodes")
        seen = np.bincount(np.concatenate([children, self.roots]), minlength=count)
        forward = (self.left[inner] > inner) & (self.right[inner] > inner)
        if len(seen) > count or not forward.all() or (seen != 1).any():
            raise ValidationError("every node but a root is the child of one that stands before it")

    def scores(self, points: Rows) -> Scores:
        """Sums of the leaves that points fall into, (rows, classes)."""
        total = np.tile(self.base, (len(points), 1))
        at = np.arange(len(points))
        for root in self.roots:
            node = np.full(len(points), root)
            while (is_inner := self.features[node] >= 0).any():
                here = node[is_inner]
                goes_left = points[at[is_inner], self.features[here]] <= self.thresholds[here]
                node[is_inner] = np.where(goes_left, self.left[here], self.right[here])
            total += self.values[node]
        return total

    @property
    def used(self) -> Places:
        """Coordinates that the trees look at, ascending."""
        return np.unique(self.features[self.features >= 0])

    def leaves(self) -> "list[Leaves]":
        """The boxes of the leaves of each tree, over the coordinates used.

        Raises: ValidationError: they are more than memory should hold.
        """
        used = self.used
        if int((self.features < 0).sum()) * len(used) > MAX_CELLS:
            raise ValidationError("the trees have too many leaves over too many coordinates")
        return [self._leaves(int(root), used) for root in self.roots]

    def _leaves(self, root: int, used: Places) -> "Leaves":
        lows, highs, values = [], [], []
        width = len(used)
        pending = [(root, np.full(width, -np.inf), np.full(width, np.inf))]
        while pending:
            node, low, high = pending.pop()
            feature = self.features[node]
            if feature < 0:
                lows.append(low)
                highs.append(high)
                values.append(self.values[node])
                continue
            place = int(np.searchsorted(used, feature))
            below, above = high.copy(), low.copy()
            below[place] = min(high[place], self.thresholds[node])
            above[place] = max(low[place], self.thresholds[node])
            pending.append((int(self.left[node]), low, below))
            pending.append((int(self.right[node]), above, high))
        made = Leaves(np.array(lows), np.array(highs), np.array(values))
        return made.chosen(np.asarray((made.low < made.high).all(axis=1)))


@dataclass(frozen=True, slots=True)
class Leaves:
    """Boxes, open below and closed above, with what each adds to the scores.

    Attributes:
        low, high: (leaves, width).
        values: (leaves, classes).
    """

    low: Rows
    high: Rows
    values: Numbers

    def chosen(self, which: NDArray[np.bool_]) -> "Leaves":
        """Some of them."""
        return Leaves(self.low[which], self.high[which], self.values[which])


# ---- from scikit-learn: only numbers are read ----


def of_estimator(model: Any) -> Trees | None:  # noqa: ANN401 # scikit-learn has no types
    """Of a fitted scikit-learn classifier whose inputs are the points; None where it has no trees.

    Forests and single trees give the shares of their leaves; boosting gives logits. scikit-learn
    rounds inputs of all but histogram boosting to float32, so distances hold to about 1e-7.

    Raises: ValidationError: boosting on categories or from an own first guess.
    """
    if hasattr(model, "_predictors") and hasattr(model, "_baseline_prediction"):
        return _of_histogram(model)
    if hasattr(model, "estimators_") and hasattr(model, "learning_rate"):
        return _of_boosting(model)
    if hasattr(model, "tree_"):
        return _together([_of_shares(model.tree_, 1)], len(model.classes_))
    trees = getattr(model, "estimators_", [])
    if len(trees) and all(hasattr(one, "tree_") for one in np.ravel(trees)):
        made = [_of_shares(one.tree_, len(trees)) for one in trees]
        return _together(made, len(model.classes_))
    return None


def of_regressor(model: Any) -> tuple[Trees, int] | None:  # noqa: ANN401 # scikit-learn has no types
    """Of a fitted scikit-learn regressor: trees with one number a leaf, and what divides their sum.

    Returns: None where it has no trees.
    Raises: ValidationError: boosting on categories or from an own first guess.
    """
    base = np.zeros(1)
    if hasattr(model, "_predictors") and hasattr(model, "_baseline_prediction"):
        first = model._baseline_prediction  # noqa: SLF001 # nothing public tells the first guess
        grown = model._predictors  # noqa: SLF001 # nor the trees
        made = [_of_nodes(one.nodes) for [one] in grown]
        return _together(made, 1, base + np.ravel(first)[0]), 1
    if hasattr(model, "estimators_") and hasattr(model, "learning_rate"):
        first = getattr(model.init_, "constant_", None)
        if first is None:
            raise ValidationError("boosting is understood from its usual first guess only")
        made = [
            (*_structure(one.tree_), model.learning_rate * one.tree_.value[:, 0, :])
            for [one] in model.estimators_
        ]
        return _together(made, 1, base + np.ravel(first)[0]), 1
    grown = [model] if hasattr(model, "tree_") else list(getattr(model, "estimators_", []))
    if not grown or not all(hasattr(one, "tree_") for one in grown):
        return None
    made = [(*_structure(one.tree_), np.asarray(one.tree_.value[:, 0, :1])) for one in grown]
    return _together(made, 1), len(grown)


_Arrays = tuple[Places, Numbers, Places, Places, Numbers]


def _of_shares(tree: Any, trees: int) -> _Arrays:  # noqa: ANN401 # scikit-learn has no types
    values = tree.value[:, 0, :]
    return (*_structure(tree), values / values.sum(axis=1, keepdims=True) / trees)


def _structure(tree: Any) -> tuple[Places, Numbers, Places, Places]:  # noqa: ANN401 # scikit-learn has no types
    is_leaf = tree.children_left < 0
    return (
        np.where(is_leaf, -1, tree.feature).astype(np.intp),
        np.asarray(tree.threshold, dtype=np.float64),
        np.asarray(tree.children_left, dtype=np.intp),
        np.asarray(tree.children_right, dtype=np.intp),
    )


def _of_boosting(model: Any) -> Trees | None:  # noqa: ANN401 # scikit-learn has no types
    prior = getattr(model.init_, "class_prior_", None)
    stages = model.estimators_
    if prior is None or not hasattr(stages, "shape") or not hasattr(stages.flat[0], "tree_"):
        raise ValidationError("boosting is understood from its usual first guess only")
    classes = len(model.classes_)
    made = []
    for stage in stages:
        for place, one in enumerate(stage):
            leaves = model.learning_rate * one.tree_.value[:, 0, 0]
            made.append((*_structure(one.tree_), _for_class(leaves, place, classes)))
    guess = np.log(np.maximum(prior, 1e-300))
    return _together(made, classes, guess - (guess[0] if classes == 2 else guess.mean()))


def _of_nodes(nodes: Any) -> _Arrays:  # noqa: ANN401 # an array of records
    """A tree of histogram boosting. Raises: ValidationError: it splits on sets of categories."""
    is_leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].astype(bool)[~is_leaf].any():
        raise ValidationError("boosting that splits on sets of categories is not understood")
    return (
        np.where(is_leaf, -1, nodes["feature_idx"]).astype(np.intp),
        nodes["num_threshold"].astype(np.float64), nodes["left"].astype(np.intp),
        nodes["right"].astype(np.intp), nodes["value"].astype(np.float64)[:, None],
    )  # fmt: skip


def _of_histogram(model: Any) -> Trees:  # noqa: ANN401 # scikit-learn has no types
    classes = len(model.classes_)
    made = []
    for stage in model._predictors:  # noqa: SLF001 # there is no public way
        for place, one in enumerate(stage):
            features, thresholds, left, right, values = _of_nodes(one.nodes)
            leaves = _for_class(values[:, 0], place, classes)
            made.append((features, thresholds, left, right, leaves))
    guess = np.ravel(model._baseline_prediction)  # noqa: SLF001 # there is no public way
    return _together(made, classes, np.append(0.0, guess) if classes == 2 else guess)


def _for_class(leaves: Numbers, place: int, classes: int) -> Numbers:
    """Values of a tree that speaks for one class; of two classes for the second."""
    values = np.zeros((len(leaves), classes))
    values[:, 1 if classes == 2 else place] = leaves
    return values


def _together(made: Sequence[_Arrays], classes: int, base: Numbers | None = None) -> Trees:
    sizes = [len(one[0]) for one in made]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    is_leaf = [one[0] < 0 for one in made]
    left = [np.where(f, -1, one[2] + s) for f, one, s in zip(is_leaf, made, starts, strict=True)]
    right = [np.where(f, -1, one[3] + s) for f, one, s in zip(is_leaf, made, starts, strict=True)]
    return Trees(
        np.concatenate([one[0] for one in made]), np.concatenate([one[1] for one in made]),
        np.concatenate(left), np.concatenate(right), np.concatenate([one[4] for one in made]),
        starts, np.zeros(classes) if base is None else np.asarray(base, dtype=np.float64),
    )  # fmt: skip
