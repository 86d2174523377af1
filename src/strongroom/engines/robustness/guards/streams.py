"""Streams of queries, honest and not, to measure what a monitor sees of them."""

import numpy as np

from strongroom.engines.robustness import sampling
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, QueriesSpent, Rows, Scores, Target

_HALVINGS = 8


def natural(rows: Rows, length: int, repeats: float, rng: np.random.Generator) -> Rows:
    """Natural rows in the order of chance, some of them asked again."""
    order = np.resize(rng.permutation(len(rows)), length)
    for place in np.flatnonzero(rng.random(length) < repeats):
        order[place] = order[int(rng.random() * place)] if place else order[0]
    return rows[order]


def lines(
    predict: Predict, space: Space, rows: Rows, length: int, rng: np.random.Generator
) -> Rows:
    """Bisections between natural rows of different answers: queries where they teach most.

    Where all rows have one answer there is no edge to search, and these are mixed rows.
    """
    labels = predict(rows).argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return sampling.mixed(space, rows, length, rng)
    first = rng.integers(len(rows), size=-(-length // (_HALVINGS + 2)))
    second = np.array([rng.choice(np.flatnonzero(labels != labels[one])) for one in first])
    low, high = rows[first].copy(), rows[second].copy()
    steps = [low.copy(), high.copy()]
    for _ in range(_HALVINGS):
        middle = space.project((low + high) / 2, rows[first])
        steps.append(middle)
        is_first = predict(middle).argmax(axis=1) == labels[first]
        low[is_first], high[~is_first] = middle[is_first], middle[~is_first]
    return np.stack(steps, axis=1).reshape(-1, rows.shape[1])[:length]


def decisions(
    predict: Predict, classes: int, space: Space, victim: Rows, pool: Rows, length: int, seed: int
) -> Rows:
    """What HopSkipJump asks to change the answer of one row.

    Args:
        victim: (1, width).
        pool: rows that the attacker starts from.
    """
    asked: list[Rows] = []

    def overheard(rows: Rows) -> Scores:
        asked.append(rows.copy())
        return predict(rows)

    label = np.asarray(predict(victim).argmax(axis=1), dtype=np.int64)
    target = Target(overheard, classes=classes, budget=max(length, 1 + len(pool)))
    try:
        hunt = Hunt(target, space, victim, label)
        hopskipjump(hunt, np.random.default_rng(seed), pool=pool, jumps=Jumps(rounds=50))
    except QueriesSpent:
        pass
    return np.concatenate(asked)[:length]


def stretched(rows: Rows, cover: Rows, share: float, rng: np.random.Generator) -> Rows:
    """An attack's queries with natural ones between them, by who knows that streams are watched.

    Args:
        share: of natural queries, in [0, 1).
    """
    length = int(len(rows) / (1 - share))
    made = cover[rng.integers(len(cover), size=length)]
    places = np.sort(rng.permutation(length)[: len(rows)])
    made[places] = rows[: len(places)]
    return made
