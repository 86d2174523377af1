"""A guard: its rate, odd and hostile input, its bytes."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from strongroom.engines.robustness.guards import guard as guarding
from strongroom.engines.robustness.guards.guard import Guard, Settings, fit
from strongroom.engines.robustness.guards.knowing import flagged
from strongroom.engines.robustness.guards.packing import MAGIC, from_bytes, to_bytes
from strongroom.engines.robustness.target import Labels, Predict, Rows, Scores
from strongroom.errors import ValidationError

Table = tuple[Rows, Labels]


def blobs(seed: int, count: int = 1_200) -> Table:
    rows, labels = make_blobs(count, centers=[[0.3] * 4, [0.7] * 4], cluster_std=0.12,
                              random_state=seed)  # fmt: skip
    return rows, labels.astype(np.int64)


@pytest.fixture(scope="module")
def model() -> Predict:
    fitted = LogisticRegression().fit(*blobs(0))
    predict: Predict = fitted.predict_proba
    return predict


@pytest.fixture(scope="module")
def guard(model: Predict) -> Guard:
    return fit(blobs(0), blobs(1), model, classes=2)


@pytest.mark.parametrize("settings", [
    Settings(), Settings(over="all"), Settings(group=5), Settings(rate=0.05, is_squeezing=True),
], ids=["plain", "all", "averaged", "squeezing"])  # fmt: skip
def test_it_flags_natural_rows_at_its_rate(model: Predict, settings: Settings) -> None:
    fitted = fit(blobs(0), blobs(1), model, classes=2, settings=settings)
    rows, labels = blobs(2, 6_000)
    held = flagged(model, fitted, rows)
    if settings.over == "right":
        held = held[model(rows).argmax(axis=1) == labels]
    slack = 3 * np.sqrt(settings.rate / len(held))
    assert fitted.rate.low - slack <= held.mean() <= fitted.rate.high + slack


def test_it_flags_a_natural_row_with_the_wrong_answer(model: Predict, guard: Guard) -> None:
    rows, _ = blobs(3, 200)
    scores = model(rows)
    clear = scores.max(axis=1) > 0.99
    wrong = guard.check(rows[clear], scores[clear][:, ::-1])
    assert wrong.is_flagged.mean() > 0.95
    assert (wrong.p[wrong.is_flagged] <= guard.settings.rate).all()
    assert guard.check(rows[clear], scores[clear]).is_flagged.mean() < 0.05


def test_what_is_no_number_or_wild_gets_a_verdict(model: Predict, guard: Guard) -> None:
    rows = np.array([
        [np.nan] * 4, [np.inf] * 4, [-np.inf, 0, 0, 0], [1e308] * 4, [5e-324] * 4, [0.3] * 4,
    ])  # fmt: skip
    verdicts = guard.check(rows, np.tile([0.9, 0.1], (6, 1)))
    assert np.isfinite(verdicts.oddness).all()
    assert verdicts.is_flagged.tolist()[1:4] == [True, True, True]
    assert not verdicts.is_flagged[5]
    assert guard.check(rows[:0], np.empty((0, 2))).p.shape == (0,)


def test_missing_values_in_its_rows_are_middles(model: Predict) -> None:
    (rows, labels), calibration = blobs(0), blobs(1)
    rows[::3, 0] = np.nan
    rows[:, 1] = np.nan
    fitted = fit((rows, labels), calibration, model, classes=2)
    assert np.isfinite(fitted.neighbours.points).all()
    assert fitted.middles[1] == 0


@pytest.mark.parametrize(("change", "says"), [
    (lambda r, c: (r, (c[0][:90], c[1][:90])), "takes 99 calibration rows"),
    (lambda r, c: ((r[0][:10], r[1][:10]), c), "20 reference rows"),
    (lambda r, c: ((r[0], np.zeros_like(r[1])), c), "two classes"),
    (lambda r, c: (r, (c[0][:, :2], c[1])), "one width"),
    (lambda r, c: ((r[0], r[1] + 5), c), "from 0 to 1"),
], ids=["few", "no reference", "one class", "width", "labels"])  # fmt: skip
def test_what_it_cannot_be_fitted_on_is_told(
    model: Predict, change: Callable[[Table, Table], tuple[Table, Table]], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        fit(*change(blobs(0), blobs(1)), model, classes=2)


@pytest.mark.parametrize(
    "settings",
    [Settings(rate=0.0), Settings(rate=0.6), Settings(group=0), Settings(distance_share=0.5)],
    ids=["no rate", "large rate", "no group", "share"],
)
def test_settings_have_ranges(model: Predict, settings: Settings) -> None:
    with pytest.raises(ValidationError):
        fit(blobs(0), blobs(1), model, classes=2, settings=settings)
    with pytest.raises(ValidationError, match="regression"):
        fit(blobs(0), blobs(1), model, classes=1)


@pytest.mark.parametrize(
    ("rows", "scores"),
    [(np.zeros((2, 3)), np.zeros((2, 2))), (np.zeros((2, 4)), np.zeros((2, 3)))],
    ids=["width", "classes"],
)
def test_rows_of_another_shape_are_refused(guard: Guard, rows: Rows, scores: Scores) -> None:
    with pytest.raises(ValidationError, match="the guard knows"):
        guard.check(rows, scores)


def test_its_points_can_be_means_and_never_rows(model: Predict) -> None:
    rows, labels = blobs(0)
    fitted = fit((rows, labels), blobs(1), model, classes=2, settings=Settings(group=5))
    nearest = np.abs(fitted.neighbours.points[:, None] - rows[None, :400]).max(axis=2).min()
    assert len(fitted.neighbours.points) <= len(rows) // 5
    assert nearest > 1e-5


def test_its_bytes_give_the_same_verdicts(model: Predict) -> None:
    rows, _ = blobs(4, 300)
    for settings in (Settings(), Settings(is_squeezing=True, group=2)):
        fitted = fit(blobs(0), blobs(1), model, classes=2, settings=settings)
        again = from_bytes(to_bytes(fitted))
        squeezed = model(fitted.coarser(rows)) if settings.is_squeezing else None
        first, second = (one.check(rows, model(rows), squeezed) for one in (fitted, again))
        np.testing.assert_array_equal(first.oddness, second.oddness)
        assert (again.settings, again.rate, again.signals) == (
            fitted.settings, fitted.rate, fitted.signals,
        )  # fmt: skip


def test_other_bytes_are_no_guard(guard: Guard) -> None:
    good = to_bytes(guard)
    rng = np.random.default_rng(0)
    broken = [b"", b"pickle", MAGIC, MAGIC + b"\x02" + good[len(MAGIC) + 1 :], good[:-9],
              good + b"x"]  # fmt: skip
    for _ in range(60):
        made = bytearray(good)
        made[int(rng.integers(len(MAGIC), len(good)))] ^= int(rng.integers(1, 256))
        broken.append(bytes(made))
    for data in broken:
        with pytest.raises(ValidationError):
            from_bytes(data)


def test_the_most_rows_are_bounded(model: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "MAX_ROWS", 1_000)
    with pytest.raises(ValidationError, match="at most 1,000"):
        fit(blobs(0), blobs(1), model, classes=2)
