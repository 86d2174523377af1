"""Made-up samples for the tests of drift; the same on every run."""

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.plan import Plan
from strongroom.engines.drift.planning import PlanOptions, plan_of
from strongroom.engines.drift.state import State


def table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    """Columns of every kind; a shift moves `x` and takes a category away."""
    random = np.random.default_rng(seed)
    letters = np.array(["a", "b", "c", "e" if shift else "d"])
    x = random.normal(size=rows) + shift
    return pa.table({
        "x": x,
        "y": random.normal(size=rows),
        "amount": random.lognormal(0, 2, rows),
        "count": pa.array(random.integers(0, 8, rows)),
        "letter": pa.array(letters[random.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])].tolist()),
        "flag": pa.array((random.random(rows) < 0.3).tolist()),
        "said": 0.5 * x + random.normal(size=rows) * 0.1,
    })  # fmt: skip


def counted(rows: object, plan: Plan) -> State:
    """The state of some rows."""
    state = State(plan)
    state.update(rows)
    return state


def exact(rows: pa.Table) -> Plan:
    """A plan that keeps everything."""
    return plan_of(rows, PlanOptions(minimum_count=0))
