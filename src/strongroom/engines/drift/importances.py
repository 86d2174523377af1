"""How much each feature matters to what a model says, from rows alone: the model is not called.

A stand-in of boosted trees learns the prediction from the features on one half of the rows; a
feature's importance is how much its loss on the other half grows when the feature is shuffled.

Source: Breiman, "Random Forests", 2001, section 10; on any model as in Fisher, Rudin & Dominici,
JMLR 20(177), 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.drift.plan import Floats
from strongroom.engines.drift.threads import one_thread
from strongroom.errors import TableError

METHOD = "permutation importance of a stand-in of boosted trees"
LEAST_ROWS = 200
MAX_FEATURES = 200
"""Each is shuffled on its own."""
MAX_CLASSES = 20
_MOST_ROWS = 10_000
_ROUNDS = 3
_NOISE = 2.0
"""Standard errors below which a growth of the loss is taken for none."""


@dataclass(frozen=True, slots=True)
class Importances:
    """What matters.

    Attributes:
        features: name → growth of the loss, 0 where that is no more than chance.
        explained: share of the prediction's variation that the stand-in explains on rows it has
            not seen; the importances are of this part.
    """

    features: dict[str, float]
    explained: float


def importances(
    inputs: Floats, said: Floats, names: Sequence[str], *, are_classes: bool, seed: int = 0
) -> Importances:
    """Of each feature for what was said.

    Args:
        inputs: rows by features; NaN for missing.
        said: the prediction of each row, or the code of its class; rows with NaN are left out.
        names: of the features.
        are_classes: `said` holds codes of classes, no numbers.

    Raises: TableError: too few rows, too many features or classes, or all predictions alike.
    """
    if not 0 < len(names) <= MAX_FEATURES:
        raise TableError(f"importances are of 1 to {MAX_FEATURES} features")
    random = np.random.Generator(np.random.PCG64(seed))
    rows = random.permutation(np.flatnonzero(np.isfinite(said)))[:_MOST_ROWS]
    if len(rows) < LEAST_ROWS:
        raise TableError(f"importances need {LEAST_ROWS} rows with a prediction")
    table, target = inputs[rows], said[rows]
    classes = np.unique(target)
    if len(classes) < 2:
        raise TableError("all predictions are alike: no feature matters to them")
    if are_classes and len(classes) > MAX_CLASSES:
        raise TableError(f"there are more than {MAX_CLASSES} classes")
    if not are_classes:
        target = _ranks(target)
    half = len(rows) // 2
    # A column without a value tells nothing, and cannot be learned from.
    able = np.flatnonzero(np.isfinite(table[:half]).any(axis=0))
    growth = dict.fromkeys(names, 0.0)
    if not len(able):
        return Importances(growth, 0.0)
    table = table[:, able]
    model = _fitted(table[:half], target[:half], seed, are_classes=are_classes)
    held, real = table[half:], target[half:]
    with one_thread():
        least = _losses(model, held, real)
        for place, at in enumerate(able.tolist()):
            growth[names[at]] = _growth(model, held, real, place, least, random)
    plain = _plain_losses(target[:half], real, are_classes=are_classes)
    explained = 1 - float(least.mean()) / max(float(plain.mean()), 1e-12)
    return Importances(growth, max(explained, 0.0))


def _ranks(target: Floats) -> Floats:
    """Middle ranks from 0 to 1: one extreme prediction shall not outweigh all others."""
    _, place, counts = np.unique(target, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    ranks: Floats = middle[place] / len(target)
    return ranks


def _growth(
    model: Any,  # noqa: ANN401 # scikit-learn is untyped
    held: Floats, real: Floats, at: int, least: Floats, random: np.random.Generator,
) -> float:  # fmt: skip
    grown = np.zeros(len(held))
    shuffled = held.copy()
    for _ in range(_ROUNDS):
        shuffled[:, at] = random.permutation(held[:, at])
        grown += (_losses(model, shuffled, real) - least) / _ROUNDS
    mean = float(grown.mean())
    error = float(grown.std()) / len(grown) ** 0.5
    return mean if mean > _NOISE * error else 0.0


def _fitted(table: Floats, target: Floats, seed: int, *, are_classes: bool) -> Any:  # noqa: ANN401 # scikit-learn has no types
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if are_classes else HistGradientBoostingRegressor
    model = kind(
        max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, random_state=seed,
        early_stopping=False,
    )  # fmt: skip
    with one_thread():
        return model.fit(table, target)


def _losses(model: Any, table: Floats, real: Floats) -> Floats:  # noqa: ANN401 # scikit-learn
    """Squared error of a number, Brier's score of a class; row by row."""
    if not hasattr(model, "classes_"):
        losses: Floats = (np.asarray(model.predict(table), np.float64) - real) ** 2
        return losses
    chances = np.asarray(model.predict_proba(table), np.float64)
    return _brier(chances, np.asarray(model.classes_, np.float64), real)


def _plain_losses(seen: Floats, real: Floats, *, are_classes: bool) -> Floats:
    """Of a stand-in that knows no feature."""
    if not are_classes:
        losses: Floats = (real - seen.mean()) ** 2
        return losses
    classes, counts = np.unique(seen, return_counts=True)
    chances = np.broadcast_to(counts / counts.sum(), (len(real), len(classes)))
    return _brier(chances, classes, real)


def _brier(chances: Floats, classes: Floats, real: Floats) -> Floats:
    hit: NDArray[np.bool_] = classes[None, :] == real[:, None]
    # A class that the stand-in has not seen counts as a miss of its own.
    losses: Floats = ((chances - hit) ** 2).sum(axis=1) + ~hit.any(axis=1)
    return losses
