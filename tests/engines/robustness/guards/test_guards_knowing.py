"""What a guard is worth against an attacker who knows it, and the test that says so."""

import numpy as np
import pytest

from strongroom.engines.robustness.evasion.hopskipjump import Jumps
from strongroom.engines.robustness.guards import tests as room
from strongroom.engines.robustness.guards.gaussians import Gaussians
from strongroom.engines.robustness.guards.guard import Guard, Settings, fit
from strongroom.engines.robustness.guards.knowing import Attacked, attacked, flagged
from strongroom.engines.robustness.guards.neighbours import Neighbours
from strongroom.engines.robustness.outcome import Gate, Status, judge
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, Predict, Rows, Target

Table = tuple[Rows, Labels]
JUMPS = Jumps(rounds=4, first=30)


def brittle(seed: int, count: int) -> Table:
    """Classes that lie far apart in four features, and close together in a fifth.

    All values are whole steps of the space.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    wide = np.where(labels, 0.65, 0.35)[:, None] + 0.05 * rng.standard_normal((count, 4))
    narrow = np.where(labels, 0.52, 0.48) + 0.006 * rng.standard_normal(count)
    rows = np.clip(np.column_stack([wide, narrow]), 0, 1)
    return np.round(rows * 512) / 512, labels


def narrow(rows: Rows) -> Rows:
    """A model that looks at the fifth feature alone, where a small step is enough."""
    chance = 1 / (1 + np.exp(-400 * (rows[:, 4] - 0.5)))
    return np.stack([1 - chance, chance], axis=1)


@pytest.fixture(scope="module")
def case() -> tuple[Table, Table, Predict, Space]:
    """Reference, held-out rows, the model, the space."""
    space = Space([Feature(f"x{at}", step=1 / 512) for at in range(5)])
    return brittle(0, 400), brittle(1, 900), narrow, space


@pytest.fixture(scope="module")
def guard(case: tuple[Table, Table, Predict, Space]) -> Guard:
    reference, (rows, labels), predict, _ = case
    return fit(reference, (rows[:600], labels[:600]), predict, classes=2,
               settings=Settings(rate=0.02))  # fmt: skip


@pytest.fixture(scope="module")
def made(case: tuple[Table, Table, Predict, Space], guard: Guard) -> Attacked:
    reference, (rows, labels), predict, space = case
    right = np.flatnonzero(predict(rows[600:]).argmax(axis=1) == labels[600:])[:16] + 600
    return attacked(
        predict, guard, space, rows[right], labels[right], reference[0], seed=1, jumps=JUMPS
    )


def test_who_knows_the_guard_passes_it_and_walks_farther(
    case: tuple[Table, Table, Predict, Space], guard: Guard, made: Attacked
) -> None:
    predict, space = case[2], case[3]
    won = np.isfinite(made.knowing_distances)
    assert won.sum() >= 14
    assert not flagged(predict, guard, made.knowing[won]).any()
    assert (predict(made.knowing[won]).argmax(axis=1) != made.labels[won]).all()
    assert np.median(made.knowing_distances[won]) > 3 * np.median(made.blind_distances)
    for points in (made.blind, made.overshot, made.noise, made.knowing):
        assert space.valid(points, made.origins).all(), "a value between two steps"
    assert (np.diff([made.stopped(factor).mean() for factor in (1, 1.5, 2, 4)]) <= 0).all()


def test_the_controls_tell_an_attack_from_its_length(
    case: tuple[Table, Table, Predict, Space], guard: Guard, made: Attacked
) -> None:
    predict = case[2]
    lengths = [np.linalg.norm(one - made.origins, axis=1) for one in (made.noise, made.overshot)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=0.005)
    assert flagged(predict, guard, made.noise).mean() < 0.2
    assert flagged(predict, guard, made.blind).mean() > 0.8
    assert flagged(predict, guard, made.overshot).mean() > 0.8


def test_the_assessment_measures_both_attackers(
    case: tuple[Table, Table, Predict, Space],
) -> None:
    reference, held_out, predict, space = case
    target = Target(predict, classes=2)
    settings = room.DetectionSettings(Settings(rate=0.02), victims=10, jumps=JUMPS)
    outcome = room.detection(reference, held_out, target, space, settings, 3)
    again = room.detection(reference, held_out, target, space, settings, 3)
    assert outcome == again
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert target.queries == 0, "what a person measures is not what an attacker spends"
    assert judge(outcome, room.GATES[room.DETECTION]) in {Status.PASSED, Status.FAILED}
    assert judge(outcome, [Gate(room.FALSE_ALARMS, "at most", 0.06)]) is Status.PASSED
    stopped = outcome.measure(room.STOPPED)
    assert stopped is not None
    assert (stopped.low or 0) <= stopped.value <= (stopped.high or 0)
    assert outcome.curves[0].points[0][1] >= outcome.curves[0].points[-1][1]


def test_a_guard_that_sees_nothing_misses_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    assert room._island(1).was_found
    with monkeypatch.context() as patch:
        patch.setattr(Neighbours, "evidence", lambda _, rows, __: (np.zeros(len(rows)),) * 2)
        patch.setattr(Gaussians, "distances", lambda _, rows: np.zeros(len(rows)))
        assert not room._island(1).was_found
    with monkeypatch.context() as patch:
        # A guard that sees length alone, so that it cries at noise and at islands alike.
        patch.setattr(room, "flagged", lambda *_: np.ones(100, dtype=bool))
        assert not room._island(1).was_found


@pytest.mark.parametrize(
    ("classes", "rows", "says"),
    [(1, 900, "regression"), (2, 30, "held-out rows")],
    ids=["regression", "few"],
)
def test_where_it_does_not_apply_it_says_so(
    case: tuple[Table, Table, Predict, Space], classes: int, rows: int, says: str
) -> None:
    reference, held_out, predict, space = case
    target = Target(predict, classes=classes)
    outcome = room.detection(reference, (held_out[0][:rows], held_out[1][:rows]), target, space)
    assert says in outcome.reason
    assert judge(outcome, room.GATES[room.DETECTION]) is Status.NOT_APPLICABLE


def test_one_class_and_a_model_that_is_always_wrong_are_reasons(
    case: tuple[Table, Table, Predict, Space],
) -> None:
    reference, held_out, predict, space = case
    one = (reference[0], np.zeros_like(reference[1]))
    assert room.detection(one, held_out, Target(predict, classes=2), space).reason
    wrong = Target(lambda rows: np.roll(predict(rows), 1, axis=1), classes=2)
    assert "rightly" in room.detection(reference, held_out, wrong, space).reason
