"""Membership from labels alone: a row the model was trained on keeps its label under more noise.

Choquette-Choo et al., "Label-only membership inference attacks", 2021, section 5: how far the
boundary lies, measured by how many noisy copies of a row are still labelled right. One size of
noise would have to be chosen for each model, so here are several, from hardly any to most of a
range.
"""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.membership.signals import Signal
from strongroom.engines.robustness.sampling import freed, jittered
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Target

SCALES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Standard deviations of the noise, in parts of a feature's range."""
COPIES = 6
"""Of a row at each scale."""
QUERIES = 1 + COPIES * len(SCALES)
"""Rows asked for one row."""


def robustness(
    target: Target, space: Space, rows: Rows, truth: Labels, rng: np.random.Generator,
    progress: Callable[[float], None] | None = None,
) -> Signal:  # fmt: skip
    """The share of noisy copies that are labelled right, plus 1 where the row itself is.

    Args:
        rows, truth: (n, width) and (n,). `QUERIES` rows are asked for each.
    """
    free = freed(space)
    score: Signal = (target.labels(rows) == truth).astype(np.float64)
    rounds = [(scale, copy) for scale in SCALES for copy in range(COPIES)]
    for done, (scale, _) in enumerate(rounds):
        noisy = jittered(free, rows, scale, rng)
        score = score + (target.labels(noisy) == truth) / len(rounds)
        if progress is not None:
            progress((done + 1) / len(rounds))
    return score
