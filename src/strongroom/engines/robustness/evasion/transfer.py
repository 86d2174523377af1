"""Attacks made on a model of the attacker's own, fitted to the target's answers, and sent over.

Source: Papernot, McDaniel, Goodfellow, Jha, Celik & Swami, "Practical black-box attacks against
machine learning", 2017, section 4 (a substitute fitted to answers, rows added around those held).
Where it differs: rows are added between held ones and by noise, and of a linear model and a network
the one is taken that agrees more with the target on rows kept aside.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion import gradients
from strongroom.engines.robustness.evasion.hopskipjump import back
from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers
from strongroom.engines.robustness.evasion.stepping import known, to_edge
from strongroom.engines.robustness.target import Labels, Predict, QueriesSpent, Rows, Target

_ASIDE = 0.2
"""Of the answers, to choose by."""
_OVERSHOTS = (1.0, 1.25, 1.6, 2.0, 3.0, 5.0, 8.0)
"""Lengths at which a move is sent over, as a share of what the substitute needs."""
_NOISE = 0.05
_ENOUGH = 0.995
"""Agreement at which the linear model is taken without a look at the network."""


@dataclass(frozen=True, slots=True)
class Substitute:
    """A model of the attacker's own.

    Attributes:
        agreement: share of rows kept aside on which it answers as the target does.
    """

    predict: Predict
    gradient: gradients.Gradient
    agreement: float


def substitute(
    target: Target, pool: Rows, rng: np.random.Generator, queries: int
) -> Substitute | None:
    """Fit to so many answers; None where all are of one class, or fewer than 20.

    Args:
        pool: points that the attacker holds; mixed and shaken where there are fewer than `queries`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    rows = _asked(pool, rng, queries)
    if len(rows) < 20:
        return None
    answers = target.labels(rows)
    aside = max(1, int(_ASIDE * len(rows)))
    if len(np.unique(answers[aside:])) < 2:
        return None
    seed = int(rng.integers(2**31))
    best: Substitute | None = None
    for model in (
        LogisticRegression(C=100.0, max_iter=500),
        MLPClassifier((32,), solver="lbfgs", alpha=0.01, max_iter=120, random_state=seed),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not settled is judged like any other
            model.fit(rows[aside:], answers[aside:])
        made = _wrapped(model, target.classes, rows[:aside], answers[:aside])
        if made is not None and made.agreement >= _ENOUGH:
            return made
        if made is not None and (best is None or made.agreement > best.agreement):
            best = made
    return best


def transfer(
    hunt: Hunt,
    made: Substitute,
    rng: np.random.Generator,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Attack the substitute, send what is found to the target, at several lengths."""
    own = Target(made.predict, classes=hunt.target.classes)
    inner = Hunt(own, hunt.space, hunt.origins, hunt.labels, hunt.norm)
    slopes = known(inner, made.gradient)
    to_edge(inner, slopes, steps=15)
    to_edge(inner, slopes, steps=10, restart=rng)
    progress(0.5)
    moves = inner.best - inner.origins
    try:
        for place, factor in enumerate(_OVERSHOTS):
            which = hunt.open()
            which = which[np.isinf(hunt.distances[which]) & (inner.distances[which] > 0)]
            which = which[np.isfinite(inner.distances[which])]
            if len(which):
                sent = hunt.origins[which] + factor * moves[which]
                hit = hunt.wrong(sent[:, None].copy(), which)[:, 0]
                if hit.any():
                    back(hunt, sent[hit], which[hit], 1e-2)
            progress(0.5 + 0.5 * (place + 1) / len(_OVERSHOTS))
    except QueriesSpent:
        return


def _asked(pool: Rows, rng: np.random.Generator, queries: int) -> Rows:
    if not len(pool):
        return pool
    kept = pool[rng.permutation(len(pool))[:queries]]
    more = max(0, queries - len(kept))
    first, second = (kept[rng.integers(len(kept), size=more)] for _ in range(2))
    mixed = first + rng.random((more, 1)) * (second - first)
    mixed += rng.normal(scale=_NOISE, size=mixed.shape) * (kept.max(axis=0) > kept.min(axis=0))
    rows = np.concatenate([kept, np.clip(mixed, pool.min(axis=0), pool.max(axis=0))])
    return np.asarray(rows[rng.permutation(len(rows))])


def _wrapped(
    model: object, classes: int, rows: Rows, answers: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Substitute | None:
    """A fitted model that answers with all places of classes, also those it never saw."""
    inner = gradients.of_estimator(model)
    if inner is None:
        return None
    places = np.asarray(model.classes_, dtype=np.int64)  # type: ignore[attr-defined] # scikit-learn has no types
    where = np.full(classes, -1, dtype=np.int64)
    where[places] = np.arange(len(places))

    def predict(points: Rows) -> Rows:
        scores = np.zeros((len(points), classes))
        scores[:, places] = model.predict_proba(points)  # type: ignore[attr-defined] # scikit-learn has no types
        return scores

    def gradient(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        own = where[labels]
        margins, slopes = inner(points, np.maximum(own, 0))
        is_strange = own < 0
        margins[is_strange], slopes[is_strange] = -1.0, 0.0
        return margins, slopes

    agreement = float((predict(rows).argmax(axis=1) == answers).mean())
    return Substitute(predict, gradient, agreement)
