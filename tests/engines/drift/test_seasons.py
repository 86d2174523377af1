"""Like compared with like: phases weigh the same in both samples, and tests stay honest."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.comparison import compare
from strongroom.engines.drift.findings import Status
from strongroom.engines.drift.packing import from_bytes, to_bytes
from strongroom.engines.drift.plan import Plan
from strongroom.engines.drift.seasons import matched
from strongroom.engines.drift.state import State, merged
from strongroom.engines.drift.windows import Every, phase_of, window_of


def phases(plan: Plan, sizes: dict[int, int], seed: int) -> dict[int, State]:
    """Phase 1 has other values than phase 0."""
    return {
        at: counted(table(rows, seed + at, 1.5 * at), plan) for at, rows in sizes.items() if rows
    }


def test_phases_weigh_as_in_the_current_sample() -> None:
    plan = exact(table(2_000, 1))
    before, now = phases(plan, {0: 2_000, 1: 300}, 10), phases(plan, {0: 100, 1: 400}, 20)
    whole = compare(merged(before.values(), plan), merged(now.values(), plan))
    assert Status.DRIFTED in {one.status for one in whole.columns}
    same = matched(before, now, plan, 30)
    assert (same.reference.rows, same.current.rows) == (75 + 300, 500)
    assert (same.left_out, same.missing) == (0, ())
    shares = before[0].counts * 75 / 2_000 + before[1].counts
    assert np.abs(same.reference.counts - shares).max() <= 1.0
    assert (same.reference.counts.sum(axis=1) == 375).all()
    found = compare(same.reference, same.current)
    assert {one.status for one in found.columns} == {Status.STABLE}
    assert from_bytes(to_bytes(same.reference)) == same.reference


def test_a_phase_the_reference_hardly_knows_is_left_out() -> None:
    plan = exact(table(2_000, 1))
    before, now = phases(plan, {0: 2_000, 1: 20}, 10), phases(plan, {0: 100, 1: 400, 2: 50}, 20)
    same = matched(before, now, plan, 30)
    assert (same.left_out, same.missing) == (450, (1, 2))
    assert (same.reference.rows, same.current.rows) == (2_000, 100)
    none = matched({}, now, plan, 30)
    assert (none.reference.rows, none.current.rows, none.left_out) == (0, 0, 550)


def test_false_findings_are_not_more_than_without_a_season() -> None:
    found = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        rows = {at: pa.table({"x": random.normal(3 * at, 1, 400)}) for at in range(3)}
        plan = exact(pa.concat_tables(rows.values()))
        before = {at: counted(one, plan) for at, one in rows.items()}
        sizes = (300, 60, 200)
        now = {
            at: counted({"x": random.normal(3 * at, 1, sizes[at])}, plan) for at in range(3)
        }  # fmt: skip
        same = matched(before, now, plan, 30)
        found += compare(same.reference, same.current).columns[0].q_value <= 0.05
    assert found <= 7  # 3 are expected at most; more than 7 in one of a hundred runs


def test_phases_come_round() -> None:
    def phase(text: str, every: Every) -> int:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        return phase_of(window_of(moment, every), every)

    assert phase("2026-03-09", Every.DAY) == phase("2026-03-16", Every.DAY)
    assert phase("2026-03-09", Every.DAY) != phase("2026-03-10", Every.DAY)
    assert phase("2026-03-09T14:05", Every.HOUR) == phase("2026-03-16T14:55", Every.HOUR)
    assert phase("2026-03-09T14:05", Every.HOUR) != phase("2026-03-16T15:05", Every.HOUR)
    assert phase("2025-03-09", Every.MONTH) == phase("2026-03-31", Every.MONTH)
    assert phase("1969-12-31", Every.DAY) == phase("1970-01-07", Every.DAY)
