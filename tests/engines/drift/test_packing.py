"""States as bytes: what comes back, what stays behind, and what is refused."""

import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.comparison import compare
from strongroom.engines.drift.multivariate import together
from strongroom.engines.drift.packing import MAGIC, VERSION, from_bytes, to_bytes
from strongroom.engines.drift.plan import HALF_RANK, MISSING, ColumnPlan, Grid, Kind, Plan
from strongroom.engines.drift.planning import plan_of
from strongroom.engines.drift.state import State
from strongroom.engines.drift.state_packing import carried, in_tens, suppressed
from strongroom.engines.drift.values import pc
from strongroom.errors import DriftStateError

STATE = counted(table(2_000, 1), exact(table(2_000, 1)))
BYTES = to_bytes(STATE)


def test_it_comes_back_whole() -> None:
    assert from_bytes(BYTES) == STATE
    bare = to_bytes(STATE, with_plan=False)
    assert len(bare) < len(BYTES)
    assert from_bytes(bare, STATE.plan) == STATE
    shifted = counted(table(500, 2, 1.0), STATE.plan)  # with categories that are not listed
    assert shifted.sketches
    assert from_bytes(to_bytes(shifted)) == shifted


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_changed_bytes_are_refused_or_mean_nothing(at: int, change: int) -> None:
    damaged = bytearray(BYTES)
    damaged[at] ^= change
    assume(at != len(MAGIC) or not 1 <= damaged[at] <= VERSION)  # one of those that are read
    try:
        found = from_bytes(bytes(damaged))
    except DriftStateError:
        return
    assert found == STATE  # the last bits of what is compressed fill up a byte
    assert len(BYTES) - at <= 5  # before the checksum


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.binary(max_size=8))
def test_changed_content_is_refused_or_sound(at: int, with_: bytes) -> None:
    """Past the checksum of the compression, too."""
    body = bytearray(zlib.decompress(BYTES[len(MAGIC) + 1 :]))
    place = at % len(body)
    body[place : place + len(with_)] = with_
    data = MAGIC + bytes([VERSION]) + zlib.compress(bytes(body))
    try:
        state = from_bytes(data)
    except DriftStateError:
        return
    assert (state.counts >= 0).all()
    assert state.rows >= 0


@pytest.mark.parametrize("data", [
    b"", b"x" * 100, MAGIC, BYTES[:-10], BYTES + b"x", MAGIC + bytes([VERSION]),
    MAGIC + bytes([VERSION]) + zlib.compress(b"\x90"),
])  # fmt: skip
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(DriftStateError):
        from_bytes(data)


def test_a_later_version_is_said() -> None:
    later = MAGIC + bytes([VERSION + 1]) + BYTES[len(MAGIC) + 1 :]
    with pytest.raises(DriftStateError, match=f"version {VERSION + 1}"):
        from_bytes(later)


def test_a_bomb_is_refused() -> None:
    with pytest.raises(DriftStateError, match="too large"):
        from_bytes(MAGIC + bytes([VERSION]) + zlib.compress(bytes(65 << 20), 9))


def test_another_plan_is_refused() -> None:
    other = exact(table(300, 5))
    bare = to_bytes(STATE, with_plan=False)
    with pytest.raises(DriftStateError, match="another plan"):
        from_bytes(bare, other)
    with pytest.raises(DriftStateError, match="without its plan"):
        from_bytes(bare)
    with pytest.raises(DriftStateError, match="another plan"):
        from_bytes(BYTES, other)


def test_small_counts_and_rare_values_stay_behind() -> None:
    rows = pa.table({"name": ["common"] * 500 + ["Erika Mustermann"] * 3 + ["other"] * 12})
    state = counted(rows, plan_of(rows))
    now = counted({"name": ["common"] * 100 + ["Otto Normal"] * 40 + ["other"] * 4}, state.plan)
    written = to_bytes(now)
    held = zlib.decompress(written[len(MAGIC) + 1 :])
    for secret in (b"Erika", b"Otto", b"Mustermann"):
        assert secret not in held
    back = from_bytes(written)
    assert not back.sketches
    counts = back.counts[back.counts > 0]
    assert (counts >= 10).all()
    few = counted({"name": ["common"] * 9}, state.plan)
    assert (back.counts.sum(axis=1) == back.rows).all()
    assert from_bytes(to_bytes(few)).rows == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(2, 12))
