"""The tests of an assessment: their measures, their canaries, and when they do not apply."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.engines.robustness.evasion.evasion_models import (
    BIAS,
    WEIGHTS,
    breast,
    forest,
    linear,
    loan_model,
    loan_rows,
    loan_space,
    network,
    silent,
)  # fmt: skip

from strongroom.engines.robustness.evasion import (
    assessing,
    certificates,
    certifying,
    gradients,
    hopskipjump,
    probing,
    stepping,
    trees,
)
from strongroom.engines.robustness.evasion import linear as linear_models
from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings
from strongroom.engines.robustness.outcome import Gate, Outcome, Status, judge
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import OutputForm, Target
from strongroom.errors import ValidationError

Given = Any
"""What a broken part is called with."""
Test = Callable[[Case, Settings, int, Progress], Outcome]

SMALL = Settings(rows=12, queries=900, canary_rows=4)
ALL: tuple[Test, ...] = (
    assessing.decision, assessing.score, assessing.transferred, assessing.gradient,
    assessing.constrained,
)  # fmt: skip


@pytest.fixture(scope="module")
def case() -> Case:
    fit, labels, points, truth = breast()
    model = network(fit, labels)
    return Case(Target(model.predict_proba, classes=2), Space.box(30), points, truth,
                gradients.of_estimator(model), fit)  # fmt: skip


def value(outcome: Outcome, name: str) -> float:
    measure = outcome.measure(name)
    assert measure is not None, outcome
    return measure.value


@pytest.mark.parametrize("test", ALL[:4], ids=["decision", "score", "transfer", "gradient"])
def test_a_network_is_measured(case: Case, test: Test) -> None:
    seen: list[float] = []
    outcome = test(case, SMALL, 1, seen.append)
    assert outcome.test.startswith("evasion.")
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    assert value(outcome, "accuracy") >= value(outcome, "robust accuracy")
    assert value(outcome, "evaded") >= 0.8
    assert value(outcome, "valid rows") == 1.0
    assert 0 < value(outcome, "queries a row") <= SMALL.queries
    # Noise of the same length hardly ever does what the attack does.
    assert value(outcome, "right under noise of that length") >= 0.7
    robust, noise = outcome.curves
    shares = [share for _, share, _, _ in robust.points]
    assert shares == sorted(shares, reverse=True)
    assert noise.points[-1][1] >= robust.points[-1][1]
    assert all(low <= share <= high for _, share, low, high in robust.points)
    assert judge(outcome, [Gate("robust accuracy", "at least", 2.0)]) is Status.FAILED
    assert seen == sorted(seen)  # told of each batch, attack and canary
    assert len(seen) >= 15
    assert seen[-1] == 1.0
    rows = [one["row"] for one in outcome.listed["nearest rows"]]
    assert len(set(rows)) == len(rows) > 0


def test_a_seed_repeats_the_outcome(case: Case) -> None:
    few = replace(SMALL, rows=4, queries=300)
    assert assessing.decision(case, few, 5, silent) == assessing.decision(case, few, 5, silent)


def test_a_broken_estimate_is_found_out_by_the_canary(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        hunt: Given, edge: Given, which: Given, probe: Given, tries: Given, rng: Given
    ) -> Given:
        normal = rng.normal(size=edge.shape)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)

    monkeypatch.setattr(hopskipjump, "_normal", broken)
    outcome = assessing.decision(case, SMALL, 1, silent)
    assert judge(outcome, []) is Status.INVALID


def test_broken_steps_are_found_out_by_the_canary(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = linear_models.shortest

    def broken(need: Given, slopes: Given, *rest: Given) -> Given:
        return real(need, slopes * (np.arange(slopes.shape[1]) < 5), *rest)

    monkeypatch.setattr(stepping, "shortest", broken)
    assert judge(assessing.gradient(case, SMALL, 1, silent), []) is Status.INVALID


@pytest.mark.parametrize(
    "test", [assessing.decision, assessing.score, assessing.constrained],
    ids=["decision", "score", "constrained"],
)  # fmt: skip
def test_a_table_with_constraints(test: Test) -> None:
    space = loan_space()
    rows, model = loan_rows(space), loan_model(space)
    labels = np.asarray(model(rows).argmax(axis=1), dtype=np.int64)
    assert space.valid(rows, rows).all()
    settings = replace(SMALL, declared=0.2, queries=1_500)
    outcome = test(Case(Target(model, classes=2), space, rows, labels), settings, 1, silent)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    assert value(outcome, "valid rows") == 1.0
    assert value(outcome, "accuracy") == 1.0
    assert value(outcome, "evaded") >= 0.9


def test_a_table_of_categories_only() -> None:
    space = Space([Feature("a", levels=("x", "y", "z")), Feature("b", levels=("u", "v"))])
    rng = np.random.default_rng(0)
    rows = space.encode({
        "a": rng.choice(np.array(["x", "y", "z"], dtype=object), 30),
        "b": rng.choice(np.array(["u", "v"], dtype=object), 30),
    })  # fmt: skip
    model = lambda points: np.stack([1.0 - points[:, 0], points[:, 0]], axis=1)  # noqa: E731 # one line, where it is used
    labels = np.asarray(rows[:, 0], dtype=np.int64)
    for test in (assessing.decision, assessing.constrained):
        case = Case(Target(model, classes=2), space, rows, labels)
        outcome = test(case, replace(SMALL, budgets=(0.5, 1.5)), 1, silent)
        assert outcome.canary is not None
        assert outcome.canary.was_found
        assert value(outcome, "median distance") == pytest.approx(np.sqrt(2))


# ---- certified ----


def test_a_linear_model_is_certified_exactly() -> None:
    rows = np.random.default_rng(0).random((40, 6))
    labels = np.asarray(linear(rows).argmax(axis=1), dtype=np.int64)
    case = Case(Target(linear, classes=2), Space.box(6), rows, labels)
    outcome = certificates.certified(case, (WEIGHTS, BIAS), SMALL, 0, silent)
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert value(outcome, "exact distances") == 1.0
    certified, attacked = outcome.curves
    assert all(a[1] <= b[1] for a, b in zip(certified.points, attacked.points, strict=True))


def test_a_forest_is_certified_and_a_foreign_one_is_not() -> None:
    fit, labels, points, truth = breast()
    model, other = forest(fit, labels, trees=5), forest(fit, 1 - labels, trees=5)
    read, foreign = trees.of_estimator(model), trees.of_estimator(other)
    case = Case(Target(model.predict_proba, classes=2), Space.box(30), points, truth, pool=fit)
    few = replace(SMALL, rows=8, declared=0.02)
    outcome = certificates.certified(case, read, few, 0, silent)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    assert 0 < value(outcome, "certified accuracy") <= value(outcome, "accuracy")
    assert certificates.certified(case, foreign, few, 0, silent).reason


def test_a_bound_that_claims_too_much_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, labels, points, truth = breast()
    model = forest(fit, labels, trees=4, depth=3)
    case = Case(Target(model.predict_proba, classes=2), Space.box(30), points, truth, pool=fit)
    real = certifying.certify

    def boastful(*args: Given, **named: Given) -> Given:
        made = real(*args, **named)
        return replace(made, low=made.low * 1.2)

    monkeypatch.setattr(certificates, "certify", boastful)
    outcome = certificates.certified(
        case, trees.of_estimator(model), replace(SMALL, rows=8), 0, silent
    )
    assert judge(outcome, []) is Status.INVALID


# ---- odd input ----


@pytest.mark.parametrize("test", ALL)
def test_a_regression_has_no_wrong_answers(test: Test) -> None:
    case = Case(Target(lambda rows: rows[:, :1], classes=1), loan_space(),
                np.zeros((3, 9)), np.zeros(3, dtype=np.int64),
                lambda points, _: (np.zeros(len(points)), points))  # fmt: skip
    outcome = test(case, SMALL, 0, silent)
    assert outcome.reason
    assert judge(outcome, []) is Status.NOT_APPLICABLE


def test_when_it_does_not_apply(case: Case) -> None:
    bare = case.target.again(form=OutputForm(shows="labels"))
    assert assessing.score(replace(case, target=bare), SMALL, 0, silent).reason
    assert assessing.gradient(replace(case, gradient=None), SMALL, 0, silent).reason
    assert assessing.constrained(case, SMALL, 0, silent).reason
    assert certificates.certified(case, None, SMALL, 0, silent).reason
    assert assessing.decision(case, replace(SMALL, queries=0), 0, silent).reason
    missing = replace(case, rows=np.full_like(case.rows, np.nan))
    assert assessing.decision(missing, SMALL, 0, silent).reason
    frozen = Space([replace(one, is_mutable=False) for one in case.space.features])
    assert assessing.decision(replace(case, space=frozen), SMALL, 0, silent).reason


def test_odd_rows(case: Case) -> None:
    rows = case.rows.copy()
    rows[:3, 0] = np.nan
    outcome = assessing.decision(replace(case, rows=rows[:5], labels=case.labels[:5]), SMALL, 0,
                                 silent)  # fmt: skip
    assert any("3 rows with missing values" in words for words in outcome.words)
    assert {one["row"] for one in outcome.listed["nearest rows"]} <= {3, 4}
    one = replace(case, rows=case.rows[:1], labels=case.labels[:1])
    assert assessing.decision(one, SMALL, 0, silent).measures
    same = replace(case, target=Target(lambda x: np.tile([1.0, 0.0], (len(x), 1)), classes=2))
    for test in ALL[:3]:
        outcome = test(same, replace(SMALL, rows=3, queries=200), 0, silent)
        assert value(outcome, "evaded") == 0.0
        assert value(outcome, "robust accuracy") == value(outcome, "accuracy")


@pytest.mark.parametrize(
    "change",
    [{"budgets": ()}, {"budgets": (0.2, 0.1)}, {"declared": 0.0}, {"rows": 0}, {"queries": -1},
     {"canary_rows": 0}],
    ids=["none", "order", "declared", "rows", "queries", "canary"],
)  # fmt: skip
def test_settings_out_of_range(case: Case, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        assessing.decision(case, replace(SMALL, **change), 0, silent)
    with pytest.raises(ValidationError):
        assessing.decision(replace(case, labels=case.labels[:3]), SMALL, 0, silent)


def test_noise_changes_categories_too() -> None:
    # Two of three levels are answered wrongly, so noise as long as one change always does harm.
    space = Space([Feature("a", levels=("x", "y", "z")), Feature("n")])
    rows = np.tile([1.0, 0.0, 0.0, 0.5], (20, 1))
    model = lambda points: np.stack([points[:, 0], 1.0 - points[:, 0]], axis=1)  # noqa: E731 # one line, where it is used
    case = Case(Target(model, classes=2), space, rows, np.zeros(20, dtype=np.int64))
    outcome = assessing.decision(case, replace(SMALL, budgets=(0.5, 1.5)), 1, silent)
    assert value(outcome, "right under noise of that length") == 0.0
    assert [share for _, share, _, _ in outcome.curves[1].points] == [1.0, 1.0, 0.0]


def test_what_few_labels_can_tell_of_many_coordinates() -> None:
    """A normal from signs is as far from the true one as its canary allows, in the mean."""
    rng = np.random.default_rng(0)
    for coordinates, questions in ((30, 500), (256, 500), (784, 980)):
        cosines = []
        for _ in range(20):
            tried = rng.normal(size=(questions, coordinates))
            tried /= np.linalg.norm(tried, axis=1, keepdims=True)
            found = np.sign(tried[:, :1]) * tried
            normal = found.sum(axis=0)
            cosines.append(normal[0] / np.linalg.norm(normal))
        longer = 1 / np.mean(cosines)
        allowed = probing.by_labels(coordinates, questions)
        assert longer < allowed <= max(probing.WITHIN, 1.1 * longer)
    assert probing.by_labels(4, 500) == probing.WITHIN
    assert probing.by_labels(4, 0) > 2  # nothing was asked
