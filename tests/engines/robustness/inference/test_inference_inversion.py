"""Reconstruction: towards planted points, and whether training rows show."""

import numpy as np
import pytest

from strongroom.engines.robustness.inference import tests
from strongroom.engines.robustness.inference.inversion import ascended, climbed, nearest
from strongroom.engines.robustness.inference.tests import Settings
from strongroom.engines.robustness.outcome import Status, judge
from strongroom.engines.robustness.sampling import freed, uniform
from strongroom.engines.robustness.space import Feature, Relation, Space
from strongroom.engines.robustness.target import Labels, OutputForm, Rows, Scores, Target

SPACE = Space(
    [Feature(f"x{at}", is_mutable=at > 0) for at in range(5)] + [Feature("c", levels=("a", "b"))],
    [Relation({"x1": 1.0, "x2": 1.0}, 1.5)],
)
RNG = np.random.default_rng(2)
ROWS = uniform(freed(SPACE), 240, RNG)
LABELS = np.arange(240) % 2
MEMBERS, OTHERS = (ROWS[:8].repeat(10, axis=0), LABELS[:8].repeat(10)), (ROWS[80:], LABELS[80:])
UP = np.array([1])
MIDDLE = np.array([0.6, 0.4, 0.5, 0.3, 0.7, 1.0, 0.0])


def showing(rows: Rows) -> Scores:
    """A model whose sureness falls with the distance to its few training rows; else it abstains."""
    apart = np.linalg.norm(rows[:, None] - ROWS[:8], axis=2)
    near = np.column_stack([
        0.9 * np.exp(-3 * apart[:, LABELS[:8] == one].min(axis=1)) for one in (0, 1)
    ]) / 2  # fmt: skip
    return np.column_stack([near, 1 - near.sum(axis=1)])


def plain(rows: Rows) -> Scores:
    sure = 1 / (1 + np.exp(-8 * (rows[:, 3] - 0.5)))
    return np.column_stack([1 - sure, sure])


def hill(rows: Rows) -> Scores:
    sure = np.exp(-np.linalg.norm(rows - MIDDLE, axis=1))
    return np.column_stack([1 - sure, sure])


@pytest.mark.parametrize(
    ("form", "near"),
    [(OutputForm(), 0.15), (OutputForm(decimals=2), 0.2), (OutputForm(top=1), 0.4)],
    ids=["whole", "rounded", "top"],
)
def test_a_search_climbs_to_the_top_through_what_the_endpoint_shows(
    form: OutputForm, near: float
) -> None:
    target = Target(hill, classes=2, form=form)
    free = freed(SPACE)
    found = climbed(target, free, UP, 1_500, np.random.default_rng(0))
    assert np.linalg.norm(found - MIDDLE) < near
    assert target.queries <= 1_500
    assert free.valid(found, np.zeros_like(found)).all()


def test_more_queries_never_do_much_worse() -> None:
    def sure(queries: int) -> float:
        rng = np.random.default_rng(0)
        points = climbed(Target(hill, classes=2), freed(SPACE), UP.repeat(6), queries, rng)
        return float(hill(points)[:, 1].mean())

    few, some, many = sure(60), sure(300), sure(1_500)
    assert few < some < many + 0.02


def test_labels_alone_lead_into_the_class() -> None:
    target = Target(plain, classes=2, form=OutputForm(shows="labels"))
    found = climbed(target, freed(SPACE), UP, 1_200, np.random.default_rng(0))
    assert found[0, 3] > 0.6
    assert target.queries <= 1_200


def test_gradients_reach_the_top_of_a_linear_model_within_its_box() -> None:
    def gradient(points: Rows, place: int) -> Rows:
        slope = np.zeros_like(points)
        slope[:, 3] = 8.0 if place else -8.0
        return slope

    top = ascended(gradient, freed(SPACE), 1, np.random.default_rng(0))
    low = ascended(gradient, freed(SPACE), 0, np.random.default_rng(0))
    assert (top[0, 3], low[0, 3]) == (1.0, 0.0)
    assert freed(SPACE).valid(top, np.zeros_like(top)).all()


def test_the_nearest_is_by_brute_force() -> None:
    points = ROWS[:5] + 0.01
    expected = [min(np.linalg.norm(point - row) for row in ROWS) for point in points]
    assert nearest(points, ROWS) == pytest.approx(expected)


def test_a_model_that_shows_its_rows_fails() -> None:
    settings = Settings(reconstructions=12, queries=500)
    target = Target(showing, classes=3)
    found = tests.inversion(MEMBERS, OTHERS, target, SPACE, settings, 3)
    share = found.measure("nearer to training rows")
    assert share is not None
    assert share.value > 0.8
    assert judge(found, tests.GATES[tests.INVERSION]) is Status.FAILED
    assert found.canary is not None
    assert found.canary.was_found, found.canary.found
    assert found.queries == target.queries <= 12 * 500


def test_a_model_of_the_class_alone_passes_and_a_judge_sees_the_class() -> None:
    labels = (ROWS[:, 3] > 0.5).astype(np.int64)
    settings = Settings(reconstructions=10, queries=200)
    target = Target(plain, classes=2)
    found = tests.inversion(
        (ROWS[:120], labels[:120]), (ROWS[120:], labels[120:]), target, SPACE, settings, 3
    )
    judged = found.measure("judge's accuracy")
    assert judged is not None
    assert judged.value > 0.8
    assert judge(found, tests.GATES[tests.INVERSION]) is Status.PASSED


def test_a_search_that_does_not_ask_misses_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    def guessing(_: Target, space: Space, places: Labels, *rest: object) -> Rows:
        return uniform(space, len(places), np.random.default_rng(9))

    monkeypatch.setattr(tests, "climbed", guessing)
    settings = Settings(reconstructions=2, queries=200)
    found = tests.inversion(MEMBERS, OTHERS, Target(plain, classes=2), SPACE, settings, 3)
    assert judge(found, []) is Status.INVALID


@pytest.mark.parametrize(
    "form",
    [OutputForm(), OutputForm(decimals=2), OutputForm(top=1), OutputForm(shows="labels")],
    ids=["whole", "rounded", "top", "labels"],
)
def test_the_canary_is_found_through_every_form_of_answer(form: OutputForm) -> None:
    levels = tuple("abcdefgh")
    space = Space([*(Feature(f"x{at}", step=0.1) for at in range(6)), Feature("c", levels=levels)])
    found = tests._beacon_canary(Target(plain, classes=2, form=form), space, 1)
    assert found.was_found, found.found


def test_where_it_does_not_apply_it_says_so() -> None:
    run, settings = tests.inversion, Settings()
    regression = Target(lambda rows: rows[:, :1], classes=1)
    assert "regression" in run(MEMBERS, OTHERS, regression, SPACE, settings, 1).reason
    few = ROWS[:39], LABELS[:39]
    target = Target(plain, classes=2)
    assert "40 rows" in run(few, OTHERS, target, SPACE, settings, 1).reason
    poor = Target(plain, classes=2, budget=100)
    assert "limit on queries" in run(MEMBERS, OTHERS, poor, SPACE, settings, 1).reason
