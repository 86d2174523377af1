"""How sure a share is that was counted."""

from scipy import stats


def clopper_pearson(hits: int, tries: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share of which `hits` of `tries` were counted; (0, 1) for no tries.

    They hold the true share with at least `confidence`, whatever it is. Source: Clopper & Pearson,
    "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.
    """
    if tries == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, tries - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, tries - hits)) if hits < tries else 1.0
    return low, high
