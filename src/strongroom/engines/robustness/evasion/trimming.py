"""Undoing what a wrong answer does not need, feature by feature, by labels alone.

Models of trees answer alike within boxes: their edges are steps along single features, where a
normal says little and the nearest wrong answer moves a few features by just enough. So features are
put back, wholly or in part, as many at once as the answer stays wrong.
"""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.evasion.hunt import PIECE, Hunt, Places
from strongroom.engines.robustness.target import QueriesSpent, Rows

_KEPT = (0.0, 0.5, 0.75, 0.875, 0.95, 0.99)
"""Shares of a feature's move that stay, in the order in which they are tried."""


def trim(
    hunt: Hunt,
    rng: np.random.Generator,
    *,
    rounds: int = 2,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Shorten the moves found, each feature for itself; ends early when the queries are spent.

    Costs at most about `rounds` * 6 * (features moved + the logarithm of that) queries a row.
    """
    blocks = [hunt.space.places[one.name] for one in hunt.space.features]
    try:
        for turn in range(rounds):
            before = hunt.distances.copy()
            for kept in _KEPT:
                which = hunt.open()[np.isfinite(hunt.distances[hunt.open()])]
                if len(which):
                    _shorten(hunt, which, blocks, kept, rng)
            progress((turn + 1) / rounds)
            if not (hunt.distances < before * (1 - 1e-3)).any():
                return
    except QueriesSpent:
        return


def _shorten(
    hunt: Hunt, which: Places, blocks: list[slice], kept: float, rng: np.random.Generator
) -> None:
    """Put back what can be put back alone, then as many of those together as can be."""
    points, origins = hunt.best[which].copy(), hunt.origins[which]
    moved = np.array([(points[:, b] != origins[:, b]).any(axis=1) for b in blocks]).T
    gains = np.array(
        [((points[:, b] - origins[:, b]) ** 2).sum(axis=1) for b in blocks]
    ).T * rng.uniform(0.5, 1.5, moved.shape)  # fmt: skip
    alone = _alone(hunt, which, blocks, points, moved, kept)
    gains = np.where(alone, gains, -1.0)
    order = np.argsort(-gains, axis=1)
    counts = alone.sum(axis=1)
    low, high = np.minimum(counts, 1), counts.copy()
    best = low.copy()
    while (pending := np.flatnonzero(low < high)).size:
        middle = (low[pending] + high[pending] + 1) // 2
        tried = _put_back(points[pending], origins[pending], blocks, order[pending], middle, kept)
        is_wrong = hunt.wrong(tried[:, None], which[pending])[:, 0]
        best[pending[is_wrong]] = middle[is_wrong]
        low[pending] = np.where(is_wrong, middle, low[pending])
        high[pending] = np.where(is_wrong, high[pending], middle - 1)


def _alone(
    hunt: Hunt,
    which: Places,
    blocks: list[slice],
    points: Rows,
    moved: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]",
    kept: float,
) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """Of which features the move can be cut to `kept` of it while all others stay."""
    alone = np.zeros_like(moved)
    rows, features = np.nonzero(moved)
    portion = max(1, PIECE // points.shape[1])
    for start in range(0, len(rows), portion):
        at, what = rows[start : start + portion], features[start : start + portion]
        tried = points[at].copy()
        for feature in np.unique(what):
            own = what == feature
            home = hunt.origins[which[at[own]], blocks[feature]]
            tried[own, blocks[feature]] = home + kept * (tried[own, blocks[feature]] - home)
        alone[at, what] = hunt.wrong(tried[:, None], which[at])[:, 0]
    return alone


def _put_back(
    points: Rows, origins: Rows, blocks: list[slice], order: Places, counts: Places, kept: float
) -> Rows:
    is_back = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(is_back, order, np.arange(order.shape[1]) < counts[:, None], axis=1)
    made = points.copy()
    for feature, block in enumerate(blocks):
        own = is_back[:, feature]
        home = origins[own, block]
        made[own, block] = home + kept * (made[own, block] - home)
    return made
