"""Who brought the wrong numbers: each source of a regression's rows against all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.poisoning.numbers import FLAGGED
from strongroom.engines.robustness.poisoning.sources import LEAST_ROWS, MOST_RATIO, MOST_SOURCES
from strongroom.engines.robustness.poisoning.table import Mask
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.target import Rows

Numbers = NDArray[np.float64]

_SURE = 0.05
_DRAWS = 2_000
_MOST_SHARE = 0.8
"""A source of more than that is the table: what is left says little of it."""
_FITS = 2
_MOST_HELD = 5_000


@dataclass(frozen=True, slots=True)
class NumberSource:
    """One source.

    Attributes:
        rows, suspects: how many it brought, and how many of them are suspect.
        rate, low, high: share of suspects with 95 % bounds.
        expected: how many of its numbers are wrong: the sum of their suspicion.
        ratio: of the expected share to that of all other rows (half a row is added to either).
        is_suspect: more of its rows are suspect than of the others', or its suspicions rank higher
            (Fisher's exact test; Mann & Whitney's), at 5 % over both and all sources (Bonferroni).
        gain, gain_low, gain_high: by what share the mean absolute error on rows that judge falls
            without it; the bounds hold over all sources together. None where it was not tried.
    """

    name: str
    rows: int
    suspects: int
    rate: float
    low: float
    high: float
    expected: float
    ratio: float
    is_suspect: bool
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether it has surely more suspects, and three times as many wrong numbers expected."""
        return self.is_suspect and self.ratio >= MOST_RATIO


def judge_number_sources(
    rows: Rows,
    numbers: Numbers,
    sources: Sequence[str],
    suspicion: Numbers,
    recipe: Recipe,
    seed: int,
    *,
    held: tuple[Rows, Numbers] | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[NumberSource]:
    """The largest sources, the worst first.

    Args:
        suspicion: of each row.
        recipe: of a regression, with which models are compared.
        held: rows that are trusted; without them, each source is judged by a third of the rows of
            the others.
    """
    names, places = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(places, minlength=len(names))
    chosen = np.argsort(-counts, kind="stable")[:MOST_SOURCES]
    chosen = chosen[counts[chosen] >= LEAST_ROWS]
    found = []
    for step, one in enumerate(chosen.tolist()):
        own = np.asarray(places == one)
        gains = _gain(rows, numbers, own, recipe, seed, held, len(chosen))
        found.append(judged(str(names[one]), own, suspicion, len(chosen), gains))
        progress((step + 1) / len(chosen))
    return sorted(found, key=lambda one: (not one.is_doubtful, -(one.gain_low or 0.0), -one.ratio))


def judged(
    name: str,
    own: Mask,
    suspicion: Numbers,
    sources: int,
    gains: tuple[float, float, float] | None = None,
) -> NumberSource:
    """One source.

    Args:
        own: its rows.
        sources: how many are judged together.
        gains: what leaving it out gains, with bounds.
    """
    suspects = suspicion >= FLAGGED
    hits, many = int(suspects[own].sum()), int(own.sum())
    rest, others = int(suspects[~own].sum()), int((~own).sum())
    test = stats.fisher_exact([[hits, many - hits], [rest, others - rest]], alternative="greater")
    ranked = stats.mannwhitneyu(suspicion[own], suspicion[~own], alternative="greater")
    sure = min(float(test.pvalue), float(ranked.pvalue)) < _SURE / sources / 2
    expected, elsewhere = float(suspicion[own].sum()), float(suspicion[~own].sum())
    ratio = (expected + 0.5) / (many + 1) / ((elsewhere + 0.5) / (others + 1))
    return NumberSource(
        name, many, hits, hits / many, *clopper_pearson(hits, many), expected, ratio, sure,
        *(gains or (None, None, None)),
    )  # fmt: skip


def _gain(
    rows: Rows, numbers: Numbers, own: Mask, recipe: Recipe, seed: int,
    held: tuple[Rows, Numbers] | None, sources: int,
) -> tuple[float, float, float] | None:  # fmt: skip
    """What leaving the source out gains, with bounds of a paired bootstrap over rows that judge."""
    rng = np.random.default_rng(seed)
    others = rng.permutation(np.flatnonzero(~own))
    if len(others) < 3 * LEAST_ROWS or own.mean() > _MOST_SHARE:
        return None
    if held is None:
        judges, learned = others[: len(others) // 3][:_MOST_HELD], others[len(others) // 3 :]
        held = rows[judges], numbers[judges]
    else:
        learned = others
    errors = []
    for some in (np.concatenate([learned, np.flatnonzero(own)]), learned):
        said = np.mean(
            [recipe.fit(rows[some], numbers[some], seed + one)(held[0])[:, 0]
             for one in range(_FITS)], axis=0,
        )  # fmt: skip
        errors.append(np.abs(said - held[1]))
    drawn = rng.integers(len(held[1]), size=(_DRAWS, len(held[1])))
    before, after = (one[drawn].mean(axis=1) for one in errors)
    shares = 1 - after / np.maximum(before, 1e-300)
    tail = _SURE / sources / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    mean = 1 - float(errors[1].mean()) / max(float(errors[0].mean()), 1e-300)
    return mean, float(low), float(high)
