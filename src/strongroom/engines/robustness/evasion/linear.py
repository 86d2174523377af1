"""The exact distance to another answer, where answers are linear, within ranges and directions.

The shortest move that gains `need` along `slope` spends the same multiplier on every coordinate
until that one's room ends: water filling, solved by sorting the ends. In L2 the move of a
coordinate is the multiplier times its slope (the conditions of Karush, Kuhn and Tucker of the
projection onto a half-space within a box), in Linf the multiplier itself.
"""

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Norm, Numbers, length
from strongroom.engines.robustness.target import Labels, Rows


def shortest(
    need: Numbers, slopes: Rows, origins: Rows, low: Rows, high: Rows, norm: Norm
) -> tuple[Rows, Numbers]:
    """The shortest moves m within the bounds with `slopes` . m >= `need`, and their lengths.

    Args:
        need: (rows,); nothing is moved where it is 0 or less.
        slopes, origins, low, high: (rows, width).

    Returns: moves (rows, width), as far as the bounds allow; lengths (rows,), infinite where the
        bounds do not allow enough.
    """
    steep = np.abs(slopes)
    room = np.where(slopes > 0, high - origins, origins - low) * (steep > 0)
    pace = steep if norm == "l2" else (steep > 0).astype(np.float64)
    ends = np.divide(room, pace, out=np.zeros_like(room), where=pace > 0)
    order = np.argsort(ends, axis=1)
    sorted_ends = np.take_along_axis(ends, order, axis=1)
    full = np.cumsum(np.take_along_axis(steep * room, order, axis=1), axis=1)
    rate = np.take_along_axis(steep * pace, order, axis=1)
    behind = np.cumsum(rate[:, ::-1], axis=1)[:, ::-1]
    gained = full + sorted_ends * (behind - rate)
    goal = np.maximum(need, 0.0)
    enough = gained >= goal[:, None] * (1 - 1e-12)
    first = enough.argmax(axis=1)
    at = np.arange(len(need))
    before = np.where(first > 0, full[at, np.maximum(first - 1, 0)], 0.0)
    multiplier = (goal - before) / np.maximum(behind[at, first], 1e-300)
    possible = enough.any(axis=1)
    multiplier = np.where(possible, multiplier, np.inf)
    paid = np.multiply(multiplier[:, None], pace, out=np.zeros_like(pace), where=pace > 0)
    moves = np.sign(slopes) * np.minimum(paid, room)
    return moves, np.where(possible, length(moves, norm), np.inf)


def nearest(
    weights: Rows,
    bias: Numbers,
    origins: Rows,
    labels: Labels,
    low: Rows,
    high: Rows,
    norm: Norm,
) -> tuple[Rows, Numbers]:
    """The nearest points at the edge of a linear classifier, and their exact distances.

    Args:
        weights: (classes, width); the answer is the class with the largest `weights` . x + `bias`.
        origins, labels: rows and their right classes; distance 0 where the answer is another.
        low, high: where each row may go (`Hunt.low`, `Hunt.high`).
    """
    scores = origins @ weights.T + bias
    best, shortest_of = origins.copy(), np.full(len(origins), np.inf)
    at = np.arange(len(origins))
    for rival in range(len(weights)):
        need = scores[at, labels] - scores[:, rival]
        slopes = weights[rival] - weights[labels]
        moves, lengths = shortest(need, slopes, origins, low, high, norm)
        is_nearer = (rival != labels) & (lengths < shortest_of)
        best[is_nearer] = (origins + moves)[is_nearer]
        shortest_of[is_nearer] = lengths[is_nearer]
    return best, shortest_of
