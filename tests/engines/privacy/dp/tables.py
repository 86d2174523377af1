"""Tables that the tests ask."""

import numpy as np
import pyarrow as pa


def visits(people: int = 400, seed: int = 1) -> pa.Table:
    """Some visits of each person, with missing values of every kind."""
    random = np.random.default_rng(seed)
    rows = people * 5
    age = random.integers(18, 91, rows).astype(float)
    age[random.random(rows) < 0.05] = np.nan
    return pa.table({
        "who": [f"p{one}" for one in random.integers(0, people, rows)],
        "ward": random.choice(["north", "south", "east"], rows, p=[0.6, 0.3, 0.1]),
        "age": age,
        "cost": pa.array(random.lognormal(4, 1, rows), mask=random.random(rows) < 0.1),
        "visits": random.integers(0, 9, rows),
        "urgent": pa.array(random.random(rows) < 0.3, mask=random.random(rows) < 0.05),
        "day": pa.array(random.integers(19_000, 20_000, rows), pa.int32()).cast(pa.date32()),
    })  # fmt: skip
