"""States as bytes: what comes back, what stays behind, and what is refused."""

import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.packing import MAGIC, VERSION, from_bytes, suppressed, to_bytes
from strongroom.engines.drift.planning import plan_of
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
def test_changed_bytes_are_refused(at: int, change: int) -> None:
    damaged = bytearray(BYTES)
    damaged[at] ^= change
    with pytest.raises(DriftStateError):
        from_bytes(bytes(damaged))


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
    assert from_bytes(to_bytes(few)).rows == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(2, 12))
def test_no_count_below_the_minimum_can_be_told(counts: list[int], minimum: int) -> None:
    given_ = np.array([counts], np.int64)
    kept = suppressed(given_, minimum)
    assert ((kept == 0) | (kept == given_)).all()
    assert (kept[kept > 0] >= minimum).all()
    lost = int((given_ - kept).sum())
    # What is missing from the total is nothing, or no longer a small number.
    assert lost == 0 or lost >= minimum or not kept.any()


def test_it_is_small() -> None:
    """Fifty columns with all their pairs, below the 40 kB of the mark."""
    random = np.random.default_rng(6)
    rows = pa.table({f"n{at}": random.normal(size=20_000) for at in range(50)})
    state = counted(rows, plan_of(rows))
    assert len(state.plan.paired) == 50
    assert len(to_bytes(state)) < 40_000