def test_no_count_below_the_minimum_can_be_told(counts: list[int], minimum: int) -> None:
    given_ = np.array([counts], np.int64)
    kept = suppressed(given_, minimum)
    large = np.where(given_ < minimum, 0, given_)
    assert ((kept > 0) == (large > 0)).all()
    lost = int((given_ - large).sum())
    # What is missing from the total is nothing, or no longer a small number; the largest has it.
    grown = kept - large
    expected = lost if lost < minimum and large.any() else 0
    assert grown.max() == grown.sum() == expected
    assert kept[0, grown.argmax()] == kept.max() or not expected
    assert int((given_ - kept).sum()) in {0, lost}


def test_a_single_missing_value_cannot_be_reckoned_back() -> None:
    """Neither from what the counts lack, nor from sums of squares, nor from a copy's products."""
    random = np.random.default_rng(4)
    values = random.normal(size=3_000)
    values[0] = np.nan
    rows = pa.table({name: pa.array(values, from_pandas=True) for name in ("one", "copy")})
    state = counted(rows, plan_of(rows))
    back = from_bytes(to_bytes(state))
    assert state.counts[0, MISSING] == 1
    assert back.counts[0, MISSING] == 0
    # Of a copy the products are the squares: all are as coarse.
    assert (back.products % (10 * HALF_RANK**2) == 0).all()
    assert (np.abs(back.products - state.products) <= 5 * HALF_RANK**2).all()


def test_a_row_that_lacks_a_column_is_not_written() -> None:
    rows = pa.table({"a": [1.0, 2.0] * 50, "b": [1.0, 2.0] * 50})
    state = counted(rows, plan_of(rows))
    state.update_row({"a": 1.0})
    back = from_bytes(to_bytes(state))
    assert state.absent[1] == 1
    assert not back.absent.any()
    assert (back.counts.sum(axis=1) == back.rows).all()


def test_few_rows_have_no_pairs_written() -> None:
    rows = table(900, 1)
    state = counted(rows, plan_of(rows))
    assert state.products.any()
    assert not from_bytes(to_bytes(state)).products.any()


def test_pairs_of_written_states_tell_no_change_by_rounding() -> None:
    """Also where columns are nearly the same, and rounding weighs most; a real change is seen."""
    found = moved = 0
    for seed in range(20):
        first, second = table(1_500, seed), table(1_500, seed + 100)
        plan = plan_of(first)
        states = [from_bytes(to_bytes(counted(rows, plan))) for rows in (first, second)]
        written = together(states[0], states[1])
        assert written is not None
        assert written.reconstruction < 1.1
        found += bool(written.pairs)
        moved += written.location_p <= 0.05
    assert max(found, moved) <= 4  # one in twenty is the rate
    first, second = table(1_500, 19), table(1_500, 119)
    plan = plan_of(first)
    turned = second.set_column(6, "said", pa.array(second["said"].to_numpy()[::-1]))
    states = [from_bytes(to_bytes(counted(rows, plan))) for rows in (first, turned)]
    written = together(states[0], states[1])
    assert written is not None
    assert {"x", "said"} == {written.pairs[0].first, written.pairs[0].second}
    assert written.reconstruction > 1.1


def test_counts_that_overflow_are_refused() -> None:
    """Each is positive, and their sum is not."""
    state = State(STATE.plan)
    state.restore(10, np.full_like(STATE.counts, 1 << 61), STATE.absent, STATE.products, {}, ())
    with pytest.raises(DriftStateError, match="no sense"):
        from_bytes(to_bytes(state))
    state.restore(10, STATE.counts * 0, STATE.absent, STATE.products + (1 << 50), {}, ())
    with pytest.raises(DriftStateError, match="no sense"):
        from_bytes(to_bytes(state))


def test_cells_of_any_size_are_refused() -> None:
    column = ColumnPlan("x", Kind.NUMBER, "double", Grid("linear", cells=9, starts=(0, 1 << 63)))
    with pytest.raises(DriftStateError, match="bins"):
        from_bytes(to_bytes(State(Plan((column,), 0))))
    narrow = Grid("linear", step=5e-324, cells=9, starts=(0, 3))  # one over it is infinite
    with pytest.raises(DriftStateError, match="bins"):
        from_bytes(to_bytes(State(Plan((ColumnPlan("x", Kind.NUMBER, "double", narrow),), 0))))


