"""Detectors, windows, late labels, attributions, regressions and the domain classifier."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.attribution import attribution_drift, normalized_gain
from strongroom.engines.drift.classifier import domain_classifier
from strongroom.engines.drift.detectors import Adwin, PageHinkley
from strongroom.engines.drift.error_model import ErrorModel, RegressionState
from strongroom.engines.drift.labels import KnownLabels, LabelJoin
from strongroom.engines.drift.multivariate import moments
from strongroom.engines.drift.scores import POSITIVE, UNLABELLED
from strongroom.engines.drift.windows import Every, Windows, window_name, window_of, windows_of
from strongroom.errors import TableError, TooLargeError

RIVER = "0.26.1"
"""The version of River whose detectors gave the places below."""


def stream() -> list[float]:
    """A level of 0.2, from the 1,000th value on 0.6, from the 2,000th on 0.3."""
    random = np.random.default_rng(7)
    levels = np.repeat([0.2, 0.6, 0.3], 1_000)
    found: list[float] = (random.random(3_000) < levels).astype(float).tolist()
    return found


def test_adwin_alarms_where_rivers_does() -> None:
    """River begins anew after an alarm; by the paper the newer part of the window stays."""
    detector = Adwin()
    found = [at for at, one in enumerate(stream()) if detector.update(one)]
    assert [found[0], next(at for at in found if at > 2_000)] == ADWIN_PLACES
    assert detector.width < 1_100
    assert detector.mean == pytest.approx(0.3, abs=0.05)


def test_page_hinkley_alarms_where_rivers_does() -> None:
    detector = PageHinkley()
    assert [at for at, one in enumerate(stream()) if detector.update(one)] == PAGE_HINKLEY_PLACES


ADWIN_PLACES: list[int] = [1_055, 2_143]
PAGE_HINKLEY_PLACES: list[int] = [1_089, 2_151]


def test_detectors_are_calm_where_nothing_changes_and_skip_what_is_no_number() -> None:
    random = np.random.default_rng(8)
    adwin, hinkley = Adwin(), PageHinkley()
    alarms = sum(adwin.update(one) + hinkley.update(one) for one in random.random(5_000).tolist())
    assert alarms == 0
    assert adwin.width == 5_000
    assert adwin.mean == pytest.approx(0.5, abs=0.02)
    assert not adwin.update(math.nan)
    assert not hinkley.update(math.inf)
    assert adwin.width == 5_000


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=300))
def test_adwin_keeps_the_mean_of_its_window(values: list[float]) -> None:
    detector = Adwin(clock=10_000)
    for value in values:
        detector.update(value)
    assert detector.mean == pytest.approx(np.mean(values), abs=1e-6)


# ---- windows ----


def test_windows_by_the_calendar() -> None:
    moment = 1_772_982_000.0  # 2026-03-08 15:00 UTC, a Sunday
    names = {every: window_name(window_of(moment, every), every) for every in Every}
    assert names == {
        Every.HOUR: "2026-03-08 15:00", Every.DAY: "2026-03-08", Every.WEEK: "2026-03-02",
        Every.MONTH: "2026-03",
    }  # fmt: skip
    assert window_name(window_of(-1.0, Every.DAY), Every.DAY) == "1969-12-31"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-62_135_000_000, 253_402_300_799), min_size=1, max_size=20))
def test_many_moments_lie_where_the_calendar_has_them(seconds: list[int]) -> None:
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=one) for one in seconds]
    named = {
        Every.MONTH: [f"{at.year:04}-{at.month:02}" for at in moments],
        Every.DAY: [f"{at:%Y-%m-%d}" for at in moments],
        Every.HOUR: [f"{at:%Y-%m-%d %H}:00" for at in moments],
        Every.WEEK: [f"{at - timedelta(days=at.weekday()):%Y-%m-%d}" for at in moments],
    }
    for every, names in named.items():
        found = windows_of(np.array(seconds, np.float64), every)
        assert [window_name(at, every) for at in found.tolist()] == names


def test_like_windows_carry_the_season_and_old_ones_are_forgotten() -> None:
    plan = exact(table(500, 1))
    windows = Windows(plan, Every.DAY)
    for day in range(28):
        weekend = day % 7 in {5, 6}
        windows.add(day, counted(table(60, day, 1.0 if weekend else 0.0), plan))
    alike = windows.like(27)
    assert alike.rows == 3 * 60  # three weekends before: the same day of the week
    expected = sum(windows.of(day).counts for day in (6, 13, 20))
    assert alike.counts.tolist() == np.asarray(expected).tolist()
    assert windows.like(27, most=1).rows == 60
    assert windows.between(0, 7).rows == 7 * 60
    assert windows.forget_before(14) == 14
    assert len(windows) == 14
    assert windows.like(27).rows == 2 * 60 - 60
    other = Windows(plan, Every.DAY)
    other.add(27, counted(table(5, 1), plan))
    windows.merge(other)
    assert windows.of(27).rows == 65


# ---- late labels ----


def test_late_labels_join_their_windows() -> None:
    join = LabelJoin(bytes(32))
    join.predicted(1, [("a", 0.9), ("b", 0.2), ("c", 0.7)])
    join.predicted(2, [("d", 0.8), ("a", 0.1)])
    join.labelled([("a", True), ("d", False), ("a", True), ("a", False), ("nobody", True)])
    assert join.windows[1].labelled == 1
    assert join.windows[2].labelled == 1
    assert join.windows[1].counts[1, POSITIVE].sum() == 1
    assert join.windows[1].counts[:, UNLABELLED].sum() == 2
    counts = join.counts
    assert (counts.joined, counts.repeated, counts.contradicted, counts.unmatched) == (2, 1, 1, 1)
    assert counts.repeated_ids == 1
    assert "1 labels contradict an earlier one, which stays" in join.remarks()
    join.forget_before(2)
    assert set(join.windows) == {2}
    assert join.counts.forgotten == 2
    join.labelled([("b", True)])
    assert join.counts.unmatched == 2


def test_too_many_waiting_predictions_push_the_oldest_out() -> None:
    join = LabelJoin(bytes(32), most=10)
    join.predicted(1, [(str(n), 0.5) for n in range(25)])
    join.labelled([("0", True), ("24", True)])
    assert (join.counts.forgotten, join.counts.unmatched, join.counts.joined) == (15, 1, 1)
    with pytest.raises(ValueError, match="16 bytes"):
        LabelJoin(b"short")


def test_labels_that_were_there_first_join_by_the_same_rules() -> None:
    known = KnownLabels(bytes(32), most=3)
    known.add([("a", 1), ("b", 0), ("a", 1), ("a", 0), ("nobody", 1)])
    assert known.of(["a", "c", None, "a"]) == [1, None, None, None]
    assert known.of(["b"]) == [0]
    counts = known.counts
    assert (counts.joined, counts.repeated, counts.contradicted) == (2, 1, 1)
    assert counts.repeated_ids == 1
    assert "1 labels have no prediction" in known.remarks()
    with pytest.raises(TooLargeError, match="more than 3 ids"):
        known.add([("d", 1)])
    with pytest.raises(ValueError, match="16 bytes"):
        KnownLabels(b"short")


# ---- attributions ----


def test_ndcg_is_scikit_learns() -> None:
    random = np.random.default_rng(9)
    for _ in range(50):
        before, now = random.random((2, 8))
        now[random.integers(0, 8, 2)] = 0.5  # ties
        expected = metrics.ndcg_score([before], [now])
        assert normalized_gain(before, now) == pytest.approx(expected)


def test_attributions_that_change_places_are_said() -> None:
    before = {"age": 0.7, "income": 0.2, "zip": 0.05, "sex": 0.05}
    same = attribution_drift(before, {name: 2 * value for name, value in before.items()})
    assert same.ndcg == pytest.approx(1.0)
    assert not same.drifted
    found = attribution_drift(before, {"zip": 0.9, "sex": 0.3, "age": 0.01})
    assert found.drifted
    assert "`age` went from place 1 to 3" in found.says
    for bad in ({}, {"a": -1.0}, {"a": math.nan}):
        with pytest.raises(TableError):
            attribution_drift(before, bad)


# ---- regressions ----


def regression(
    rows: int, seed: int, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, predictions and labels; errors grow with the first input."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(rows, 3)) * spread
    said = inputs @ [1.0, 2.0, 0.0]
    known = said + random.normal(size=rows) * (0.2 + np.abs(inputs[:, 0]))
    return inputs, said, known


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=40), st.integers(0, 40)
)
def test_regressions_merge_exactly(rows: list[tuple[float, float]], cut: int) -> None:
    said, known = np.array(rows, float).reshape(-1, 2).T
    whole, first, second = RegressionState(10.0), RegressionState(10.0), RegressionState(10.0)
    whole.update(said, known)
    second.update(said[cut:], known[cut:])
    first.update(said[:cut], known[:cut])
    second.merge(first)
    assert second == whole


def test_regression_errors_are_scikit_learns() -> None:
    _, said, known = regression(5_000, 1)
    state = RegressionState()
    state.update(np.append(said, np.nan), np.append(known, 1.0))
    found = state.performance()
    assert found is not None
    assert state.left_out == 1
    assert found.mae == pytest.approx(metrics.mean_absolute_error(known, said), rel=1e-5)
    assert found.rmse**2 == pytest.approx(metrics.mean_squared_error(known, said), rel=1e-5)
    assert found.r_squared == pytest.approx(metrics.r2_score(known, said), rel=1e-5)
    assert RegressionState().performance() is None
    with pytest.raises(TableError):
        state.merge(RegressionState(1_000.0))


def test_errors_of_a_regression_are_expected_without_labels() -> None:
    model = ErrorModel(*regression(4_000, 2))
    inputs, said, known = regression(4_000, 3, spread=0.6)
    found = model.estimate(inputs, said)
    assert found is not None
    assert found.warnings == ()
    real = float(np.mean(np.abs(said - known)))
    reference = regression(4_000, 2)
    before = float(np.mean(np.abs(reference[1] - reference[2])))
    assert real < 0.8 * before  # the estimate has something to see
    assert found.mae == pytest.approx(real, rel=0.08)
    far = model.estimate(inputs + 9.0, said)
    assert far is not None
    assert any("outside the reference's range" in one for one in far.warnings)
    late = model.estimate(inputs, said, known + 3.0)
    assert late is not None
    assert any("another error than expected" in one for one in late.warnings)
    assert model.estimate(inputs[:0], said[:0]) is None
    with pytest.raises(TableError, match="200 rows"):
        ErrorModel(inputs[:50], said[:50], known[:50])


def test_a_domain_classifier_sees_what_columns_and_pairs_do_not() -> None:
    random = np.random.default_rng(4)
    a = np.sign(random.normal(size=(800, 3)))
    a[:, 2] = a[:, 0] * a[:, 1]  # three columns, each two of them independent
    b = np.sign(random.normal(size=(800, 3)))
    found = domain_classifier(a, b, ("a", "b", "c"))
    assert found.auc > 0.7
    assert found.p_value < 1e-6
    same = domain_classifier(b[:400], b[400:], ("a", "b", "c"))
    assert same.auc == pytest.approx(0.5, abs=0.08)
    assert same.p_value > 0.001
    with pytest.raises(TableError):
        domain_classifier(a[:50], b, ("a", "b", "c"))


def test_moments_are_those_of_the_scores() -> None:
    rows = table(3_000, 5)
    plan = exact(rows)
    found = moments(counted(rows, plan))
    names = [plan.columns[at].name for at in plan.paired]
    x, said = names.index("x"), names.index("said")
    scale = np.sqrt(np.diag(found.covariance))
    correlation = found.covariance[x, said] / (scale[x] * scale[said])
    expected = stats.spearmanr(rows["x"].to_numpy(), rows["said"].to_numpy()).statistic
    assert correlation == pytest.approx(expected, abs=0.005)
