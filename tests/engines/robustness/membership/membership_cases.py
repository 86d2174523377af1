"""Pools and evidence that the membership tests share; all of it fitted in milliseconds."""

import functools

import numpy as np

from strongroom.engines.robustness.membership.canaries import Whisperer, whispered
from strongroom.engines.robustness.membership.evidence import Evidence, gather
from strongroom.engines.robustness.membership.pool import Pool
from strongroom.engines.robustness.target import Target


@functools.cache
def planted(fits: int = 16, seed: int = 1) -> Evidence:
    """A whisperer, attacked by so many of its own kind."""
    pool, recipe = whispered(seed), Whisperer()
    model = recipe.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], seed)
    return gather(pool, Target(model, classes=2), recipe, fits=fits, seed=seed)


def small_pool(members: int = 30, others: int = 30, classes: int = 2, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    count = members + others
    places = np.arange(count, dtype=np.int64)
    truth = rng.integers(0, classes, count) if classes > 1 else rng.normal(size=count)
    return Pool(rng.normal(size=(count, 3)), truth, classes, places < members, places)
