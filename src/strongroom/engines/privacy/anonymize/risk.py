"""How likely somebody in a table is found: three intruders, and estimates for a population.

- The *prosecutor* knows that a person is in the table: one over the size of their group.
- The *journalist* knows it of nobody and looks in the population: one over the people of the
  population in a group; where there is no population table, over the size in the table.
- The *marketer* wants as many as possible: the share that a guess in each group hits.

Sources: El Emam & Dankar 2008 (risks); Hoshino 2001 (Pitman); Zayatz 1991; Chen & Keller-McNulty
1998 (slide negative binomial); Dankar, El Emam, Neisa & Roffey 2012 (which estimate to take).
"""

import math
from dataclasses import dataclass

import numpy as np

from strongroom.engines.privacy.anonymize.hierarchy import Codes
from strongroom.engines.privacy.discover.population import population_share
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Risk:
    """Risks of re-identification, each in [0, 1].

    Attributes:
        rows: that are in a group at all.
        smallest: rows of the smallest group.
        highest: prosecutor's success for the person most at risk.
        average: prosecutor's success on average; also the marketer's share.
        at_risk: share of rows in groups below k.
        unique: share of rows that stand alone.
        journalist_highest, journalist_average: against the population, where there is one.
    """

    rows: int
    groups: int
    smallest: int
    highest: float
    average: float
    at_risk: float
    unique: float
    journalist_highest: float
    journalist_average: float


def risk_of(group: Codes, k: int, population: Codes | None = None) -> Risk:
    """Risks of a table whose rows are in groups; -1 is suppressed.

    Args:
        population: people of the population in each group.
    """
    inside = group[group >= 0]
    sizes = np.bincount(inside)
    there = sizes > 0
    found = sizes[there]
    rows = int(found.sum())
    if not rows:
        return Risk(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    people = found if population is None else np.maximum(population[: len(sizes)][there], found)
    return Risk(
        rows=rows,
        groups=len(found),
        smallest=int(found.min()),
        highest=1.0 / int(found.min()),
        average=len(found) / rows,
        at_risk=float(found[found < k].sum()) / rows,
        unique=float(np.count_nonzero(found == 1)) / rows,
        journalist_highest=1.0 / int(people.min()),
        journalist_average=float((found / people).sum()) / rows,
    )


@dataclass(frozen=True, slots=True)
class PopulationEstimate:
    """Share of a sample's rows that are alone in the population too, by several models.

    Attributes:
        sampled: share of the population that the table is.
        chosen: the one that the rule of Dankar et al. takes.
    """

    sampled: float
    unique_in_sample: float
    pitman: float
    zayatz: float
    slide_negative_binomial: float
    chosen: str


def population_uniques(group: Codes, population: int) -> PopulationEstimate:
    """Estimates from the group sizes of a sample.

    Args:
        group: group of each row; -1 is left out.
        population: people that the rows were drawn from at random, at least as many.
    Raises: ValidationError: the population is smaller than the table.
    """
    sizes = np.bincount(group[group >= 0])
    sizes = sizes[sizes > 0].astype(np.int64)
    rows = int(sizes.sum())
    if population < rows:
        raise ValidationError(f"a population of {population} is smaller than the {rows} rows")
    sampled = rows / population if population else 1.0
    alone = float(np.count_nonzero(sizes == 1)) / max(rows, 1)
    if sampled >= 1.0 or not rows or alone == 0.0:
        return PopulationEstimate(sampled, alone, alone, alone, alone, "exact")
    pitman = population_share(sizes, population)
    zayatz = _zayatz(sizes, population)
    slide = _slide(sizes, population)
    # The rule: up to a tenth of the population Pitman's estimate, where it did not fail, else
    # Zayatz; beyond it the smaller of Zayatz and the slide negative binomial.
    if sampled <= 0.1:
        chosen = "pitman" if pitman > 0 else "zayatz"
    else:
        chosen = "slide_negative_binomial" if slide < zayatz else "zayatz"
    return PopulationEstimate(sampled, alone, pitman, zayatz, slide, chosen)


def _zayatz(sizes: Codes, population: int) -> float:
    """The sample's group sizes taken for the population's: who is alone in a draw of them?"""
    rows = int(sizes.sum())
    counts = np.bincount(sizes)
    occurring = np.flatnonzero(counts)
    share = counts[occurring] / len(sizes)
    # Of a group of i people exactly one is drawn: hypergeometric.
    logs = np.array([
        math.log(i) + _choose(population - i, rows - 1) - _choose(population, rows)
        for i in occurring.tolist()
    ])  # fmt: skip
    once = np.exp(logs)
    seen_alone = float(share @ once)
    unique_too = float(share[occurring == 1] @ once[occurring == 1]) / seen_alone
    return float(counts[1]) / rows * min(unique_too, 1.0)


def _choose(n: int, k: int) -> float:
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _slide(sizes: Codes, population: int) -> float:
    """Group sizes less one are negative binomial; its three parameters by moments.

    With F - 1 ~ NB(a, p) over K groups and each person drawn with probability f, the generating
    function of F is x G(x) with G(x) = (p / (1 - (1 - p) x))^a. The expected people, groups seen
    and groups seen once give K, a and p.
    """
    from scipy.optimize import least_squares  # slow to import, and only asked for a population

    rows, groups = int(sizes.sum()), len(sizes)
    once = int(np.count_nonzero(sizes == 1))
    f = rows / population
    x = 1.0 - f

    def expected(parameters: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[float]:
        count, a = math.exp(parameters[0]), math.exp(parameters[1])
        p = 1.0 / (1.0 + math.exp(-parameters[2]))
        inner = 1.0 - (1.0 - p) * x
        g = math.exp(a * (math.log(p) - math.log(inner)))
        people = count * (a * (1.0 - p) / p + 1.0)
        seen = count * (1.0 - x * g)
        alone = count * f * (g + x * g * a * (1.0 - p) / inner)
        return [math.log(people / population), math.log(seen / groups), math.log(alone / once)]

    fitted = least_squares(
        expected, [math.log(groups * 1.5), 0.0, 0.0], bounds=([-50] * 3, [50] * 3)
    )
    count, a = math.exp(fitted.x[0]), math.exp(fitted.x[1])
    p = 1.0 / (1.0 + math.exp(-fitted.x[2]))
    uniques = count * p**a
    # A person alone in the population is in the sample with probability f, and alone there.
    return min(float(uniques) * f / rows, once / rows)
