"""How further models are fitted, for attacks that compare with models that never saw a row."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from strongroom.engines.robustness.target import Predict, Rows, Scores, Truth

REFERENCES = ("forest", "boosting", "logistic")
"""Names of the reference recipes."""


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

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A clone, fitted; classes that `labels` lack get probability 0."""
        from sklearn.base import clone
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

        model = clone(self.estimator)
        seeds = {name: seed for name in model.get_params() if name.endswith("random_state")}
        with threadpool_limits(1):  # more, on a busy machine, wait for each other: 30 times the CPU
            model.set_params(**seeds).fit(rows, labels)
        if self.classes == 1:
            return lambda rows: np.asarray(model.predict(rows), dtype=np.float64).reshape(-1, 1)
        places = np.asarray(model.classes_, dtype=np.int64)

        def predict(rows: Rows) -> Scores:
            scores = np.zeros((len(rows), self.classes))
            with threadpool_limits(1):
                scores[:, places] = model.predict_proba(rows)
            return scores

        return predict


def reference(name: str, classes: int) -> Estimator:
    """A reference recipe, for models of which nobody knows how they were fitted.

    Args:
        name: of `REFERENCES`.
        classes: of the model; 1 for a regression.
    """
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LogisticRegression, Ridge

    if classes == 1:
        numbers = {
            "forest": lambda: RandomForestRegressor(n_estimators=100, n_jobs=1),
            "boosting": lambda: HistGradientBoostingRegressor(early_stopping=False),
            "logistic": Ridge,
        }
        return Estimator(name, numbers[name](), classes)
    made = {
        "forest": lambda: RandomForestClassifier(n_estimators=100, n_jobs=1),
        "boosting": lambda: HistGradientBoostingClassifier(early_stopping=False),
        "logistic": lambda: LogisticRegression(max_iter=1_000),
    }
    return Estimator(name, made[name](), classes)
