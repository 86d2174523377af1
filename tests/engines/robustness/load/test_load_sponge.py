"""The search for the costliest row: further looks only where they can change who leads."""

from collections import Counter

import numpy as np
import pytest

from strongroom.engines.robustness.load.sponge import Search, _costs
from strongroom.engines.robustness.target import Rows, Scores


@pytest.mark.parametrize("seed", range(5))
def test_who_leads_is_who_would_lead_after_all_looks(seed: int) -> None:
    """Costs are drawn before: each row's least of three looks is known."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((30, 1)) + rng.exponential(0.3, (30, 3))
    now, looked = [0.0], Counter[int]()

    def answer(rows: Rows) -> Scores:
        at = int(rows[0, 0])
        now[0] += drawn[at, looked[at]]
        looked[at] += 1
        return np.ones((len(rows), 1))

    rows = np.arange(30.0).reshape(-1, 1)
    found = _costs(answer, rows, lambda: now[0], Search(copies=2, looks=3), wanted=6)
    leaders = np.argsort(-drawn.min(axis=1))[:6]
    np.testing.assert_allclose(found[leaders], drawn.min(axis=1)[leaders])
    assert set(np.argsort(-found)[:6].tolist()) == set(leaders.tolist())
    assert 6 * 3 + 24 <= sum(looked.values()) < 30 * 3
