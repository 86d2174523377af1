"""Randomised smoothing against a linear model, whose radii are known, and the test of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.engines.robustness.evasion.evasion_models import (
    breast,
    linear,
    loan_model,
    loan_rows,
    loan_space,
    network,
    silent,
)  # fmt: skip

from strongroom.engines.robustness.evasion import smoothing
from strongroom.engines.robustness.evasion.cases import Case, Settings
from strongroom.engines.robustness.evasion.hunt import Norm
from strongroom.engines.robustness.evasion.smoothed import smoothed
from strongroom.engines.robustness.evasion.smoothing import smooth
from strongroom.engines.robustness.outcome import Status, judge
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, OutputForm, QueriesSpent, Rows, Target

SLOPE = np.array([0.6, -0.8, 0.0])
SETTINGS = Settings(rows=20, queries=600, declared=0.1)


def sign(points: Rows) -> Labels:
    return np.asarray(points @ SLOPE > 0, dtype=np.int64)


def test_radii_of_a_linear_model_come_near_the_exact_ones() -> None:
    exact = np.linspace(0.02, 0.3, 15)
    rows = np.outer(exact, SLOPE) + np.outer(np.ones(15), [0.8, 0.6, 5.0])
    everywhere = np.ones(3, dtype=bool)
    found = smooth(sign, rows, 0.15, everywhere, 2, np.random.default_rng(1), draws=4_000)
    assert ((found.labels == 1) | (found.labels == -1)).all()
    assert (found.radii <= exact).all()
    # What 4,000 draws can certify where a share p = Phi(radius / spread) is the truth.
    # Its bound lies 3.1 deviations below what is drawn, and that, for 15 rows, at most 2.9 below.
    share = stats.norm.cdf(exact / 0.15)
    reach = share - 6 * np.sqrt(share * (1 - share) / 4_000)
    able = reach > 0.5
    assert (found.radii[able] >= 0.15 * stats.norm.ppf(reach[able])).all()
    assert able.sum() > 10
    again = smooth(sign, rows, 0.15, everywhere, 2, np.random.default_rng(1), draws=4_000)
    assert (again.radii == found.radii).all()


def test_who_stands_on_the_edge_abstains() -> None:
    rows = np.outer(np.ones(20), [0.8, 0.6, 0.0])
    found = smooth(sign, rows, 0.1, np.ones(3, dtype=bool), 2, np.random.default_rng(0))
    assert (found.labels == -1).all()
    assert (found.radii == 0).all()


def test_only_numbers_that_get_noise_count() -> None:
    rows = np.outer(np.ones(3), SLOPE)
    alone = np.array([False, False, True])  # the model does not look at it
    found = smooth(sign, rows, 10.0, alone, 2, np.random.default_rng(0), draws=400)
    assert found.radii.min() == found.radii.max() > 10


def test_where_the_queries_end_the_rest_abstains() -> None:
    left = 2_500

    def answer(points: Rows) -> Labels:
        nonlocal left
        left -= len(points)
        if left < 0:
            raise QueriesSpent
        return sign(points)

    rows = np.outer(np.ones(5), SLOPE)
    found = smooth(answer, rows, 0.1, np.ones(3, dtype=bool), 2, np.random.default_rng(0))
    assert found.labels.tolist() == [1, 1, -1, -1, -1]


# ---- the test of an assessment ----


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_network_is_measured(norm: Norm) -> None:
    fit, labels, points, truth = breast()
    model = network(fit, labels)
    case = Case(Target(model.predict_proba, classes=2), Space.box(30), points, truth)
    settings = replace(SETTINGS, norm=norm, declared=0.1 if norm == "l2" else 0.02)
    seen: list[float] = []
    outcome = smoothed(case, settings, 1, seen.append)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    certified, right, abstained, radius = (
        outcome.measure(name)
        for name in ("smoothed certified accuracy", "smoothed accuracy", "abstained",
                     "median certified radius")
    )  # fmt: skip
    assert certified and right and abstained and radius  # noqa: PT018 # all are there
    assert 0.3 <= certified.value <= right.value <= 1 - abstained.value
    assert radius.value >= settings.declared / 2
    assert outcome.queries == 600 * 20
    assert seen == sorted(seen)
    assert len(seen) > 20
    assert judge(outcome, []) is Status.INFORMATION


def test_a_radius_without_a_bound_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # The share itself in place of its lower bound: too long in half of the cases.
    monkeypatch.setattr(smoothing, "clopper_pearson", lambda hits, tries, _: (hits / tries, 1.0))
    rows = np.random.default_rng(0).random((5, 6))
    case = Case(Target(linear, classes=2), Space.box(6), rows, linear(rows).argmax(axis=1))
    assert judge(smoothed(case, SETTINGS, 0, silent), []) is Status.INVALID


def test_constraints_keep_it_at_numbers_and_when_it_does_not_apply() -> None:
    space = loan_space()
    rows, model = loan_rows(space), loan_model(space)
    labels = np.asarray(model(rows).argmax(axis=1), dtype=np.int64)
    asked: list[Rows] = []

    def predict(points: Rows) -> Rows:
        asked.append(points)
        return model(points)

    case = Case(Target(predict, classes=2), space, rows, labels)
    assert smoothed(case, replace(SETTINGS, rows=3), 0, silent).measures
    for points in asked:
        sex = points[:, space.places["sex"]]
        assert (sex.sum(axis=1) == 1).all()
        children = 5 * points[:, space.places["children"].start]
        np.testing.assert_allclose(children, np.round(children), atol=1e-9)
    number = Case(Target(lambda x: x[:, :1], classes=1), Space.box(6), rows[:, :6], labels)
    words = Space([Feature("a", levels=("x", "y"))])
    category = Case(Target(lambda x: x, classes=2), words, np.eye(2), np.arange(2))
    for other, settings in (
        (number, SETTINGS), (category, SETTINGS), (case, replace(SETTINGS, queries=100)),
        (replace(case, rows=np.full_like(rows, np.nan)), SETTINGS),
    ):  # fmt: skip
        assert smoothed(other, settings, 0, silent).reason
    spent = case.target.again(budget=10, form=OutputForm(shows="labels"))
    outcome = smoothed(replace(case, target=spent), replace(SETTINGS, rows=3), 0, silent)
    abstained = outcome.measure("abstained")
    assert abstained is not None
    assert abstained.value == 1.0
