"""Copies of a model, learned from rows and what it answered about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from strongroom.engines.robustness.target import Predict, Rows, Scores

FAMILIES = ("forest", "linear", "network", "boosting")
"""Kinds of surrogates; an attacker tries them all."""
_TREES = 50
_HELD_BACK = 0.2
_MOST_CLASSES_BOOSTED = 3
_FEWEST_BOOSTED = 200


@dataclass(frozen=True, slots=True)
class Copy:
    """A surrogate.

    Attributes:
        family: of `FAMILIES`, or `constant` where all answers were alike.
        predict: scores of rows, (n, classes).
        ranked: families that were tried, the best first.
    """

    family: str
    predict: Predict
    ranked: tuple[str, ...]


def best_copy(rows: Rows, scores: Scores, seed: int, families: tuple[str, ...] = FAMILIES) -> Copy:
    """The copy of the family that agrees best with answers it was not fitted to, fitted to all.

    Args:
        rows, scores: what was asked and answered, (n, width) and (n, classes).
    """
    if _is_constant(scores):
        usual = scores.mean(axis=0)
        return Copy("constant", lambda asked: np.repeat(usual[None], len(asked), axis=0), families)
    if len(families) == 1:
        return Copy(families[0], fitted(families[0], rows, scores, seed), families)
    order = np.random.default_rng(seed).permutation(len(rows))
    count = max(1, int(_HELD_BACK * len(rows)))
    held, used = order[:count], order[count:]
    agreed = {
        one: agreement(fitted(one, rows[used], scores[used], seed)(rows[held]), scores[held])
        for one in families
        if _is_usable(one, scores)
    }
    ranked = tuple(sorted(agreed, key=lambda one: -agreed[one]))
    return Copy(ranked[0], fitted(ranked[0], rows, scores, seed), ranked)


def agreement(copied: Scores, scores: Scores) -> float:
    """The share of equal likeliest classes; of a regression the share of the spread explained."""
    if scores.shape[1] > 1:
        return float((copied.argmax(axis=1) == scores.argmax(axis=1)).mean())
    spread = float(scores.var())
    error = float(((copied - scores) ** 2).mean())
    return 1.0 - error / spread if spread else float(error == 0.0)


def fitted(family: str, rows: Rows, scores: Scores, seed: int) -> Predict:
    """A copy of one family."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

    if _is_constant(scores):
        usual = scores.mean(axis=0)
        return lambda asked: np.repeat(usual[None], len(asked), axis=0)
    with threadpool_limits(1):  # more wait for each other on a busy machine
        return _MAKERS[family](rows, scores, seed)


def _is_usable(family: str, scores: Scores) -> bool:
    """Boosting takes a tree for each class and turn, and needs more rows than the others."""
    if family != "boosting":
        return True
    return scores.shape[1] <= _MOST_CLASSES_BOOSTED and len(scores) >= _FEWEST_BOOSTED


def _is_constant(scores: Scores) -> bool:
    if scores.shape[1] == 1:
        return bool(np.ptp(scores) == 0.0)
    return len(set(scores.argmax(axis=1).tolist())) == 1


def _forest(rows: Rows, scores: Scores, seed: int) -> Predict:
    """Of extremely randomized trees, on the probabilities themselves."""
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(_TREES, random_state=seed, n_jobs=1)
    model.fit(rows, scores if scores.shape[1] > 1 else scores[:, 0])
    return lambda asked: np.asarray(model.predict(asked)).reshape(len(asked), -1)


def _network(rows: Rows, scores: Scores, seed: int) -> Predict:
    """One hidden layer, on the probabilities themselves."""
    from sklearn.neural_network import MLPRegressor

    usual, spread = _scaling(rows)
    model = MLPRegressor(
        hidden_layer_sizes=(64,), alpha=1e-3, solver="lbfgs", random_state=seed,
        max_iter=100 if len(rows) > 1_000 else 200,
    )  # fmt: skip
    _quietly(model, (rows - usual) / spread, scores if scores.shape[1] > 1 else scores[:, 0])
    return lambda asked: np.asarray(model.predict((asked - usual) / spread)).reshape(len(asked), -1)


def _linear(rows: Rows, scores: Scores, seed: int) -> Predict:
    from sklearn.linear_model import LogisticRegression, Ridge

    usual, spread = _scaling(rows)
    scaled = (rows - usual) / spread
    if scores.shape[1] == 1:
        ridge = Ridge(1e-3).fit(scaled, scores[:, 0])
        return lambda asked: np.asarray(ridge.predict((asked - usual) / spread)).reshape(-1, 1)
    model = LogisticRegression(C=10.0, max_iter=300, random_state=seed)
    _quietly(model, scaled, scores.argmax(axis=1))
    return _spread_out(model, scores.shape[1], lambda asked: (asked - usual) / spread)


def _boosting(rows: Rows, scores: Scores, seed: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if scores.shape[1] == 1:
        ranked = HistGradientBoostingRegressor(
            max_iter=40, learning_rate=0.2, random_state=seed, early_stopping=False
        )
        ranked.fit(rows, scores[:, 0])
        return lambda asked: np.asarray(ranked.predict(asked)).reshape(-1, 1)
    model = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.2, random_state=seed, early_stopping=False
    )
    model.fit(rows, scores.argmax(axis=1))
    return _spread_out(model, scores.shape[1], lambda asked: asked)


_MAKERS: dict[str, Callable[[Rows, Scores, int], Predict]] = {
    "forest": _forest, "network": _network, "linear": _linear, "boosting": _boosting,
}  # fmt: skip


def _spread_out(model: Any, classes: int, scaled: Callable[[Rows], Rows]) -> Predict:  # noqa: ANN401 # scikit-learn has no types
    def predict(asked: Rows) -> Scores:
        made = np.zeros((len(asked), classes))
        made[:, model.classes_] = model.predict_proba(scaled(asked))
        return made

    return predict


def _scaling(rows: Rows) -> tuple[Rows, Rows]:
    spread = rows.std(axis=0)
    return rows.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _quietly(model: Any, rows: Rows, truth: Any) -> None:  # noqa: ANN401 # scikit-learn has no types
    """Fit without the warning that more turns would fit better: an attacker stops as well."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, truth)
