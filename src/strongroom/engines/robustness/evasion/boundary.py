"""The boundary attack: a random walk along the edge of the wrong answers, by labels alone.

It needs no estimate of a direction, so it goes on where answers are steps or a space has levels;
where HopSkipJump's estimate works, that is nearer with the same queries
(docs/robustness-evasion.md).

Source: Brendel, Rauber & Bethge, "Decision-based adversarial attacks: reliable attacks against
black-box machine learning models", 2018, section 2 and algorithm 1. Where it differs: it starts
from the nearest wrong answer known; all rows walk together; and both sizes of a step change after
every answer, by a factor that is 1 on average at the wanted rate, in place of after a hundred.
"""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.evasion.hopskipjump import back, start
from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers, length
from strongroom.engines.robustness.target import QueriesSpent, Rows

_ASIDE, _TOWARDS = 0.1, 0.1
"""First sizes of a step aside and of one towards the origin, as shares of the distance."""
_ASIDE_RATE, _TOWARDS_RATE = 0.5, 0.25
"""Share of the steps that should stay wrong: near an edge that is almost flat, half of those aside
(the paper), and of what remains a quarter."""
_PACE = 0.1
"""Of the logarithm of a size, for one answer."""
_LEAST, _MOST = 1e-6, 1.0
_PRECISION = 1e-3
_SEARCHED_BACK = 50
"""Turns after which the edge is searched along the line to the origin; also at the end."""


def boundary(
    hunt: Hunt,
    rng: np.random.Generator,
    *,
    pool: Rows | None = None,
    turns: int = 500,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Bring each open row of a hunt nearer to its origin; ends early when the queries are spent.

    Steps are measured in L2 whatever the norm of the hunt; in Linf the nearest met is kept.

    Args:
        pool: points of any answer that the attacker holds.
        turns: each costs two queries a row, and every fiftieth some ten more.
    """
    try:
        start(hunt, rng, pool)
        which = hunt.open()[np.isfinite(hunt.distances[hunt.open()])]
        if not len(which):
            return
        origins = hunt.origins[which]
        here = hunt.best[which].copy()
        aside, towards = np.full(len(which), _ASIDE), np.full(len(which), _TOWARDS)
        for turn in range(turns):
            if turn % _SEARCHED_BACK == 0:
                here = back(hunt, here, which, _PRECISION)
            sphere = _aside(origins, here, aside, rng)
            nearer = origins + (1 - towards)[:, None] * (sphere - origins)
            tried = np.stack([sphere, nearer], axis=1)
            is_wrong = hunt.wrong(tried, which)
            gained = is_wrong[:, 1] & (
                length(tried[:, 1] - origins, "l2") < length(here - origins, "l2")
            )
            here[gained] = tried[gained, 1]
            aside = _sized(aside, is_wrong[:, 0], _ASIDE_RATE)
            towards = np.where(
                is_wrong[:, 0], _sized(towards, is_wrong[:, 1], _TOWARDS_RATE), towards
            )
            progress((turn + 1) / turns)
        back(hunt, here, which, _PRECISION)
    except QueriesSpent:
        return


def _aside(origins: Rows, here: Rows, sizes: Numbers, rng: np.random.Generator) -> Rows:
    """Points as far from the origins as these, a random step aside."""
    moves = here - origins
    far = np.maximum(length(moves, "l2"), 1e-300)[:, None]
    outward = moves / far
    noise = rng.normal(size=here.shape)
    noise -= (noise * outward).sum(axis=1, keepdims=True) * outward
    noise /= np.maximum(length(noise, "l2"), 1e-300)[:, None]
    turned = outward + sizes[:, None] * noise
    return np.asarray(origins + far * turned / length(turned, "l2")[:, None])


def _sized(sizes: Numbers, is_wrong: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
           rate: float) -> Numbers:  # fmt: skip
    """Larger after a wrong answer, smaller after a right one; alike where `rate` are wrong."""
    return np.asarray(np.clip(sizes * np.exp(_PACE * (is_wrong - rate)), _LEAST, _MOST))
