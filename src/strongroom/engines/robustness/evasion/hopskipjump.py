"""HopSkipJump: the nearest wrong answer by labels alone, for all rows at once.

Source: Chen, Jordan & Wainwright, "HopSkipJumpAttack: a query-efficient decision-based attack",
2020, algorithm 2. Where it differs: all rows go through each step together, so that the model is
asked in large batches; a row starts at the nearest row of other answer that the attacker holds,
where there are any.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers, Places, pieces
from strongroom.engines.robustness.target import QueriesSpent, Rows

_STARTS = 8
"""Rows of the pool that are tried for each row under attack."""
_POOL, _POOL_EACH = 1_000, 50
"""Rows of the pool that are asked about, at most and for each row under attack."""
_DRAWS = 100
"""Uniform points that are tried where the pool has none (the paper's experiments: up to 10,000)."""
_HALVINGS = 12
"""Of a step that leads out of the wrong answer; smaller ones gain nothing."""


@dataclass(frozen=True, slots=True)
class Jumps:
    """How much is asked.

    Attributes:
        rounds: of estimating, stepping and searching back.
        first: queries of the first estimate, growing with the root of the round. The paper takes
            100, for images; with 30 to 64 features 25 asks a third and reaches distances 5 % longer
            (docs/robustness-evasion.md).
        precision: to which distances are searched, as a share of them.
    """

    rounds: int = 10
    first: int = 25
    precision: float = 1e-3


def hopskipjump(
    hunt: Hunt,
    rng: np.random.Generator,
    *,
    pool: Rows | None = None,
    jumps: Jumps = Jumps(),
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Bring each open row of a hunt nearer to its origin; ends early when the queries are spent.

    Args:
        pool: points of any answer that the attacker holds.
    """
    try:
        start(hunt, rng, pool)
        which = hunt.open()[np.isfinite(hunt.distances[hunt.open()])]
        if not len(which):
            return
        edge = back(hunt, hunt.best[which].copy(), which, jumps.precision)
        for turn in range(1, jumps.rounds + 1):
            edge = _jump(hunt, edge, which, turn, jumps, rng)
            progress(turn / jumps.rounds)
    except QueriesSpent:
        return


def start(hunt: Hunt, rng: np.random.Generator, pool: Rows | None) -> None:
    """Find any wrong answer for rows that have none: near ones of the pool, or drawn at random."""
    which = hunt.open()[np.isinf(hunt.distances[hunt.open()])]
    if pool is not None and len(pool) and len(which):
        pool = pool[rng.permutation(len(pool))[: min(_POOL, _POOL_EACH * len(which))]]
        answers = hunt.target.labels(pool)
        for label in np.unique(hunt.labels[which]):
            own = which[hunt.labels[which] == label]
            others = pool[answers != label]
            if len(others):
                hunt.wrong(others[_nearest(hunt.origins[own], others)], own)
    for _ in range(_DRAWS):
        which = which[np.isinf(hunt.distances[which])]
        if not len(which):
            return
        low, high = hunt.low[which, None], hunt.high[which, None]
        hunt.wrong(low + (high - low) * rng.random((len(which), 1, low.shape[2])), which)


def back(hunt: Hunt, points: Rows, which: Places, precision: float) -> Rows:
    """Bisect between origins and wrong points, all rows at once; returns wrong ones at the edge.

    In L2 along the line, in Linf by clipping the move (the paper's projections, section 3.1).
    """
    origins = hunt.origins[which]
    moves = points - origins
    reach = np.ones(len(which)) if hunt.norm == "l2" else hunt.lengths(points[:, None], which)[:, 0]
    low, high = np.zeros(len(which)), reach.copy()
    edge = points.copy()
    for _ in range(max(1, int(np.ceil(-np.log2(precision))))):
        middle = (low + high) / 2
        tried = (
            origins + middle[:, None] * moves
            if hunt.norm == "l2"
            else origins + np.clip(moves, -middle[:, None], middle[:, None])
        )[:, None]
        is_wrong = hunt.wrong(tried, which)[:, 0]
        edge[is_wrong] = tried[is_wrong, 0]
        high = np.where(is_wrong, middle, high)
        low = np.where(is_wrong, low, middle)
    return edge


def _jump(
    hunt: Hunt, edge: Rows, which: Places, turn: int, jumps: Jumps, rng: np.random.Generator
) -> Rows:
    width = edge.shape[1]
    distances = hunt.lengths(edge[:, None], which)[:, 0]
    # The size of a probe, section 3.2 of the paper: the precision of the edge times a power of the
    # width, and a tenth of the range at first.
    probe = np.full(len(which), 0.1) if turn == 1 else np.sqrt(width) * jumps.precision * distances
    normal = _normal(hunt, edge, which, probe, int(jumps.first * np.sqrt(turn)), rng)
    step = distances / np.sqrt(turn)
    landed, pending = edge.copy(), np.arange(len(which))
    for _ in range(_HALVINGS):
        tried = (edge[pending] + step[pending, None] * normal[pending])[:, None]
        is_wrong = hunt.wrong(tried, which[pending])[:, 0]
        landed[pending[is_wrong]] = tried[is_wrong, 0]
        pending = pending[~is_wrong]
        step[pending] /= 2
        if not len(pending):
            break
    return back(hunt, landed, which, jumps.precision)


def _normal(
    hunt: Hunt, edge: Rows, which: Places, probe: Numbers, tries: int, rng: np.random.Generator
) -> Rows:
    """Directions into the wrong answer: Monte Carlo with a baseline (equations 9 and 16)."""
    width = edge.shape[1]
    total, signed, plus, made = (
        np.zeros_like(edge), np.zeros_like(edge), np.zeros(len(which)), 0
    )  # fmt: skip
    for portion in pieces(tries, len(which) * width):
        noise = _noise((len(which), portion, width), rng)
        points = edge[:, None] + probe[:, None, None] * noise
        answers = np.where(hunt.wrong(points, which, is_kept=False), 1.0, -1.0)
        points -= edge[:, None]
        signed += np.matmul(answers[:, None], points)[:, 0]
        total += points.sum(axis=1)
        plus += answers.sum(axis=1)
        made += portion
    mean = plus / made
    normal = signed - mean[:, None] * total
    # All probes alike: the edge is far on that side, and the mean of the probes is all there is.
    is_flat = np.abs(mean) == 1
    normal[is_flat] = mean[is_flat, None] * total[is_flat]
    if hunt.norm == "linf":
        return np.asarray(np.sign(normal))
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))


def _noise(shape: tuple[int, int, int], rng: np.random.Generator) -> Rows:
    noise = rng.standard_normal(shape)
    noise /= np.sqrt(np.einsum("nmw,nmw->nm", noise, noise))[:, :, None]
    return noise


def _nearest(origins: Rows, others: Rows) -> Places:
    """Of each origin the places of its nearest others, (origins, at most `_STARTS`)."""
    squares = (others**2).sum(axis=1)[None] - 2 * origins @ others.T
    count = min(_STARTS, len(others))
    if count == len(others):
        return np.tile(np.arange(count), (len(origins), 1))
    return np.argpartition(squares, count, axis=1)[:, :count]
