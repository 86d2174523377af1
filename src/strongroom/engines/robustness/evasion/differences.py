"""Slopes of a model that shows scores, by asking on both sides of each number.

Source: Chen, Zhang, Sharma, Yi & Hsieh, "ZOO: zeroth order optimization based black-box attacks to
deep neural networks without training substitute models", 2017, equation 6. Where it differs: all
numbers of all rows at once, and steps to the linearised edge (`stepping.to_edge`) in place of
coordinate descent by Adam, which needs thousands of queries.
"""

import numpy as np

from strongroom.engines.robustness.evasion.hunt import PIECE, Hunt, Numbers, Places
from strongroom.engines.robustness.evasion.stepping import Slopes
from strongroom.engines.robustness.target import Rows

_WIDTHS = (0.005, 0.03, 0.15)
"""To each side, shares of the range: wider where the model answers alike on both sides (trees)."""


def estimated(hunt: Hunt) -> Slopes:
    """Slopes of the target of a hunt; costs two queries a mutable number, and one, a row.

    Levels of categories have slope 0: between them nothing can be asked.
    """
    numbers = [
        hunt.space.places[one.name].start for one in hunt.space.features if not one.levels
    ]  # fmt: skip
    free = np.array(
        [place for place in numbers if (hunt.high[:, place] > hunt.low[:, place]).any()], dtype=int
    )

    def slopes(points: Rows, which: Places) -> tuple[Numbers, Rows]:
        margins = hunt.margins(points[:, None].copy(), which)[:, 0]
        found = np.zeros_like(points)
        flat = np.arange(len(points))
        for width in _WIDTHS:
            columns = max(1, PIECE // (2 * points.shape[1]))
            for some in np.split(free, np.arange(columns, len(free), columns)):
                rows = max(1, PIECE // (2 * max(len(some), 1) * points.shape[1]))
                for start in range(0, len(flat), rows):
                    at = flat[start : start + rows]
                    found[np.ix_(at, some)] = _quotients(hunt, points[at], which[at], some, width)
            flat = flat[~found[flat].any(axis=1)]
            if not len(flat):
                break
        return margins, found

    return slopes


def _quotients(hunt: Hunt, points: Rows, which: Places, free: Places, width: float) -> Numbers:
    count = len(free)
    asked = np.repeat(points[:, None], 2 * count, axis=1)
    at = np.arange(count)
    asked[:, at, free] += width
    asked[:, count + at, free] -= width
    margins = hunt.margins(asked, which)  # moves what leaves the bounds back onto them
    run = asked[:, at, free] - asked[:, count + at, free]
    rise = margins[:, :count] - margins[:, count:]
    usable = np.isfinite(rise) & (run > 1e-9)
    return np.divide(rise, run, out=np.zeros_like(rise), where=usable)
