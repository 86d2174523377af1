"""How further models are fitted, for attacks that compare with models that never saw a row."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from strongroom.engines.robustness.target import Labels, Predict, Rows, Scores

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
    def name(self) -> str: ...  # noqa: D102
    @property
    def is_own(self) -> bool: ...  # noqa: D102
    @property
    def classes(self) -> int: ...  # noqa: D102

    def fit(self, rows: Rows, labels: Labels, seed: int) -> Predict:
        """A new model of these rows. It must be safe to call from one thread only."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """A recipe that clones a scikit-learn classifier.

    Attributes:
        estimator: unfitted, or fitted: it is cloned and stays as it is. Never one that came in a
            file: who holds such a thing is in the sandbox already.
    """

    name: str
    estimator: Any
    classes: int
    is_own: bool = False

    def fit(self, rows: Rows, labels: Labels, seed: int) -> Predict:
        """A clone, fitted; classes that `labels` lack get probability 0."""
        from sklearn.base import clone

        model = clone(self.estimator)
        seeds = {name: seed for name in model.get_params() if name.endswith("random_state")}
        model.set_params(**seeds).fit(rows, labels)
        places = np.asarray(model.classes_, dtype=np.int64)

        def predict(rows: Rows) -> Scores:
            scores = np.zeros((len(rows), self.classes))
            scores[:, places] = model.predict_proba(rows)
            return scores

        return predict


def reference(name: str, classes: int) -> Estimator:
    """A reference recipe, for models of which nobody knows how they were fitted.

    Args:
        name: of `REFERENCES`.
        classes: of the model, 2 or more.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    made = {
        "forest": lambda: RandomForestClassifier(n_estimators=100, n_jobs=1),
        "boosting": lambda: HistGradientBoostingClassifier(early_stopping=False),
        "logistic": lambda: LogisticRegression(max_iter=1_000),
    }
    return Estimator(name, made[name](), classes)
