"""What is told of a made-up table to who reads it: the promise, and what was measured for it."""

from importlib.metadata import version
from typing import Any

from strongroom.engines.privacy.dp.synthetic.columns import COARSER, features_of
from strongroom.engines.privacy.dp.synthetic.mst import Synthetic, spreads
from strongroom.engines.privacy.dp.training.domain import LEVELS, Domain
from strongroom.engines.privacy.dp.training.running import Origin

MECHANISM = (
    "MST: counts of columns and of a tree of pairs with OpenDP's discrete Gaussian noise, the tree "
    "chosen by OpenDP's exponential mechanism; rows drawn from a graphical model of those counts"
)
ACCOUNTANT = "zCDP, turned into epsilon by privacy loss distributions"


def record_of(
    made: Synthetic, domain: Domain, epsilon: float, delta: float, subject: str, rows_each: int
) -> dict[str, Any]:
    """As JSON would hold it. All of it is covered by epsilon, or was known beforehand.

    The number of rows and the pairs were found with noise; columns, bounds and categories are
    the declared ones. No seed is in it: none is kept.
    """
    names = [one.name for one in features_of(domain)]
    of_columns, of_pairs = spreads(len(names), made.rho, rows_each)
    return {
        "mechanism": MECHANISM,
        "epsilon": epsilon,
        "delta": delta,
        "rho": made.rho,
        "unit": f"a person, as `{subject}` tells them" if subject else "a row",
        "rows_of_one_unit": rows_each,
        "neighbours": "with and without all rows of one unit",
        "domain": Origin.DECLARED.value,
        "columns": names,
        "pairs": [list(edge) for edge in made.tree],
        "noise_of_columns": of_columns,
        "noise_of_pairs": of_pairs,
        "rows": made.table.num_rows,
        "accountant": ACCOUNTANT,
        "limits": [
            f"numbers come in {(1 << LEVELS) // COARSER} bins",
            "what none of the pairs tells is not in the rows",
        ],
        "libraries": {name: version(name) for name in ("mbi", "opendp", "dp-accounting")},
    }