def test_it_is_small() -> None:
    """Fifty columns with all their pairs, below the 40 kB of the mark."""
    random = np.random.default_rng(6)
    rows = pa.table({f"n{at}": random.normal(size=20_000) for at in range(50)})
    state = counted(rows, plan_of(rows))
    assert len(state.plan.paired) == 50
    assert len(to_bytes(state)) < 40_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(2, 12))
def test_small_counts_are_put_together_near_their_place(
    given_counts: list[int], minimum: int
) -> None:
    counts = np.array(given_counts)
    kept = carried(counts, minimum)
    assert ((kept == 0) | (kept >= minimum)).all()
    assert kept.sum() == (counts.sum() if counts.sum() >= minimum else 0)
    assert (np.abs(np.cumsum(kept) - np.cumsum(counts)) < 2 * minimum).all()
    if (counts >= minimum).all():
        assert (kept == counts).all()
    tens = in_tens(counts, minimum)
    assert (tens % minimum == 0).all()
    assert (np.abs(np.cumsum(tens) - np.cumsum(counts)) < 2 * minimum).all()


@pytest.mark.parametrize("rows", [150, 1_000])
def test_private_states_of_few_rows_tell_no_change_that_is_none(rows: int) -> None:
    """Leaving small counts out thinned the tails: at 150 rows every second column was changed."""
    random = np.random.default_rng(rows)
    low, drifted, moved, remarks = 0, 0, 0, ""
    for _ in range(8):
        before, now = (_alike(random, rows) for _ in range(2))
        plan = plan_of(before)
        sides = [counted(one, plan) for one in (before, now)]
        back = [from_bytes(to_bytes(one)) for one in sides]
        for reference, current in ((back[0], sides[1]), (back[0], back[1]), (sides[0], back[1])):
            report = compare(reference, current)
            low += sum(one.p_value <= 0.05 for one in report.columns)
            drifted += len(report.drifted)
        shifted = before.set_column(0, "n0", pc.add(before["n0"], 0.8))
        found = compare(back[0], counted(shifted, plan))
        moved += found.columns[0].q_value <= 0.05
        remarks = " ".join(found.remarks)
    assert low <= 0.1 * 8 * 3 * 6  # a twentieth is expected at most
    assert drifted <= 8  # of 144; the same few rows are compared three times
    assert moved == 8
    assert ("no more than 2 parts" if rows < 500 else "no more than 5 parts") in remarks


def _alike(random: np.random.Generator, rows: int) -> pa.Table:
    """Columns of one distribution: numbers, and categories of which many are rare."""
    shares = 1 / np.arange(1, 41)
    numbers = {"n0": random.normal(size=rows), "e": random.exponential(size=rows),
               "whole": random.poisson(4, rows)}  # fmt: skip
    named = {
        "even": random.choice([f"v{at}" for at in range(30)], rows),
        "long": random.choice([f"v{at}" for at in range(40)], rows, p=shares / shares.sum()),
        "few": random.choice(["a", "b", "c"], rows),
    }
    return pa.table({**numbers, **named})


def test_private_states_of_sixty_rows_tell_no_change_that_is_none_and_those_that_are() -> None:
    """A flag of one row in six, or what is missing, is some ten rows: now written, now not."""
    random = np.random.default_rng(60)
    rounds, false, found = 40, 0, 0
    for _ in range(rounds):
        sides = [
            pa.table({
                "flag": random.random(60) < 0.17,
                "gaps": pa.array(np.where(random.random(60) < 0.1, np.nan, random.normal(size=60)),
                                 from_pandas=True),
                "x": random.normal(size=60),
            })
            for _ in range(2)
        ]  # fmt: skip
        plan = plan_of(sides[0])
        first, second = (from_bytes(to_bytes(counted(one, plan))) for one in sides)
        report = compare(first, second)
        false += any(one.q_value <= 0.05 for one in report.columns)
        far = sides[1].set_column(0, "flag", pa.array(random.random(60) < 0.75))
        moved = compare(first, from_bytes(to_bytes(counted(far, plan))))
        found += moved.columns[0].q_value <= 0.05
    assert false <= rounds * 0.05 + 3 * (rounds * 0.05 * 0.95) ** 0.5
    assert found >= rounds - 2
