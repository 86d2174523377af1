"""What answers cost whose epsilons are chosen by earlier answers: rhos, added up.

Composing loss distributions is proven for costs that are fixed beforehand. An analyst who picks the
next epsilon by the last answer can get more out of it than the composition says (Regehr et al.
2026, arXiv 2602.15815). Rhos may be chosen as one goes: while their sum stays below a limit that
was set before, and the deltas of the approximate ones below another, all answers together are
as concentrated as these limits say (Whitehouse, Ramdas, Rogers & Wu 2023, arXiv 2203.05481).

Both limits are fixed: `SHARE` of the delta is for deltas of answers, the rest turns the sum of
rhos into an epsilon. To trade one for the other as one goes is not what was proven.
"""

import math

import numpy as np

from strongroom.engines.privacy.dp.losses import zcdp_delta

SHARE = 0.1
"""Of a delta, for the deltas that answers have of their own."""
_SPARE = 1e-9
"""By which sums are taken to be larger than they are, for their rounding."""
_LEAST_RHO = 1e-9
"""Less is counted as this much, where orders would be too large for doubles."""
_POINTS, _ROUNDS = 65, 5


def promise_of(kind: str, values: tuple[float, ...]) -> tuple[float, float]:
    """Rho and delta with which an event is delta-approximately rho-zCDP; infinite: with none.

    A pure epsilon is `epsilon**2 / 2` (Bun & Steinke 2016, proposition 1.4), and never more than
    epsilon, which no divergence exceeds. (epsilon, delta) is the same but for a chance of delta
    (Kairouz et al. 2015). Gaussian noise on a sample has no rho below that of the noise on all:
    its divergences grow like it at high orders. That one is no use, and it is counted as having
    none.
    """
    first, *rest = values
    match kind:
        case "zcdp":
            return first, 0.0
        case "gaussian":
            return 1 / (2 * first * first), 0.0
        case "pure":
            return _of_pure(first), 0.0
        case "laplace":
            return _of_pure(1 / first), 0.0
        case "geometric":
            return _of_pure(rest[0] / first), 0.0
        case "approximate":
            return _of_pure(first), rest[0]
        case _:
            return math.inf, 0.0


def _of_pure(epsilon: float) -> float:
    return min(epsilon * epsilon / 2, epsilon)


def adaptive_epsilon(rho: float, given: float, delta: float) -> float:
    """The least epsilon that answers keep at `delta`, whoever chose their costs.

    Args:
        rho: of all, added.
        given: their deltas, added.

    Returns: infinite, where rho is, or where the deltas are more than their share.
    """
    share = SHARE * delta
    if not math.isfinite(rho) or given > share * (1 + _SPARE):
        return math.inf
    if rho <= 0:
        return 0.0
    counted = max(rho * (1 + _SPARE), _LEAST_RHO)
    left = delta - max(given, share)
    # Bun & Steinke 2016, proposition 1.3; from there down to what the better curve promises.
    low, high = 0.0, counted + 2 * math.sqrt(counted * -math.log(left))
    for _ in range(_ROUNDS):
        tried = np.linspace(low, high, _POINTS)
        holding = np.flatnonzero(zcdp_delta(counted, tried) <= left)
        if not holding.size:
            break
        first = int(holding[0])
        low, high = float(tried[max(first - 1, 0)]), float(tried[first])
    return high
