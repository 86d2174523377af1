"""Synthetic tables by noisy counts along a tree: MST, with mbi; the extra `synthetic`.

McKenna, Miklau & Sheldon 2021, "Winning the NIST Contest": all columns are counted one by one; a
tree of pairs is chosen, each edge by the exponential mechanism among those pairs that the counts so
far explain worst; the pairs of the tree are counted; a graphical model is fitted to all counts
(McKenna, Sheldon & Miklau 2019) and rows are drawn from it. Each part takes a third of rho. Counts
get OpenDP's discrete Gaussian noise, edges are chosen by OpenDP's exponential mechanism.

The paper's merging of rare values is left out: domains here are declared, and small.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.synthetic.columns import (
    Places,
    decoded,
    features_of,
    placed,
    size_of,
)
from strongroom.engines.privacy.dp.training.contributions import check_rows_each, kept_rows
from strongroom.engines.privacy.dp.training.domain import Domain, Feature
from strongroom.engines.privacy.dp.training.noise import gaussian, rho_for
from strongroom.errors import MissingExtraError, ValidationError

MAX_COLUMNS = 60
MAX_CELLS = 1 << 20
"""Of a pair of columns."""
MAX_SPREAD = 100_000
"""Of the noise on a count: with more, rows would be made up of nothing, and any number of them."""
_ITERATIONS = 300

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A made-up table, and what it cost.

    Attributes:
        tree: the pairs of columns whose counts were asked for.
    """

    table: pa.Table
    cost: Cost
    rho: float
    tree: tuple[tuple[str, str], ...]


def synthesize(
    table: pa.Table, domain: Domain, epsilon: float, delta: float,
    *, subject: str = "", rows_each: int = 1, generator: np.random.Generator,
) -> Synthetic:  # fmt: skip
    """Make up a table that keeps (epsilon, delta) for each person.

    Args:
        domain: bounds and categories as publicly known; the target is a column like any other.
        generator: draws rows of persons with many, and numbers within bins; no noise.

    Raises:
        MissingExtraError: mbi is not installed.
        ValidationError: as `check`, and where the table has not the columns of the domain.
    """
    mbi = _mbi()
    rho = rho_for(epsilon, delta)
    features = _checked(domain, rho, rows_each)
    places = placed(table, features, subject)
    if places.subjects is not None:
        places = places.take(kept_rows(places.subjects, rows_each, generator))
    model, tree = _fitted(mbi, places, rho, rows_each)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = model.synthetic_data()
    codes = [np.asarray(drawn.data[str(at)], np.int64) for at in range(len(places.sizes))]
    order = generator.permutation(len(codes[0]))
    made = decoded([one[order] for one in codes], features, generator)
    names = [feature.name for feature in features]
    return Synthetic(
        made, Cost.zcdp(rho), rho, tuple((names[one], names[two]) for one, two in tree)
    )


def price(epsilon: float, delta: float) -> Cost:
    """What a made-up table costs. Raises: ValidationError, for numbers out of range."""
    return Cost.zcdp(rho_for(epsilon, delta))


def check(domain: Domain, epsilon: float, delta: float, rows_each: int) -> None:
    """Find whatever could be wrong with a wish, without a row.

    Raises:
        ValidationError: for numbers out of range, too many columns or categories, and noise that
            would drown whatever is there.
    """
    _checked(domain, rho_for(epsilon, delta), rows_each)


def require_extra() -> None:
    """Look whether mbi is installed, without loading it. Raises: MissingExtraError."""
    if find_spec("mbi") is None:
        raise _missing()


def spreads(columns: int, rho: float, rows_each: int) -> tuple[float, float]:
    """Standard deviations of the noise on counts of columns, and on counts of pairs."""
    return _spread(rho / 3 / columns, rows_each), _spread(rho / 3 / (columns - 1), rows_each)


def _checked(domain: Domain, rho: float, rows_each: int) -> tuple[Feature, ...]:
    """The columns, where a table of them can be made."""
    check_rows_each(rows_each)
    features = features_of(domain)
    if not 2 <= len(features) <= MAX_COLUMNS:  # a tree needs an edge
        raise ValidationError(f"a synthetic table has 2 to {MAX_COLUMNS} columns")
    if max(a * b for a, b in combinations(map(size_of, features), 2)) > MAX_CELLS:
        raise ValidationError(
            f"a pair of columns has more than {MAX_CELLS:,} cells",
            next_step="declare fewer values for the largest columns",
        )
    if max(spreads(len(features), rho, rows_each)) > MAX_SPREAD:
        raise ValidationError(
            f"the noise of each count would be more than {MAX_SPREAD:,} rows",
            next_step="spend more epsilon, or let each person contribute fewer rows",
        )
    return features


