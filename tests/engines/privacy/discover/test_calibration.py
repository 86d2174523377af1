"""Of findings that say .8, about .8 are right: on labelled tables that nothing was fitted on."""

from functools import lru_cache

from benchmarks.calibrating import BINS, Cases, calibration_error, claims_of, reliability, scored
from benchmarks.wild_tables import wild

from strongroom.engines.privacy.discover.confidence import MOST

MOST_ERROR = 0.06
"""Expected calibration error on the held-out tables."""
LEAST_IN_BIN, FAR_OFF = 10, 0.25


@lru_cache(maxsize=1)
def held_out() -> Cases:
    return list(scored(wild("hold", 20, rows=160)))


def test_confidence_is_the_share_that_is_right() -> None:
    bins = reliability(claims_of(held_out()))
    assert sum(count for count, _, _ in bins) >= 100
    assert calibration_error(bins) <= MOST_ERROR
    for count, claimed, right in bins:
        if count >= LEAST_IN_BIN:
            assert right >= claimed - FAR_OFF  # no band promises far more than it keeps


def test_the_surest_are_nearly_always_right() -> None:
    surest = [right for sure, right in claims_of(held_out()) if sure >= 0.9]
    assert sum(surest) >= 0.95 * len(surest)


def test_the_bound_can_fail() -> None:
    # The same columns with every fifth finding wrong, and with confidences that know nothing.
    claims = list(claims_of(held_out()))
    worse = [(sure, right and at % 5 > 0) for at, (sure, right) in enumerate(claims)]
    assert calibration_error(reliability(worse)) > MOST_ERROR
    timid = [(0.6, right) for _, right in claims]
    assert calibration_error(reliability(timid)) > MOST_ERROR


def test_the_error_is_what_the_paper_says() -> None:
    # Two columns at .95 of which one is right, eight at .75 of which six are.
    claims = [(0.95, True), (0.95, False), *[(0.75, at < 6) for at in range(8)]]
    bins = reliability(claims)
    assert len(bins) == BINS
    assert bins[9] == (2, 0.95, 0.5)
    assert abs(calibration_error(bins) - 0.2 * 0.45) < 1e-9
    assert calibration_error(reliability([])) == 0.0
    assert MOST < 1.0
