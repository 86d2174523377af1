"""When a level changed: dated, named, and rarely where nothing did."""

import math

import numpy as np
import pytest

from strongroom.engines.drift.changes import MAX_CHANGES, changes_of
from strongroom.engines.drift.detectors import PageHinkley
from strongroom.engines.drift.plan import Floats

MINUTES: Floats = np.arange(0, 180_000, 60, dtype=np.float64)


def test_a_shift_is_dated_whatever_the_unit_and_the_order() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=3_000)
    values[1_000:] += 1.0
    shuffled = random.permutation(3_000)
    for scale, offset in ((1.0, 0.0), (1e-9, 5.0), (-1e200, 1e200)):
        found = changes_of("x", MINUTES[shuffled], (values * scale + offset)[shuffled])
        assert len(found.changes) == 1
        change = found.changes[0]
        assert change.began == pytest.approx(MINUTES[1_000], abs=20 * 60)
        assert change.began < change.noticed < MINUTES[1_100]
        assert change.before is not None
        assert change.after is not None
        assert (change.after - change.before) / scale == pytest.approx(1.0, abs=0.15)
        assert change.detectors == ("Page-Hinkley", "ADWIN")
    assert "1 change: began about 1970-01-01 16:5" in changes_of("x", MINUTES, values).says


def test_two_changes_are_two() -> None:
    random = np.random.default_rng(7)
    levels = np.repeat([0.2, 0.6, 0.3], 1_000)
    found = changes_of("error", MINUTES, (random.random(3_000) < levels).astype(float))
    assert [round(one.began / 60 / 100) for one in found.changes] == [10, 20]
    means = [(one.before, one.after) for one in found.changes]
    assert np.array(means) == pytest.approx(np.array([[0.2, 0.6], [0.6, 0.3]]), abs=0.04)


def test_false_alarms_are_as_rare_as_asked_for() -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(40):
        for values in (
            random.normal(size=1_500), (random.random(1_500) < 0.05).astype(float),
            random.lognormal(0, 2, 1_500),
        ):  # fmt: skip
            alarms += bool(changes_of("x", MINUTES[:1_500], values, 0.1).changes)
    assert alarms <= 20  # 12 are expected at most; 20 would be the 99th percentile


def test_many_values_are_fed_as_means_and_dated_as_well() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=250_000)
    values[180_000:] += 0.1
    found = changes_of("x", np.arange(250_000, dtype=np.float64), values)
    assert len(found.changes) == 1
    assert found.changes[0].began == pytest.approx(180_000, abs=3_000)


def test_what_cannot_be_told_is_said() -> None:
    few = changes_of("x", MINUTES[:50], np.ones(50))
    assert (few.changes, few.levels) == ((), ())
    assert "50 values with a time: 100 are needed" in few.says
    assert "all values are alike" in changes_of("x", MINUTES, np.ones(3_000)).says
    gaps = np.where(np.arange(3_000) % 3 == 0, math.nan, 1.0)
    assert changes_of("x", np.where(MINUTES < 600, math.nan, MINUTES), gaps).left_out == 1_006
    wild = np.where(np.arange(3_000) % 2 == 0, 1.7e308, -1.7e308)
    assert changes_of("x", MINUTES, wild).changes == ()
    assert "\n" not in changes_of("a\nb", MINUTES, wild).says


def test_no_mean_is_of_few_values() -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=400) + np.where(np.arange(400) >= 395, 1e6, 0)
    found = changes_of("x", MINUTES[:400], values)
    # Each mean in the picture and beside a change is of ten rows or more.
    assert max(mean for _, mean in found.levels) < 1e6
    assert all(one.after is None or one.after < 1e6 for one in found.changes)
    saw = np.tile(np.repeat([0.0, 100.0], 60), 200) + random.normal(size=24_000)
    assert len(changes_of("x", np.arange(24_000.0), saw).changes) <= MAX_CHANGES


def test_no_moment_is_exact() -> None:
    random = np.random.default_rng(8)
    values = random.normal(size=1_000) + np.repeat([0.0, 2.0], 500)
    found = changes_of("x", np.cumsum(random.random(1_000) * 1_000), values)
    moments = [at for at, _ in found.levels]
    moments += [at for one in found.changes for at in (one.began, one.noticed)]
    assert found.changes
    assert all(at % 60 == 0 for at in moments)


def test_the_detector_tells_how_old_the_change_is() -> None:
    random = np.random.default_rng(6)
    values = np.concatenate([random.normal(0, 1, 500), random.normal(-2, 1, 200)])
    detector = PageHinkley(tolerance=0.1, threshold=40.0, alpha=1.0)
    at = next(at for at, value in enumerate(values.tolist()) if detector.update(value))
    assert 500 < at < 540
    assert at + 1 - detector.age == pytest.approx(500, abs=15)
