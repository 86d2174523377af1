"""The membership tests of an assessment: what they tell, when they refuse, and that they notice
when they are broken."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier
from tests.engines.robustness.membership.membership_cases import planted, small_pool

from strongroom.engines.robustness.membership import attacks, label_only, tests
from strongroom.engines.robustness.membership.canaries import islands
from strongroom.engines.robustness.membership.evidence import Evidence, asked, gather
from strongroom.engines.robustness.membership.pool import Flags, pooled
from strongroom.engines.robustness.membership.rates import auc
from strongroom.engines.robustness.membership.signals import Signal
from strongroom.engines.robustness.membership.tests import Settings
from strongroom.engines.robustness.outcome import Outcome, Status, judge
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, OutputForm, Rows, Scores, Target

Test = Callable[[Evidence, Settings, int], Outcome]
BAYES = Estimator("bayes", GaussianNB(), 2, is_own=True)
POOL = small_pool(60, 60)


@pytest.fixture(scope="module")
def honest() -> Evidence:
    """Of a model that hardly remembers a row."""
    members = POOL.rows[POOL.is_member], POOL.truth[POOL.is_member]
    return gather(POOL, Target(BAYES.fit(*members, 0), classes=2), BAYES, fits=8, seed=3)


@pytest.mark.parametrize("test", [tests.lira, tests.rmia], ids=["lira", "rmia"])
def test_a_model_that_remembers_fails_and_its_rows_are_named(test: Test) -> None:
    names = [f"P{place:03d}" for place in range(500)]
    groups = {"sex": ["f" if place % 2 else "m" for place in range(500)]}
    found = test(planted(), Settings(names=names, groups=groups), 5)
    assert judge(found, tests.GATES[found.test]) is Status.FAILED
    exposed = found.listed["most exposed"]
    assert len(exposed) == 20
    assert all(one["row"] in names for one in exposed)
    assert [one["score"] for one in exposed] == sorted(
        (one["score"] for one in exposed), reverse=True
    )
    shares = found.listed["groups"]
    assert set(shares) == {"sex: f", "sex: m"}
    assert all(one["members"] == 250 and one["low"] <= one[tests.AT_1] for one in shares.values())
    worst = found.measure(f"{tests.AT_1} of the worst group")
    assert worst is not None
    assert worst.value == max(one[tests.AT_1] for one in shares.values())
    assert found.queries == 1000


@pytest.mark.parametrize("test", [tests.lira, tests.rmia, tests.loss], ids=["lira", "rmia", "loss"])
def test_a_model_that_hardly_remembers_has_an_even_area(test: Test, honest: Evidence) -> None:
    found = test(honest, Settings(), 5)
    area = found.measure("AUC")
    assert area is not None
    assert area.low is not None
    assert area.low < 0.55
    assert found.canary is not None
    assert found.canary.was_found, found.canary.found
    assert judge(found, []) is Status.INFORMATION


def _swapped(own: Signal, shadows: Signal, is_in: Flags, **rest: object) -> Signal:
    return attacks.lira(own, shadows, ~is_in)


def _unheeding(own: Signal, shadows: Signal, is_in: Flags, **rest: object) -> Signal:
    return attacks.loss(own)


def _misplaced(own: Signal, shadows: Signal, is_in: Flags, **rest: object) -> Signal:
    return attacks.lira(own, np.roll(shadows, 1, axis=1), np.roll(is_in, 1, axis=1))


def _constant(own: Signal, shadows: Signal, is_in: Flags, **rest: object) -> Signal:
    return np.zeros_like(own)


@pytest.mark.parametrize("broken", [_swapped, _unheeding, _misplaced, _constant])
@pytest.mark.parametrize("name", ["lira", "rmia"])
def test_a_broken_attack_misses_its_canary(
    name: str,
    broken: Callable[..., Signal],
    honest: Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = attacks.lira, attacks.loss  # the broken ones lean on them

    def run(own: Signal, shadows: Signal, is_in: Flags, **rest: object) -> Signal:
        with monkeypatch.context() as patch:
            patch.setattr(attacks, "lira", kept[0])
            return broken(own, shadows, is_in)

    monkeypatch.setattr(attacks, name, run)
    found = getattr(tests, name)(honest, Settings(), 5)
    assert judge(found, tests.GATES[found.test]) is Status.INVALID


def test_a_loss_that_is_turned_round_misses_its_canary(
    honest: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "loss", lambda own: -own)
    assert judge(tests.loss(honest, Settings(), 5), []) is Status.INVALID


def test_rows_that_differ_by_themselves_make_the_test_invalid() -> None:
    # Members came first, when labels were better: nothing of that is the model's fault.
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(600, 3))
    truth = (rows[:, 0] > 0).astype(np.int64)
    truth[300:] = np.where(rng.random(300) < 0.4, 1 - truth[300:], truth[300:])
    pool = pooled((rows[:300], truth[:300]), (rows[300:], truth[300:]), classes=2, seed=0)
    line = Estimator("line", LogisticRegression(), 2, is_own=True)
    target = Target(line.fit(rows[:300], truth[:300], 0), classes=2)
    found = tests.loss(gather(pool, target, line, fits=4, seed=1), Settings(), 5)
    assert judge(found, []) is Status.INVALID
    assert found.canary is not None
    assert "the rows themselves differ" in found.canary.found


@pytest.mark.parametrize("test", [tests.lira, tests.rmia], ids=["lira", "rmia"])
def test_a_recipe_that_makes_other_models_makes_the_test_invalid(test: Test) -> None:
    members = POOL.rows[POOL.is_member], POOL.truth[POOL.is_member]
    tree = Estimator("tree", DecisionTreeClassifier(random_state=0), 2, is_own=True)
    target = Target(tree.fit(*members, 0), classes=2)
    other = Estimator("tree", DummyClassifier(), 2, is_own=True)  # as if fitting went wrong
    evidence = gather(POOL, target, other, fits=8, seed=3)
    found = test(evidence, Settings(), 5)
    assert judge(found, tests.GATES[found.test]) is Status.INVALID
    assert found.canary is not None
    assert "not fitted as it was" in found.canary.found


def test_a_regression_that_remembers_is_found() -> None:
    pool = small_pool(80, 80, classes=1)
    recipe = Estimator("nearest", KNeighborsRegressor(2), 1, is_own=True)
    target = Target(recipe.fit(pool.rows[:80], pool.truth[:80], 0), classes=1)
    evidence = gather(pool, target, recipe, fits=8, seed=3)
    for test in (tests.lira, tests.rmia, tests.loss):
        found = test(evidence, Settings(), 5)
        area = found.measure("AUC")
        assert area is not None
        assert area.low is not None
        assert area.low > 0.55, found.test
        assert found.canary is not None
        assert found.canary.was_found, found.canary.found


def test_an_unknown_recipe_makes_the_figures_lower_bounds(honest: Evidence) -> None:
    assert honest.shadows is not None
    members = POOL.rows[POOL.is_member], POOL.truth[POOL.is_member]
    other = Estimator("other", GaussianNB(), 2)
    target = Target(BAYES.fit(*members, 0), classes=2)
    found = tests.lira(gather(POOL, target, other, fits=4, seed=3), Settings(), 5)
    assert any("lower bounds" in words for words in found.words)
    own = tests.lira(honest, Settings(), 5)
    assert not any("lower bounds" in words for words in own.words)


def test_a_claim_of_privacy_is_refuted_by_a_model_that_remembers(honest: Evidence) -> None:
    settings = Settings(claims_privacy=True, delta=1e-6)
    claim = [tests.claim_gate(1.0)]
    assert judge(tests.lira(planted(), settings, 5), claim) is Status.FAILED
    assert judge(tests.lira(honest, settings, 5), claim) is Status.PASSED
    assert judge(tests.lira(planted(), Settings(), 5), claim) is Status.FAILED  # not measured


def test_twins_and_missing_numbers_are_told() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    truth = np.arange(60) % 2
    broken = np.vstack([rows, [[np.nan, 0.0]]])
    pool = pooled(
        (broken, np.append(truth, 0)),
        (np.vstack([rows[:25], rows[:5] + 9]), np.append(truth[:25], truth[:5])),
        classes=2, seed=0,
    )  # fmt: skip
    target = Target(BAYES.fit(rows, truth, 0), classes=2)
    words = " ".join(tests.loss(asked(pool, target), Settings(), 5).words)
    assert "25 of the other rows equal a member" in words
    assert "1 rows lack a number" in words


def test_few_rows_labels_and_no_shadows_are_reasons() -> None:
    few = small_pool(19, 60)
    members = few.rows[few.is_member], few.truth[few.is_member]
    model = BAYES.fit(*members, 0)
    bare = asked(few, Target(model, classes=2))
    for test in (tests.lira, tests.rmia, tests.loss):
        assert "20 of each" in test(bare, Settings(), 5).reason
    labels = asked(POOL, Target(model, classes=2, form=OutputForm(shows="labels")))
    for test in (tests.lira, tests.rmia):
        assert "labels alone" in test(labels, Settings(), 5).reason
        assert "no shadow" in test(asked(POOL, Target(model, classes=2)), Settings(), 5).reason
    assert tests.loss(labels, Settings(), 5).reason == ""


def test_a_model_that_always_answers_the_same_tells_nothing() -> None:
    def always(rows: Rows) -> Scores:
        return np.tile([1.0, 0.0], (len(rows), 1))

    class Always:
        name, is_own, classes = "always", True, 2

        def fit(self, rows: Rows, labels: object, seed: int) -> Callable[[Rows], Scores]:
            return always

    pool = small_pool(30, 30, classes=1)
    pool = pooled((pool.rows[:30], np.zeros(30)), (pool.rows[30:], np.zeros(30)), classes=2, seed=0)
    target = Target(always, classes=2)
    evidence = gather(pool, target, Always(), fits=4, seed=0)
    for test in (tests.lira, tests.rmia, tests.loss):
        area = test(evidence, Settings(), 1).measure("AUC")
        assert area is not None
        assert area.value == 0.5


def test_a_tree_that_is_always_sure_does_not_hide_behind_it() -> None:
    # Its answers are 0 and 1, no more than labels; what other trees make of a row still tells.
    pool = small_pool(100, 100, 3)
    tree = Estimator("tree", DecisionTreeClassifier(), 3, is_own=True)
    target = Target(tree.fit(pool.rows[:100], pool.truth[:100], 0), classes=3)
    evidence = gather(pool, target, tree, fits=16, seed=1)
    assert not np.isfinite(evidence.own).any()
    found = tests.lira(evidence, Settings(), 1)
    area = found.measure("AUC")
    assert area is not None
    assert area.low is not None
    assert area.low > 0.75
    assert any("of all pairs" in words for words in found.words)


# ---- labels alone ----


def test_labels_alone_find_the_members_of_islands() -> None:
    planted_here = islands(4)
    target = Target(planted_here.predict, classes=2, form=OutputForm(shows="labels"))
    found = tests.label_only(planted_here.pool, target, planted_here.space, Settings(), 3)
    area = found.measure("AUC")
    assert area is not None
    assert area.value > 0.95
    assert judge(found, tests.GATES[found.test]) is Status.FAILED
    assert found.queries == 200 * label_only.QUERIES


def _shortsighted(target: Target, space: Space, rows: Rows, truth: Labels, *rest: object) -> Signal:
    return np.asarray(target.labels(rows) == truth, dtype=np.float64)


def test_who_looks_at_the_labels_of_rows_alone_misses_the_canary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tests, "robustness", _shortsighted)
    target = Target(islands(4).predict, classes=2)
    found = tests.label_only(islands(4).pool, target, islands(4).space, Settings(rows=20), 3)
    assert judge(found, []) is Status.INVALID


def test_labels_alone_keep_to_the_budget() -> None:
    target = Target(islands(4).predict, classes=2, budget=60 * label_only.QUERIES)
    found = tests.label_only(islands(4).pool, target, islands(4).space, Settings(), 3)
    assert found.queries == 60 * label_only.QUERIES
    assert target.left == 0
    again = tests.label_only(islands(4).pool, target, islands(4).space, Settings(), 3)
    assert "limit on queries" in again.reason
    numbers = small_pool(classes=1)
    assert tests.label_only(numbers, target, Space.box(3), Settings(), 3).reason


def test_the_same_seed_gives_the_same_outcome(honest: Evidence) -> None:
    assert tests.lira(honest, Settings(), 5) == tests.lira(honest, Settings(), 5)
    share = auc(honest.own, POOL.is_member)
    assert share.low < share.high