def _spread(share: float, rows_each: int) -> float:
    return rows_each / math.sqrt(2 * share)


def _mbi() -> Any:  # noqa: ANN401 # an optional library
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mbi
    except ImportError:
        raise _missing() from None
    return mbi


def _missing() -> MissingExtraError:
    return MissingExtraError("synthetic tables need mbi", next_step="install strongroom[synthetic]")


def _fitted(
    mbi: Any,  # noqa: ANN401 # an optional library
    places: Places,
    rho: float,
    each: int,
) -> tuple[Any, list[Edge]]:
    """The model of all noisy counts, and the tree."""
    third = rho / 3
    alone = [(at,) for at in range(len(places.sizes))]
    ones = _counted(mbi, places, alone, third, each)
    shares = [_shares(np.asarray(one.noisy_measurement)) for one in ones]
    total = float(np.mean([np.asarray(one.noisy_measurement).sum() for one in ones]))
    tree = _tree(places, shares, max(total, 1.0), third, each)
    pairs = _counted(mbi, places, tree, third, each)
    domain = mbi.Domain([str(at) for at in range(len(places.sizes))], places.sizes)
    return _estimated(domain, [*ones, *pairs]), tree


def _shares(noisy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noisy counts as shares of one; even where noise has left nothing."""
    held = np.maximum(noisy, 0)
    total = float(held.sum())
    return held / total if total > 0 else np.full(len(held), 1 / len(held))


def _counted(
    mbi: Any,  # noqa: ANN401 # an optional library
    places: Places,
    cliques: Sequence[tuple[int, ...]],
    rho: float,
    each: int,
) -> list[Any]:
    """Noisy counts of these columns or pairs; they share rho."""
    share = rho / len(cliques)
    noisy = gaussian(each, share)
    return [
        mbi.LinearMeasurement(
            noisy(places.counts(clique)).astype(np.float64),
            tuple(str(at) for at in clique),
            stddev=_spread(share, each),
        )
        for clique in cliques
    ]


def _estimated(domain: Any, measured: list[Any]) -> Any:  # noqa: ANN401 # of the library
    from mbi import estimation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimation.MirrorDescent().estimate(domain, measured, iters=_ITERATIONS, tol=1e-4)


def _tree(
    places: Places, shares: list[NDArray[np.float64]], total: float, rho: float, each: int
) -> list[Edge]:
    """Edges of a spanning tree, the worst explained pairs first, as Kruskal would take them.

    Before any pair is counted, the model is that all columns are independent. One person changes a
    count by at most `each`, and so the L1 distance from the model by as much. A choice of epsilon
    is epsilon**2 / 8-zCDP (Cesar & Rogers 2021).
    """
    columns = len(places.sizes)
    weights = {
        (one, two): float(
            np.abs(
                places.counts((one, two)) - total * np.outer(shares[one], shares[two]).ravel()
            ).sum()
        )
        for one, two in combinations(range(columns), 2)
    }
    choose = _chooser(rho / (columns - 1), each)
    group = list(range(columns))
    tree: list[Edge] = []
    while len(tree) < columns - 1:
        open_edges = [edge for edge in weights if group[edge[0]] != group[edge[1]]]
        one, two = open_edges[choose([weights[edge] for edge in open_edges])]
        group = [group[one] if held == group[two] else held for held in group]
        tree.append((one, two))
    return tree


def _chooser(rho: float, sensitivity: int) -> Callable[[list[float]], int]:
    """The exponential mechanism over scores, by OpenDP: the place of the one that is chosen.

    Args:
        rho: what each choice costs. OpenDP draws Gumbel noise for this measure, whose choices are
            those of the exponential mechanism; its noise for pure epsilon is another one, for which
            the conversion to zCDP does not hold.
    """
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_noisy_max
    from opendp.measures import zero_concentrated_divergence
    from opendp.metrics import linf_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    space = vector_domain(atom_domain(T="f64", nan=False)), linf_distance(T="f64")
    # Each score may rise or fall by the sensitivity: the range of their changes is twice that.
    scale = 2 * sensitivity / math.sqrt(8 * rho)
    measurement: Any = make_noisy_max(*space, zero_concentrated_divergence(), scale)
    while float(measurement.map(float(sensitivity))) > rho:
        scale *= 1 + 1e-9
        measurement = make_noisy_max(*space, zero_concentrated_divergence(), scale)
    return lambda scores: int(measurement(scores))
