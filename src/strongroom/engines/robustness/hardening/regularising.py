"""The strongest regularisation that costs no accuracy one could be sure of.

Each kind of estimator has a ladder of settings from what it is to what remembers least. By
cross-validation the strongest step is taken whose accuracy is within one standard error of the best
(Breiman, Friedman, Olshen & Stone, "Classification and regression trees", 1984, section 3.4.3).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.target import Labels, Rows
from strongroom.errors import ValidationError

_LEAVES: tuple[Mapping[str, Any], ...] = tuple(
    {"min_samples_leaf": leaf, "max_depth": depth}
    for leaf, depth in ((2, None), (5, 16), (10, 10), (20, 8), (50, 6), (100, 4))
)
_SHRINKING: tuple[Mapping[str, Any], ...] = tuple(
    {"C": c} for c in (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
)
LADDERS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "LogisticRegression": _SHRINKING,
    "SVC": _SHRINKING,
    "MLPClassifier": tuple({"alpha": alpha} for alpha in (1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0)),
    "DecisionTreeClassifier": _LEAVES,
    "RandomForestClassifier": _LEAVES,
    "ExtraTreesClassifier": _LEAVES,
    "HistGradientBoostingClassifier": tuple(
        {"l2_regularization": l2, "min_samples_leaf": leaf, "max_leaf_nodes": leaves}
        for l2, leaf, leaves in ((1.0, 20, 31), (3.0, 30, 15), (10.0, 50, 8), (30.0, 100, 4))
    ),
    "GradientBoostingClassifier": tuple(
        {"min_samples_leaf": leaf, "max_depth": depth, "subsample": 0.5}
        for leaf, depth in ((5, 3), (10, 2), (20, 2), (50, 1))
    ),
    "KNeighborsClassifier": tuple(
        {"n_neighbors": count, "weights": "uniform"} for count in (5, 10, 20, 50)
    ),
}
"""Class of an estimator → steps, weakest first."""
_LESS: Mapping[str, Callable[[float, float], float]] = {
    "C": min, "max_depth": min, "max_leaf_nodes": min, "subsample": min,
    "alpha": max, "l2_regularization": max, "min_samples_leaf": max, "n_neighbors": max,
}  # fmt: skip
"""Which of two values of a setting remembers less."""
_UNTOLD: Mapping[str, float] = {"C": 1.0}
"""What scikit-learn takes where a recipe is silent and a step could be weaker than that."""


class Adjustable(Recipe, Protocol):
    """A recipe whose settings can be changed.

    Attributes:
        kind: class of the estimator, as in `LADDERS`.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102 # as the class says

    def setting(self, name: str) -> Any:  # noqa: ANN401 # each its own
        """What the recipe states of a setting; None where it is silent, or states no bound."""

    def adjusted(self, parameters: Mapping[str, Any]) -> Self:
        """The same recipe with other settings, and a name that tells them."""


R = TypeVar("R", bound=Adjustable)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ladder, measured.

    Attributes:
        accuracy, error: mean over folds, and its standard error.
        gap: accuracy on the rows it was fitted on less that on others, mean over folds.
    """

    parameters: Mapping[str, Any]
    accuracy: float
    error: float
    gap: float


@dataclass(frozen=True, slots=True)
class Regularised(Generic[R]):
    """A recipe with the step that was taken.

    Attributes:
        steps: all, the first as the recipe was.
        taken: place of the step; 0: none is stronger at no loss.
    """

    recipe: R
    steps: tuple[Step, ...]
    taken: int


def regularised(
    recipe: R, rows: Rows, labels: Labels, *, seed: int, folds: int = 5
) -> Regularised[R]:
    """The recipe with the strongest regularisation at no sure loss.

    Args:
        folds: 2 to 20.
    Raises: ValidationError: a kind without a ladder, or fewer rows than folds.
    """
    kind = recipe.kind
    if kind not in LADDERS:
        raise ValidationError(
            f"there are no steps of regularisation for a `{kind}`",
            next_step=f"kinds with steps are {', '.join(sorted(LADDERS))}",
        )
    if not (2 <= folds <= 20 and len(rows) >= 2 * folds and len(labels) == len(rows)):
        raise ValidationError("regularisation is chosen over 2 to 20 folds of two rows at least")
    fold = np.random.default_rng(seed).permutation(len(rows)) % folds
    ladder = _above(recipe, LADDERS[kind])
    steps = tuple(_measured(recipe, one, rows, labels, fold, seed) for one in ladder)
    best = max(steps, key=lambda one: one.accuracy)
    taken = max(
        place for place, one in enumerate(steps) if one.accuracy >= best.accuracy - best.error
    )
    return Regularised(_adjusted(recipe, steps[taken].parameters), steps, taken)


def _above(recipe: Adjustable, ladder: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As the recipe is, and the steps from there up: none weaker than it in any setting."""
    own = {name: recipe.setting(name) for step in ladder for name in step}
    own = {name: _UNTOLD.get(name) if value is None else value for name, value in own.items()}
    found: list[Mapping[str, Any]] = [{}]
    reached = own
    for step in ladder:
        raised = {name: _raised(name, own[name], value) for name, value in step.items()}
        if {**own, **raised} != reached:
            found.append(raised)
            reached = {**own, **raised}
    return found


def _raised(name: str, own: Any, step: Any) -> Any:  # noqa: ANN401 # each its own
    """The one of two values that remembers less."""
    if name not in _LESS or own is None:
        return step
    if step is None or (name == "min_samples_leaf" and isinstance(own, float)):
        return own  # a share of the rows cannot be compared with a number of them
    return _LESS[name](own, step)


def _measured(
    recipe: R, parameters: Mapping[str, Any], rows: Rows, labels: Labels,
    fold: "np.ndarray[tuple[int], np.dtype[np.int64]]", seed: int,
) -> Step:  # fmt: skip
    made = _adjusted(recipe, parameters)
    seen, unseen = [], []
    for turn in range(int(fold.max()) + 1):
        inside = fold != turn
        predict = made.fit(rows[inside], labels[inside], seed)
        seen.append((predict(rows[inside]).argmax(axis=1) == labels[inside]).mean())
        unseen.append((predict(rows[~inside]).argmax(axis=1) == labels[~inside]).mean())
    error = float(np.std(unseen, ddof=1) / np.sqrt(len(unseen)))
    return Step(parameters, float(np.mean(unseen)), error, float(np.mean(seen) - np.mean(unseen)))


def _adjusted(recipe: R, parameters: Mapping[str, Any]) -> R:
    return recipe.adjusted(parameters) if parameters else recipe
