"""Performance, calibration, estimates without labels and slices, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import isotonic, metrics

from strongroom.engines.drift.calibration import calibrated, holds_elsewhere, reliability
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.multiclass import MulticlassState
from strongroom.engines.drift.scores import (
    CENTRES,
    ScoreState,
    performance,
)
from strongroom.engines.drift.slices import OTHERS, SliceScores, area_variance, worse_slices
from strongroom.errors import TableError

Floats = NDArray[np.float64]


def drawn(rows: int, seed: int, shift: float = 0.0, bend: float = 1.0) -> tuple[Floats, Floats]:
    """Scores and labels; calibrated where `bend` is 1."""
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(random.normal(size=rows) * 1.5 + shift)))
    return scores, (random.random(rows) < scores**bend).astype(float)


def state_of(scores: Floats, labels: Floats | None = None) -> ScoreState:
    state = ScoreState()
    state.update(scores, labels)
    return state


def test_metrics_are_scikit_learns() -> None:
    scores, labels = drawn(20_000, 1)
    found, said = performance(state_of(scores, labels)), scores >= 0.5
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, said))
    assert found.precision == pytest.approx(metrics.precision_score(labels, said))
    assert found.recall == pytest.approx(metrics.recall_score(labels, said))
    assert found.f1 == pytest.approx(metrics.f1_score(labels, said))
    assert found.specificity == pytest.approx(metrics.recall_score(1 - labels, ~said))
    assert found.auc == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-3)
    assert found.brier == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-6)
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, scores), abs=1e-3)


LABELLED = st.tuples(st.floats(-1, 2), st.sampled_from([0.0, 1.0, float("nan")]))


@settings(max_examples=50, deadline=None)
@given(st.lists(LABELLED, max_size=40), st.integers(0, 40))
def test_states_of_scores_merge_exactly(rows: list[tuple[float, float]], cut: int) -> None:
    scores, labels = np.array(rows, float).reshape(-1, 2).T
    whole, first = state_of(scores, labels), state_of(scores[:cut], labels[:cut])
    first.merge(state_of(scores[cut:], labels[cut:]))
    assert first == whole
    assert whole.rows + whole.left_out == len(rows)


def test_bad_labels_and_lengths_are_refused() -> None:
    with pytest.raises(TableError, match="0, 1, or missing"):
        state_of(np.array([0.5]), np.array([2.0]))
    with pytest.raises(TableError, match="differ in length"):
        state_of(np.array([0.5]), np.array([1.0, 0.0]))


def test_calibration_is_scikit_learns_isotonic_regression() -> None:
    scores, labels = drawn(5_000, 2, bend=2.0)
    known = state_of(scores, labels).counts[:, :2].sum(axis=0)
    rows = known.sum(axis=0)
    there = rows > 0
    expected = isotonic.IsotonicRegression().fit(
        CENTRES[there], known[1, there] / rows[there], sample_weight=rows[there]
    )
    assert calibrated(known[1], rows).chance[there] == pytest.approx(
        expected.predict(CENTRES[there]), abs=1e-9)  # fmt: skip


def test_reliability_tells_calibrated_scores_from_others() -> None:
    good = reliability(state_of(*drawn(20_000, 3)))
    bad = reliability(state_of(*drawn(20_000, 3, bend=2.0)))
    assert good is not None
    assert bad is not None
    assert good.error < 0.02
    assert good.p_value > 0.001
    assert bad.error > 0.1
    assert bad.p_value < 1e-6
    assert reliability(state_of(*drawn(100, 3))) is None
    p = holds_elsewhere(state_of(*drawn(20_000, 3, bend=2.0)))
    assert p is not None
    assert p > 0.001


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5])
@pytest.mark.parametrize("bend", [1.0, 1.7])
def test_estimates_without_labels_meet_what_comes_true(shift: float, bend: float) -> None:
    """Inputs shift, the meaning of a score does not: the estimate holds within its error."""
    reference = state_of(*drawn(30_000, 4, bend=bend))
    scores, labels = drawn(30_000, 5, shift, bend)
    found = estimated(reference, state_of(scores))
    assert found is not None
    assert found.warnings == ()
    real = performance(state_of(scores, labels))
    for name in ("accuracy", "precision", "recall", "f1", "auc", "brier"):
        off = abs(getattr(found.performance, name) - getattr(real, name))
        assert off < 4 * found.errors[name] + 1e-3, name


def test_failed_assumptions_are_said() -> None:
    random = np.random.default_rng(6)
    good = state_of(*drawn(20_000, 7))
    noise = state_of(random.random(20_000), (random.random(20_000) < 0.5).astype(float))
    found = estimated(noise, good)
    assert found is not None
    assert any("do not rank" in one for one in found.warnings)
    narrow = drawn(50_000, 8)
    inside = narrow[0] < 0.4
    found = estimated(state_of(narrow[0][inside], narrow[1][inside]), good)
    assert found is not None
    assert any("hardly any labels" in one for one in found.warnings)
    # What a score means has changed, which labels that have come show.
    found = estimated(good, state_of(*drawn(2_000, 9, bend=2.5)))
    assert found is not None
    assert any("labels that have come are not as expected" in one for one in found.warnings)
    assert estimated(state_of(*drawn(50, 1)), good) is None
    assert estimated(good, ScoreState()) is None


def test_classes_against_the_rest() -> None:
    random = np.random.default_rng(10)
    raw = random.gamma(1.0, size=(5_000, 3))
    scores = raw / raw.sum(axis=1, keepdims=True)
    names = np.array(["a", "b", "c"])
    drawn_at = (random.random(5_000)[:, None] > np.cumsum(scores, axis=1)).sum(axis=1)
    labels = names[np.minimum(drawn_at, 2)]
    state = MulticlassState(["a", "b", "c"])
    state.update(scores, labels.tolist())
    said = names[scores.argmax(axis=1)]
    assert performance(state.chosen).accuracy == pytest.approx(np.mean(said == labels))
    for name, one in state.by_class.items():
        found = performance(one)
        assert found.recall == pytest.approx(
            metrics.recall_score(labels, said, labels=[name], average="macro"))  # fmt: skip
        assert found.precision == pytest.approx(
            metrics.precision_score(labels, said, labels=[name], average="macro"))  # fmt: skip
    other = MulticlassState(["a", "b", "c"])
    other.update(scores, None)
    assert other.chosen.labelled == 0
    found_estimate = estimated(state.chosen, other.chosen)
    assert found_estimate is not None
    assert found_estimate.performance.accuracy == pytest.approx(
        performance(state.chosen).accuracy, abs=0.02)  # fmt: skip
    with pytest.raises(TableError):
        state.update(scores[:, :2])
    with pytest.raises(TableError):
        state.merge(MulticlassState(["a", "b"]))


def test_a_worse_slice_is_found_and_no_other() -> None:
    scores, labels = drawn(20_000, 11)
    random = np.random.default_rng(12)
    ward = random.choice(["north", "south", "east"], 20_000)
    noisy = ward == "east"
    labels[noisy] = np.where(
        random.random(int(noisy.sum())) < 0.4, 1 - labels[noisy], labels[noisy]
    )
    slices = SliceScores("ward", ["north", "south", "east"])
    slices.update(ward.tolist(), scores, labels)
    found = worse_slices({"ward": slices})
    assert {one.slice for one in found if one.differs} == {"ward = east"}
    assert {one.metric for one in found if one.differs} == {"accuracy", "auc"}
    rare = SliceScores("name", ["common"])
    rare.update(["Erika Mustermann"] * 100, scores[:100], labels[:100])
    assert rare.states[OTHERS].rows == 100


def test_the_variance_of_the_area_is_that_of_resampling() -> None:
    areas, guesses = [], []
    for seed in range(200):
        scores, labels = drawn(400, 100 + seed)
        state = state_of(scores, labels)
        known = state.counts[:, :2].sum(axis=0)
        areas.append(performance(state).auc)
        guesses.append(area_variance(known[1], known[0]))
    assert np.mean(guesses) == pytest.approx(np.var(areas), rel=0.25)
