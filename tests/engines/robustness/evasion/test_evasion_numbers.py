"""Models that answer with numbers: what counts as wrong, exact distances, constraints, the test."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.engines.robustness.evasion.evasion_models import (
    WEIGHTS,
    loan_rows,
    loan_space,
    silent,
)  # fmt: skip

from strongroom.engines.robustness.evasion import assessing, gradients, linear, numbers
from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings, part
from strongroom.engines.robustness.evasion.certificates import certified
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm, Numbers
from strongroom.engines.robustness.evasion.probing import planted_trees
from strongroom.engines.robustness.outcome import Outcome, Status, judge
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import OutputForm, Rows, Scores, Target
from strongroom.errors import ValidationError

SLOPE = 10 * WEIGHTS[1]
TOLERANCE = 4.0
SETTINGS = Settings(rows=10, queries=900, canary_rows=4, tolerance=TOLERANCE)
ROWS = np.random.default_rng(0).random((30, 6))
Test = Callable[[Case, Settings, int, Progress], Outcome]


def number(points: Rows) -> Scores:
    """A linear model of six numbers, in a unit of its own."""
    return np.asarray((points @ SLOPE + 100.0)[:, None])


def case_of(**changed: object) -> Case:
    gradient = gradients.of_linear(np.stack([0 * SLOPE, SLOPE]), np.array([0.0, 100.0]))
    case = Case(Target(number, classes=1), Space.box(6), ROWS, np.zeros(30, dtype=np.int64),
                gradient)  # fmt: skip
    return replace(case, **changed)  # type: ignore[arg-type] # its fields


def exact(rows: Rows, norm: Norm) -> Numbers:
    """The shortest way to an answer that differs by the tolerance, on either side."""
    need, low, high = np.full(len(rows), TOLERANCE), np.zeros_like(rows), np.ones_like(rows)
    both = [
        linear.shortest(need, side * np.tile(SLOPE, (len(rows), 1)), rows, low, high, norm)[1]
        for side in (1, -1)
    ]
    return np.minimum(*both)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(
    ("test", "most"),
    [(assessing.decision, 1.1), (assessing.score, 1.02), (assessing.gradient, 1.02)],
    ids=["decision", "score", "gradient"],
)
def test_distances_are_the_exact_ones_of_a_linear_model(
    test: Test, most: float, norm: Norm
) -> None:
    seen: list[float] = []
    outcome = test(case_of(), replace(SETTINGS, norm=norm), 1, seen.append)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    middle, queries = outcome.measure("median distance"), outcome.measure("queries a row")
    assert middle and queries  # noqa: PT018 # both are there
    known = exact(ROWS, norm)
    near = {one["row"]: one["distance"] for one in outcome.listed["nearest rows"]}
    ratios = np.array([found / known[row] for row, found in near.items()])
    assert (ratios >= 1 - 1e-5).all()
    assert np.median(ratios) <= most
    assert queries.value <= SETTINGS.queries
    assert outcome.measure("accuracy") is None  # nobody knows what is right
    assert "moves the answer by more than 4" in outcome.words[0]
    assert seen == sorted(seen)
    assert judge(outcome, []) is Status.INFORMATION


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_distances_of_a_linear_model_are_proved(norm: Norm) -> None:
    inside = np.stack([0 * SLOPE, SLOPE]), np.array([0.0, 100.0])
    settings = replace(SETTINGS, norm=norm, declared=0.05)
    seen: list[float] = []
    outcome = certified(case_of(), inside, settings, 1, seen.append)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    known = exact(ROWS, norm)
    for one in outcome.listed["nearest rows"]:
        assert one["distance"] == pytest.approx(known[one["row"]], abs=1e-5)
    proved, broken = outcome.curves
    assert all(a[1] <= b[1] for a, b in zip(proved.points, broken.points, strict=True))
    assert seen == sorted(seen)
    other = inside[0] * 1.01, inside[1]
    assert "does not answer" in certified(case_of(), other, settings, 1, silent).reason
    bare = replace(settings, tolerance=None)
    assert "no tolerance" in certified(case_of(), inside, bare, 1, silent).reason
    forest = planted_trees(np.arange(6), np.random.default_rng(0))
    assert "classes" in certified(case_of(), forest, settings, 1, silent).reason


def test_both_sides_are_tried_and_the_nearer_counts() -> None:
    # Near the top of the range only the way down is left.
    def top(points: Rows) -> Scores:
        return points[:, :1]

    rows = np.array([[0.95, 0.5], [0.05, 0.5], [0.5, 0.5]])
    case = Case(Target(top, classes=1), Space.box(2), rows, np.zeros(3, dtype=np.int64))
    outcome = assessing.score(case, replace(SETTINGS, tolerance=0.2), 0, silent)
    near = {one["row"]: one["distance"] for one in outcome.listed["nearest rows"]}
    assert near == {0: pytest.approx(0.2, 1e-2), 1: pytest.approx(0.2, 1e-2),
                    2: pytest.approx(0.2, 1e-2)}  # fmt: skip
    assert outcome.measures[1].value == 1.0  # all evaded


def test_two_classes_are_made_of_numbers() -> None:
    case = numbers.as_classes(case_of(), TOLERANCE)
    moved = case.rows.copy()
    step = SLOPE / (SLOPE @ SLOPE)
    for by, wrong in ((TOLERANCE * 0.99, 0), (TOLERANCE * 1.01, 1), (-TOLERANCE * 1.01, 1)):
        moved[:, :6] = ROWS + by * step
        assert (case.target.labels(moved) == wrong).all()
        sides = numbers.on_both_sides(moved)
        below, above = case.target.labels(sides).reshape(2, -1)
        assert (below == (by < -TOLERANCE)).all()
        assert (above == (by > TOLERANCE)).all()
        # The lead and its slopes are those of the two classes, on every side.
        assert case.gradient is not None
        lead, slopes = case.gradient(sides, np.zeros(60, dtype=np.int64))
        scores = case.target.scores(sides)
        np.testing.assert_allclose(lead, scores[:, 0] - scores[:, 1])
        expected = np.outer(np.repeat([1.0, -1.0], 30), SLOPE / TOLERANCE)
        np.testing.assert_allclose(slopes[:, :6], expected)
        assert (slopes[:, 6:] == 0).all()
    assert (case.target.labels(case.held()) == 1).all()  # any row of the pool may be a start


def test_hunts_of_both_sides_come_together() -> None:
    case = numbers.as_classes(case_of(), TOLERANCE)
    hunt = Hunt(case.target, case.space, numbers.on_both_sides(case.rows[:3]),
                np.zeros(6, dtype=np.int64))  # fmt: skip
    hunt.distances = np.array([1.0, np.inf, 3.0, 2.0, np.inf, 1.0])
    hunt.best[:, 0] = np.arange(6)
    made = numbers.together(hunt)
    assert made.distances.tolist() == [1.0, np.inf, 1.0]
    assert made.best[:, 0].tolist() == [0, 1, 5]
    assert (made.best[:, -1] == 0.5).all()
    assert len(made.labels) == len(made.origins) == 3
    assert hunt.distances.tolist() == [1.0, np.inf, 3.0, 2.0, np.inf, 1.0]


@pytest.mark.parametrize("test", [assessing.decision, assessing.constrained])
def test_constraints_bind_here_too(test: Test) -> None:
    space = loan_space()
    rows = loan_rows(space)

    def rate(points: Rows) -> Scores:
        values = space.matrix(points)
        return (values[:, 1] / 10 - values[:, 0] / 20 + 2.0 * values[:, 2])[:, None]

    case = Case(Target(rate, classes=1), space, rows, np.zeros(len(rows), dtype=np.int64))
    outcome = test(case, replace(SETTINGS, tolerance=2.0, queries=1_200), 1, silent)
    valid, evaded = outcome.measure("valid rows"), outcome.measure("evaded")
    assert valid and evaded  # noqa: PT018 # both are there
    assert valid.value == 1.0
    assert evaded.value >= 0.9
    assert outcome.canary is not None
    assert outcome.canary.was_found


def test_odd_models_and_settings() -> None:
    same = Target(lambda rows: np.full((len(rows), 1), 7.0), classes=1)
    few = replace(SETTINGS, rows=3, queries=200)
    outcome = assessing.decision(case_of(target=same, gradient=None), few, 0, silent)
    assert outcome.measures[1].value == 0.0  # none evaded
    rounded = case_of(target=Target(number, classes=1, form=OutputForm(decimals=0)))
    assert assessing.score(rounded, SETTINGS, 0, silent).measures
    missing = ROWS.copy()
    missing[:28, 0] = np.nan
    odd = assessing.decision(case_of(rows=missing), few, 0, silent)
    assert any("28 rows with missing values" in words for words in odd.words)
    nothing = np.full_like(ROWS, np.nan)
    assert assessing.decision(case_of(rows=nothing), few, 0, silent).reason
    poor = case_of(target=Target(number, classes=1, budget=2))
    assert assessing.decision(poor, few, 0, silent).reason
    assert assessing.transferred(case_of(), few, 0, silent).reason
    assert assessing.decision(case_of(), replace(few, tolerance=None), 0, silent).reason
    for tolerance in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValidationError, match="tolerance"):
            assessing.decision(case_of(), replace(few, tolerance=tolerance), 0, silent)
    name = Space(
        [Feature("answer before"), Feature("side"), *(Feature(f"x{at}") for at in range(4))]
    )
    assert assessing.decision(case_of(space=name), few, 0, silent).measures


def test_slopes_of_another_model_are_not_followed() -> None:
    other = gradients.of_linear(np.stack([0 * SLOPE, -SLOPE]), np.array([0.0, 300.0]))
    assert (
        "does not answer" in assessing.gradient(case_of(gradient=other), SETTINGS, 0, silent).reason
    )
    nonsense = case_of(gradient=lambda points, _: (np.full(len(points), np.nan), points * np.nan))
    assert "does not answer" in assessing.gradient(nonsense, SETTINGS, 0, silent).reason
    assert assessing.decision(nonsense, SETTINGS, 0, silent).measures


def test_progress_of_a_part() -> None:
    seen: list[float] = []
    tell = part(seen.append, 0.2, 0.6)
    for share in (0.0, 0.5, 1.0, 7.0):
        tell(share)
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.6])
