"""Made-up people whose income depends on what is known of them."""

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp.training.domain import Amount, Category, Choice, Domain, Number

TOWNS = ("north", "south", "east")
FEATURES = (Number("age", 18, 90), Number("wealth", 0, 1e6), Category("town", TOWNS))
DOMAIN = Domain(FEATURES, Choice("rich", ("no", "yes")))
AMOUNTS = Domain(FEATURES, Amount("income", 0, 100))


def people(rows: int, seed: int = 1) -> pa.Table:
    """So many rows, with `person` as subject: everybody has three."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(18, 90, rows)
    wealth = np.expm1(rng.uniform(0, np.log1p(1e6), rows))
    town = rng.integers(0, 3, rows)
    score = (age - 54) / 12 + (np.log1p(wealth) - 7) / 2 + np.array([1.0, -1.0, 0.0])[town]
    rich = rng.uniform(size=rows) < 1 / (1 + np.exp(-score))
    return pa.table({
        "age": age,
        "wealth": wealth,
        "town": np.array(TOWNS, object)[town],
        "rich": np.where(rich, "yes", "no"),
        "income": 50 + 6 * score + rng.normal(0, 2, rows),
        "person": [f"p{at // 3}" for at in range(rows)],
    })  # fmt: skip


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive is ranked above a negative; no two scores are equal."""
    ranks = np.argsort(np.argsort(scores)) + 1
    positives = int(truth.sum())
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))
