"""Small models and spaces that the tests of evasion attack."""

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

from strongroom.engines.robustness.evasion.hunt import Hunt, Norm
from strongroom.engines.robustness.space import Feature, Relation, Space
from strongroom.engines.robustness.target import Labels, OutputForm, Predict, Rows, Target

Model = Any
"""Of scikit-learn, which has no types."""

WEIGHTS = np.array([[0.0] * 6, [2.0, -1.0, 0.5, 1.5, -0.7, 0.0]])
BIAS = np.array([0.0, -1.0])


def linear(points: Rows) -> Rows:
    """Two classes, by a linear model of six numbers."""
    second = 1 / (1 + np.exp(-(points @ WEIGHTS[1] + BIAS[1])))
    return np.stack([1 - second, second], axis=1)


def linear_hunt(
    norm: Norm, rows: int = 12, seed: int = 0, budget: int | None = None, shows: str = "labels"
) -> tuple[Hunt, Rows]:
    """A hunt of rows of the linear model, and a pool."""
    rng = np.random.default_rng(seed)
    pool = rng.random((100, 6))
    labels = np.asarray(linear(pool).argmax(axis=1), dtype=np.int64)
    form = OutputForm() if shows == "probabilities" else OutputForm(shows="labels")
    target = Target(linear, classes=2, form=form, budget=budget)
    return Hunt(target, Space.box(6), pool[:rows], labels[:rows], norm), pool


def breast() -> tuple[Rows, Labels, Rows, Labels]:
    """Breast cancer (scikit-learn's copy) on 0 to 1: rows to fit, rows to attack."""
    points, labels = load_breast_cancer(return_X_y=True)
    points = (points - points.min(axis=0)) / (points.max(axis=0) - points.min(axis=0))
    order = np.random.default_rng(0).permutation(len(points))
    points, labels = points[order], labels[order].astype(np.int64)
    return points[:400], labels[:400], points[400:], labels[400:]


def forest(points: Rows, labels: Labels, trees: int = 20, depth: int = 5) -> Model:
    """A small forest."""
    model = RandomForestClassifier(trees, max_depth=depth, random_state=0, n_jobs=1)
    return model.fit(points, labels)


def network(points: Rows, labels: Labels) -> Model:
    """A small network."""
    return MLPClassifier(
        (16,), solver="lbfgs", alpha=0.1, max_iter=1_000, random_state=0
    ).fit(points, labels)  # fmt: skip


def loan_space() -> Space:
    """Numbers with steps, a category, something immutable, one direction, a relation."""
    return Space(
        [
            Feature("income", 0, 100), Feature("debt", 0, 100), Feature("children", 0, 5, step=1.0),
            Feature("work", levels=("none", "part", "full")), Feature("age", 18, 90, direction=1),
            Feature("sex", levels=("f", "m"), is_mutable=False),
        ],
        [Relation({"debt": 1.0, "income": -2.0}, 0.0)],
    )  # fmt: skip


def loan_rows(space: Space, count: int = 40, seed: int = 0) -> Rows:
    """Points that keep all constraints."""
    rng = np.random.default_rng(seed)
    income = rng.uniform(20, 100, count)
    return space.encode({
        "income": income, "debt": rng.uniform(0, 1, count) * np.minimum(2 * income, 100),
        "children": rng.integers(0, 6, count).astype(np.float64),
        "work": rng.choice(np.array(["none", "part", "full"], dtype=object), count),
        "age": rng.uniform(18, 60, count),
        "sex": rng.choice(np.array(["f", "m"], dtype=object), count),
    })  # fmt: skip


def loan_model(space: Space) -> Predict:
    """Pays back: income less debt, full work, few children."""

    def predict(points: Rows) -> Rows:
        values = space.decode(points)
        lead = np.asarray(values["income"], dtype=np.float64) - np.asarray(
            values["debt"], dtype=np.float64
        )
        lead = lead / 30 + 1.0 * (values["work"] == "full")
        lead = lead - 0.3 * np.asarray(values["children"], dtype=np.float64)
        second = 1 / (1 + np.exp(-lead))
        return np.stack([1 - second, second], axis=1)

    return predict


def silent(_: float) -> None:
    """Progress that nobody watches."""
