"""Whether the features that matter are still the same: NDCG of their importances."""

from collections.abc import Mapping

import numpy as np

from strongroom.engines.drift.findings import AttributionDrift
from strongroom.engines.drift.wording import clean
from strongroom.errors import TableError

_NAMED = 10


def attribution_drift(
    reference: Mapping[str, float], current: Mapping[str, float], threshold: float = 0.9
) -> AttributionDrift:
    """Compare importances, e.g. the mean of |SHAP| by feature; a feature that is missing has 0.

    NDCG is 1 where the current importances order the features as the reference's do, weighed by
    how much a feature mattered in the reference and by its place.

    Source: Järvelin & Kekäläinen 2002; for attributions as in Azure's feature attribution drift.

    Raises: TableError: there are none, or one is negative or no number.
    """
    values = [*reference.values(), *current.values()]
    if not reference or not current or not all(np.isfinite(values)) or min(values) < 0:
        raise TableError("importances are numbers from 0 on, one a feature")
    names = list(dict.fromkeys([*reference, *current]))
    before = np.array([float(reference.get(name, 0.0)) for name in names])
    now = np.array([float(current.get(name, 0.0)) for name in names])
    ndcg = normalized_gain(before, now)
    places = [_places(before), _places(now)]
    moved = sorted(
        ((name, int(places[0][at]), int(places[1][at])) for at, name in enumerate(names)
         if places[0][at] != places[1][at]),
        key=lambda one: (-abs(1 / one[1] - 1 / one[2]), one[0]),
    )  # fmt: skip
    shares = [one / one.sum() if one.sum() else one for one in (before, now)]
    order = np.lexsort((-shares[1], -shares[0]))
    importances = tuple(
        (names[at], float(shares[0][at]), float(shares[1][at])) for at in order.tolist()
    )
    drifted = ndcg < threshold
    says = f"Features matter {'in another order' if drifted else 'as before'}: NDCG {ndcg:.3f}"
    if drifted and moved:
        first = moved[0]
        says += f" (threshold {threshold:g}); `{clean(first[0])}` went from place "
        says += f"{first[1]} to {first[2]}"
    return AttributionDrift(ndcg, drifted, tuple(moved[:_NAMED]), says + ".", importances)


def normalized_gain(
    relevance: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    scores: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> float:
    """NDCG of items ordered by `scores`, of gain `relevance`; tied items share their places."""
    discount = 1 / np.log2(np.arange(len(relevance)) + 2)
    ideal = float(np.sort(relevance)[::-1] @ discount)
    if not ideal:
        return 1.0
    _, group = np.unique(-scores, return_inverse=True)
    sizes = np.bincount(group)
    means = np.bincount(group, relevance) / sizes
    ends = np.cumsum(sizes)
    gained = [
        mean * discount[end - size : end].sum()
        for mean, size, end in zip(means, sizes, ends, strict=True)
    ]
    return float(sum(gained)) / ideal


def _places(
    importances: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    places = np.empty(len(importances), np.intp)
    places[np.argsort(-importances, kind="stable")] = np.arange(1, len(importances) + 1)
    return places
