"""How far a made-up table resembles the real one. The report itself looks at the real rows.

It is for whoever may see them, to judge a release by; it costs no epsilon, for it is not given
out.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.synthetic.columns import Places, features_of, placed
from strongroom.engines.privacy.dp.training.additive import Plan, train_additive
from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, coded_table
from strongroom.engines.privacy.dp.training.domain import Choice, Domain


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of a made-up table.

    Attributes:
        columns: of each column, half the L1 distance of its shares; 0 same, 1 nothing in common.
        pairs: mean and worst of the same over pairs of columns.
        auc: of a model that learned from made-up rows, on real ones; None for an amount.
        auc_real: the same, learned from real rows that it was not tried on.
        copies: share of made-up rows that have all places in common with a real row.
        copies_real: the same share among real rows, of one half with the other.
    """

    columns: dict[str, float]
    pairs: tuple[float, float]
    auc: float | None
    auc_real: float | None
    copies: float
    copies_real: float


def quality(made: pa.Table, real: pa.Table, domain: Domain) -> Quality:
    """Compare. Both tables have the columns of the domain; rows without a target count nowhere."""
    features = features_of(domain)
    one, two = placed(made, features), placed(real, features)
    pairs = [_distance(one, two, pair) for pair in combinations(range(len(features)), 2)]
    half = _half(len(two.codes[0]))
    auc, auc_real = _aucs(made, real, domain)
    return Quality(
        {feature.name: _distance(one, two, (at,)) for at, feature in enumerate(features)},
        (float(np.mean(pairs)), float(np.max(pairs))),
        auc, auc_real,
        _copies(one, two),
        _copies(two.take(np.flatnonzero(half)), two.take(np.flatnonzero(~half))),
    )  # fmt: skip


def _half(rows: int) -> NDArray[np.bool_]:
    """Every second row in an order of its own: that of the table may follow what is in it."""
    is_first: NDArray[np.bool_] = np.random.default_rng(0).permutation(rows) % 2 == 0
    return is_first


def _distance(one: Places, two: Places, columns: tuple[int, ...]) -> float:
    shares = [held.counts(columns) / max(len(held.codes[0]), 1) for held in (one, two)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _copies(one: Places, two: Places) -> float:
    real = set(zip(*(held.tolist() for held in two.codes), strict=True))
    made = list(zip(*(held.tolist() for held in one.codes), strict=True))
    return sum(row in real for row in made) / max(len(made), 1)


def _aucs(made: pa.Table, real: pa.Table, domain: Domain) -> tuple[float | None, float | None]:
    if not isinstance(domain.target, Choice):
        return None, None
    from sklearn.metrics import roc_auc_score

    coded = coded_table(real, domain)
    is_first = _half(coded.rows)
    first, second = np.flatnonzero(is_first), np.flatnonzero(~is_first)
    truth = coded.target[second] == TARGET_UNIT
    if len(set(truth.tolist())) != 2:
        return None, None
    found = []
    for rows in (coded_table(made, domain), coded.take(first)):
        # So much epsilon is no noise to speak of: the figure is about the rows, not the trainer.
        model = train_additive(rows, domain, 100.0, 1e-6, plan=Plan(100, 2)).model
        tables = [np.array(term.scores) for term in model.terms]
        places = coded.take(second).codes
        scores = sum(table[codes] for table, codes in zip(tables, places, strict=True))
        found.append(float(roc_auc_score(truth, scores)))
    return found[0], found[1]
