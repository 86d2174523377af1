"""How further models are fitted, for attacks that compare with models that never saw a row."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from strongroom.engines.robustness.replicas import Replica, replica_of
from strongroom.engines.robustness.target import Predict, Rows, Scores, Truth
from strongroom.errors import ValidationError

REFERENCES = ("logistic", "network", "forest", "boosting")
"""Names of the reference recipes, the cheaper ones first: of ten classes and 256 features a network
takes a sixth of what boosting does."""
_COMPARED, _SMALL = 200, 500
"""Rows on which trees as numbers must answer as the model does, and up to which they answer."""


class Recipe(Protocol):
    """A way to fit a model.

    Attributes:
        name: for the report.
        is_own: it is how the attacked model itself was fitted, as far as is known.
        classes: places of the scores; 1 for a regression.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 # as the class says
    @property
    def is_own(self) -> bool: ...  # noqa: D102 # as the class says
    @property
    def classes(self) -> int: ...  # noqa: D102 # as the class says

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A new model of these rows. It must be safe to call from one thread only."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """A recipe that clones a scikit-learn classifier, or with one class a regressor.

    Attributes:
        estimator: unfitted, or fitted: it is cloned and stays as it is. Never one that came in a
            file: who holds such a thing is in the sandbox already.
    """

    name: str
    estimator: Any
    classes: int
    is_own: bool = False

    @property
    def kind(self) -> str:
        """The class of the estimator."""
        return type(self.estimator).__name__

    def setting(self, name: str) -> Any:  # noqa: ANN401 # each its own
        """What the estimator is told, None for nothing."""
        return self.estimator.get_params().get(name)

    def adjusted(self, parameters: Mapping[str, Any]) -> "Estimator":
        """A recipe with other settings, and a name that tells them."""
        from sklearn.base import clone

        told = ", ".join(f"{name}={value}" for name, value in parameters.items())
        estimator = clone(self.estimator).set_params(**parameters)
        return Estimator(f"{self.name} ({told})", estimator, self.classes)

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A clone, fitted; classes that `labels` lack get probability 0."""
        from sklearn.base import clone
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # has no types

        model = clone(self.estimator)
        seeds = {name: seed for name in model.get_params() if name.endswith("random_state")}
        threads = ThreadpoolController()
        # More threads, on a busy machine, wait for each other: 30 times the CPU.
        with threads.limit(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so many rounds are enough
            model.set_params(**seeds).fit(rows, labels)
        if self.classes == 1:
            return lambda rows: np.asarray(model.predict(rows), dtype=np.float64).reshape(-1, 1)
        places = np.asarray(model.classes_, dtype=np.int64)
        replica = _replica(model, rows[:_COMPARED])

        def predict(rows: Rows) -> Scores:
            scores = np.zeros((len(rows), self.classes))
            if replica is not None and len(rows) <= _SMALL and np.isfinite(rows).all():
                scores[:, places] = replica.answers(rows)
                return scores
            with threads.limit(limits=1):
                scores[:, places] = model.predict_proba(rows)
            return scores

        return predict


def _replica(model: Any, rows: Rows) -> Replica | None:  # noqa: ANN401 # scikit-learn has no types
    """Its numbers, for small questions; None where it has none, or they answer otherwise.

    A forest of scikit-learn takes 10 ms to begin, its trees as numbers 1 ms for all of a few rows.
    """
    rows = rows[np.isfinite(rows).all(axis=1)]
    try:
        made = replica_of(model, rows.shape[1])
    except ValidationError:
        return None
    if made is None or not len(rows):
        return None
    true, found = model.predict_proba(rows), made.answers(rows)
    is_same = np.abs(true - found).max() <= 1e-12
    return made if is_same and (true.argmax(axis=1) == found.argmax(axis=1)).all() else None


def reference(name: str, classes: int) -> Estimator:
    """A reference recipe, for models of which nobody knows how they were fitted.

    Args:
        name: of `REFERENCES`.
        classes: of the model; 1 for a regression.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    if classes == 1:
        numbers = {
            "forest": lambda: RandomForestRegressor(n_estimators=100, n_jobs=1),
            "boosting": lambda: HistGradientBoostingRegressor(early_stopping=False),
            "logistic": Ridge,
            "network": lambda: TransformedTargetRegressor(
                MLPRegressor(max_iter=200), transformer=StandardScaler()
            ),
        }
        return Estimator(name, numbers[name](), classes)
    made = {
        "forest": lambda: RandomForestClassifier(n_estimators=100, n_jobs=1),
        "boosting": lambda: HistGradientBoostingClassifier(early_stopping=False),
        "logistic": lambda: LogisticRegression(max_iter=1_000),
        "network": lambda: MLPClassifier(max_iter=200),
    }
    return Estimator(name, made[name](), classes)
