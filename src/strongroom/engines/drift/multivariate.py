"""What changes between columns while each stays the same: from sums of products of scores.

Scores are ranks in the reference, so that one extreme value weighs little, and they are integers,
so that their sums merge exactly. All tests here need the state only.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import special

from strongroom.engines.drift.plan import HALF_RANK, Floats
from strongroom.engines.drift.significance import benjamini_hochberg
from strongroom.engines.drift.state import State

_KEPT_VARIANCE = 0.9
"""Share of the variance that the components of the reconstruction keep."""
_LEAST_ROWS = 50


@dataclass(frozen=True, slots=True)
class PairChange:
    """Two columns whose dependence changed: rank correlations, and the adjusted p-value."""

    first: str
    second: str
    reference: float
    current: float
    q_value: float


@dataclass(frozen=True, slots=True)
class Together:
    """The columns together.

    Attributes:
        location_p: of the centres of all columns being the same (Hotelling's T squared).
        distance: between the centres, in standard deviations along the line that parts them best.
        separability: area under the curve of the best linear domain classifier, in [0.5, 1].
        dependence_p: of all rank correlations being the same: the smallest adjusted p-value.
        pairs: that changed, the surest first.
        reconstruction: mean squared error of rows of the current sample, put together again from
            the reference's main components, over that of the reference and over what equal
            distributions give in samples of this size; about 1 where nothing changed.
        reconstruction_p: of a ratio as large between samples of one distribution.
    """

    columns: tuple[str, ...]
    location_p: float
    distance: float
    separability: float
    dependence_p: float
    pairs: tuple[PairChange, ...]
    reconstruction: float
    reconstruction_p: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Means and covariances of scores.

    Attributes:
        noise: variance of each covariance for the sums were rounded when they were written.
    """

    rows: int
    means: Floats
    covariance: Floats
    noise: float = 0.0


def moments(state: State) -> Moments:
    """Means and covariances of the paired columns; missing values count as middle ones."""
    paired = list(state.plan.paired)
    counts = state.counts[paired]
    sums = (counts * state.scores[:, : counts.shape[1]]).sum(axis=1)
    rows = state.rows
    # The same number, but where small counts were not written.
    counted = counts.sum(axis=1) + state.absent[paired]
    means = sums / np.maximum(counted, 1)
    covariance = state.products / max(rows, 1) - np.outer(means, means)
    minimum = state.plan.minimum_count
    files = state.hidden / (minimum - 1) if state.hidden else 0.0
    noise = files * (minimum * HALF_RANK**2 / max(rows, 1)) ** 2 / 12  # of a uniform error
    return Moments(rows, means, covariance, noise)


def together(
    reference: State, current: State, rate: float = 0.05, left_out: Collection[str] = ()
) -> Together | None:
    """Compare the columns together; None where fewer than two can be, or rows are too few.

    Args:
        rate: false discovery rate of the pairs that are listed.
        left_out: columns that are not looked at.
    """
    paired = list(reference.plan.paired)
    names = [reference.plan.columns[at].name for at in paired]
    a, b = moments(reference), moments(current)
    there = np.flatnonzero(
        np.array([name not in left_out for name in names], bool)
        & (np.diag(a.covariance) > 1e-9)
        & (np.diag(b.covariance) > 1e-9)
        & (reference.absent[paired] == 0)
        & (current.absent[paired] == 0)
    )
    if len(there) < 2 or min(a.rows, b.rows) < max(_LEAST_ROWS, 2 * len(there)):
        return None
    a, b = _part(a, there), _part(b, there)
    chosen = [names[at] for at in there]
    location_p, distance = hotelling(a, b)
    pairs, dependence_p = _pairs(a, b, chosen, rate)
    peaked = max(_kurtosis(reference, current, paired[at]) for at in there)
    return Together(
        tuple(chosen), location_p, distance, float(special.ndtr(distance / math.sqrt(2))),
        dependence_p, pairs, *reconstruction(a, b, peaked),
    )  # fmt: skip


def _part(whole: Moments, there: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Moments:
    covariance = whole.covariance[np.ix_(there, there)]
    return Moments(whole.rows, whole.means[there], covariance, whole.noise)


def hotelling(a: Moments, b: Moments) -> tuple[float, float]:
    """P-value of equal centres, and the Mahalanobis distance between them.

    Source: Hotelling 1931; the two-sample form in Anderson, "Multivariate Statistical Analysis",
    section 5.3, by the F distribution. By the central limit theorem also for scores.
    """
    degrees = a.rows + b.rows - 2
    pooled = (a.rows * a.covariance + b.rows * b.covariance) / degrees
    # Rounding may make a direction look narrower, at most about so much (Wigner 1958).
    widest = 2 * math.sqrt(len(pooled) * max(a.noise, b.noise))
    pooled += widest * np.eye(len(pooled))
    difference = b.means - a.means
    squared = max(float(difference @ np.linalg.pinv(pooled, hermitian=True) @ difference), 0.0)
    size = int(np.linalg.matrix_rank(pooled, hermitian=True))
    if not size or degrees <= size:
        return 1.0, 0.0
    t_squared = a.rows * b.rows / (a.rows + b.rows) * squared
    f = t_squared * (degrees - size + 1) / (degrees * size)
    return float(special.fdtrc(size, degrees - size + 1, f)), math.sqrt(squared)


def _pairs(
    a: Moments, b: Moments, names: list[str], rate: float
) -> tuple[tuple[PairChange, ...], float]:
    """Pairs whose rank correlation changed, and the smallest adjusted p-value of any.

    Fisher's z with the variance for rank correlations, (1 + r^2 / 2) / (n - 3).
    Source: Fisher 1921; Bonett & Wright, Psychometrika 65(1), 2000.
    """
    first, second = np.triu_indices(len(names), 1)
    r, s = _correlations(a)[first, second], _correlations(b)[first, second]
    variance = (1 + r**2 / 2) / (a.rows - 3) + (1 + s**2 / 2) / (b.rows - 3)
    for of, found in ((a, r), (b, s)):
        scale = np.diag(of.covariance)[first] * np.diag(of.covariance)[second]
        variance += of.noise / scale * (1 + found**2 / 2) / (1 - found**2) ** 2
    z = (np.arctanh(r) - np.arctanh(s)) / np.sqrt(variance)
    q = benjamini_hochberg(2 * special.ndtr(-np.abs(z)))
    order = np.argsort(q, kind="stable")
    changed = tuple(
        PairChange(names[first[at]], names[second[at]], float(r[at]), float(s[at]), float(q[at]))
        for at in order
        if q[at] <= rate
    )
    return changed, float(q.min())


def _correlations(of: Moments) -> Floats:
    scale = np.sqrt(np.diag(of.covariance))
    found: Floats = np.clip(of.covariance / np.outer(scale, scale), -0.999999, 0.999999)
    return found


def reconstruction_ratio(a: Moments, b: Moments) -> float:
    """Error of putting rows together from the reference's main components: current to reference.

    Columns are scaled to the reference's standard deviation. The mean squared error is a trace of
    the second moments, so that it needs no rows. Source: the reconstruction error of NannyML's
    multivariate detection and of Jolliffe, "Principal Component Analysis", section 10.1.
    """
    scale = np.sqrt(np.diag(a.covariance))
    values, vectors = np.linalg.eigh(a.covariance / np.outer(scale, scale))
    explained = np.cumsum(values[::-1]) / values.sum()
    keep = min(int(np.searchsorted(explained, _KEPT_VARIANCE)) + 1, len(values) - 1)
    left_out = vectors[:, : len(values) - keep]
    shift = (b.means - a.means) / scale
    second = b.covariance / np.outer(scale, scale) + np.outer(shift, shift)
    before = float(values[: len(values) - keep].sum())
    after = float(np.trace(left_out.T @ second @ left_out))
    # What rounding may have taken from one and given to the other, to four standard deviations.
    noise = np.sqrt([2 * left_out.shape[1] * one.noise for one in (a, b)]).sum() / scale.min() ** 2
    before += 4 * float(noise)
    return after / before if before > 1e-9 else 1.0


_LITTLE = 1.05
"""A ratio below it says nothing, whatever chance does."""
_DRAWS = 49
_KURTOSIS = 3.0
"""Of a normal distribution."""


def reconstruction(a: Moments, b: Moments, kurtosis: float) -> tuple[float, float]:
    """The ratio of `reconstruction_ratio` over what chance makes of it, and its p-value.

    Components fit the rows that they were found in better than any others: in small samples of
    many columns several times better. So pairs of covariances are drawn as equal normal
    distributions give them (Wishart 1928; the drawing is Bartlett's, 1933), and the logarithm of
    the ratio is compared with theirs.

    Args:
        kurtosis: of the column with the rarest values; above that of a normal distribution a
            covariance scatters as in so many fewer rows.
    """
    ratio, size = reconstruction_ratio(a, b), len(a.means)
    if ratio < _LITTLE:
        return ratio, 1.0
    weight = min((_KURTOSIS - 1) / (kurtosis - 1), 1.0) if kurtosis > 1 else 1.0
    rows = a.rows * weight, b.rows * weight
    root = math.sqrt(size / min(rows))
    # No direction is narrower or wider than this by chance (Marchenko & Pastur 1967).
    if root < 0.5 and ratio > 2 * ((1 + root) / (1 - root)) ** 2:
        return ratio, 0.0
    if min(rows) <= size + 1:
        return ratio, 1.0  # so few rows tell nothing of so many columns
    half = _half(a, b, sum(rows))
    random = np.random.Generator(np.random.PCG64(0))
    drawn = np.log([
        reconstruction_ratio(_drawn(random, half, rows[0]), _drawn(random, half, rows[1]))
        for _ in range(_DRAWS)
    ])  # fmt: skip
    expected, spread = float(drawn.mean()), float(drawn.std(ddof=1))
    z = (math.log(ratio) - expected) / max(spread, 1e-6)
    return ratio / math.exp(expected), float(special.ndtr(-z))


def _half(a: Moments, b: Moments, rows: float) -> Floats:
    """A root of the correlations of both samples, of which chance has been taken.

    The eigenvalues of a sample lie further apart than the true ones, and are drawn together.
    Source: Ledoit & Wolf, J. of Multivariate Analysis 88, 2004, with the variance of normal rows.
    """
    pooled = (a.rows * a.covariance + b.rows * b.covariance) / (a.rows + b.rows)
    scale = np.sqrt(np.diag(pooled))
    values, vectors = np.linalg.eigh(pooled / np.outer(scale, scale))
    squares, size = float(values @ values), len(values)
    apart = squares - size  # correlations have a mean eigenvalue of 1
    weight = min((squares + size**2) / rows / apart, 1.0) if apart > 0 else 1.0
    half: Floats = vectors * np.sqrt(weight + (1 - weight) * np.maximum(values, 0.0))
    return half


def _drawn(random: np.random.Generator, half: Floats, rows: float) -> Moments:
    """Moments of `rows` normal rows whose covariance is `half` times its transpose."""
    size = len(half)
    triangle = np.tril(random.standard_normal((size, size)), -1)
    triangle += np.diag(np.sqrt(random.chisquare(rows - 1 - np.arange(size))))
    root = half @ triangle
    means = half @ random.standard_normal(size) / math.sqrt(rows)
    return Moments(round(rows), means, root @ root.T / rows)


def _kurtosis(reference: State, current: State, at: int) -> float:
    """Fourth moment over the squared second of a column's scores in both samples."""
    counts = reference.counts[at] + current.counts[at]
    scores = reference.scores[reference.plan.paired.index(at), : len(counts)]
    shares = counts / max(int(counts.sum()), 1)
    away = scores - shares @ scores
    variance = float(shares @ away**2)
    return float(shares @ away**4) / variance**2 if variance > 0 else _KURTOSIS


@dataclass(frozen=True, slots=True)
class Mover:
    """A column that moved the prediction.

    Attributes:
        weight: change of the prediction's mean score for one standard deviation of the column,
            all others the same, in the prediction's standard deviations.
        moved: how far the column's mean score went, in standard deviations.
        share: of the prediction's change that this column explains; signed, in the prediction's
            standard deviations.
    """

    name: str
    weight: float
    moved: float
    share: float


def movers(
    reference: State, current: State, prediction: str, left_out: Collection[str] = ()
) -> tuple[Mover, ...]:
    """Which columns moved the prediction, by a linear model of the reference's scores.

    The weights are those of least squares; times how far each column moved they add up to the
    change that the model expects of the prediction. Empty where the
    prediction is not paired.

    Args:
        left_out: columns that are no inputs.
    """
    names = [reference.plan.columns[at].name for at in reference.plan.paired]
    if prediction not in names:
        return ()
    a, b = moments(reference), moments(current)
    target = names.index(prediction)
    scale = np.sqrt(np.maximum(np.diag(a.covariance), 0.0))
    inputs = [
        at
        for at, name in enumerate(names)
        if at != target and name not in left_out and scale[at] > 1e-6
    ]
    if scale[target] <= 1e-6 or not inputs or not b.rows:
        return ()
    covariance = a.covariance[np.ix_(inputs, inputs)] / np.outer(scale[inputs], scale[inputs])
    towards = a.covariance[inputs, target] / (scale[inputs] * scale[target])
    weights = np.linalg.pinv(covariance, rcond=1e-6, hermitian=True) @ towards
    moved = (b.means - a.means)[inputs] / scale[inputs]
    found = [
        Mover(names[at], float(weight), float(step), float(weight * step))
        for at, weight, step in zip(inputs, weights, moved, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.share)))
