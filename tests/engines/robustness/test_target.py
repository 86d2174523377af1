"""A model before an attacker: counted, cut short, rounded; recipes, bounds and verdicts."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome, Status, judge
from strongroom.engines.robustness.recipes import REFERENCES, Estimator, reference
from strongroom.engines.robustness.target import OutputForm, QueriesSpent, Scores, Target
from strongroom.errors import ValidationError

SCORES = np.array([[0.123, 0.456, 0.421], [0.5, 0.5, 0.0]])


def target(form: OutputForm | None = None, budget: int | None = None) -> Target:
    def predict(rows: np.ndarray) -> Scores:
        return np.asarray(SCORES[rows[:, 0].astype(int)], dtype=np.float64)

    return Target(predict, classes=3, form=form or OutputForm(), budget=budget)


def test_every_row_is_counted_and_none_beyond_the_budget() -> None:
    model = target(budget=3)
    assert model.labels(np.array([[0.0], [1.0]])).tolist() == [1, 0]
    assert (model.queries, model.left) == (2, 1)
    with pytest.raises(QueriesSpent):
        model.scores(np.array([[0.0], [1.0]]))
    assert model.queries == 2
    model.scores(np.array([[0.0]]))
    assert model.left == 0
    assert model.again().left is None


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (OutputForm(), [0.123, 0.456, 0.421]),
        (OutputForm(decimals=1), [0.1, 0.5, 0.4]),
        (OutputForm(top=2), [0.0, 0.456, 0.421]),
        (OutputForm(top=1, decimals=2), [0.0, 0.46, 0.0]),
        (OutputForm(shows="labels"), [0.0, 1.0, 0.0]),
    ],
    ids=["whole", "rounded", "top", "top rounded", "labels"],
)
def test_answers_leave_in_their_form(form: OutputForm, shown: list[float]) -> None:
    np.testing.assert_allclose(target(form).scores(np.zeros((1, 1)))[0], shown)


@pytest.mark.parametrize(
    "answer",
    [np.zeros((1, 3)), np.zeros((2, 2)), np.full((2, 3), np.nan), np.zeros(2)],
    ids=["rows", "classes", "nan", "flat"],
)
def test_a_model_that_answers_nonsense_is_told(answer: Scores) -> None:
    with pytest.raises(ValidationError, match="model answered"):
        Target(lambda _: answer, classes=3).scores(np.zeros((2, 1)))


def test_recipes_know_every_class_and_repeat_themselves() -> None:
    rows, labels = load_wine(return_X_y=True)
    few = labels < 2
    for name in REFERENCES:
        recipe = reference(name, 3)
        assert not recipe.is_own
        scores = [
            recipe.fit(rows[few] / rows.max(0), labels[few], 7)(rows / rows.max(0)) for _ in "ab"
        ]
        np.testing.assert_array_equal(scores[0], scores[1])
        assert scores[0].shape == (len(rows), 3)
        assert (scores[0][:, 2] == 0).all()
        assert (scores[0][few].argmax(axis=1) == labels[few]).mean() > 0.9


def test_a_recipe_leaves_its_estimator_alone() -> None:
    estimator = LogisticRegression()
    Estimator("own", estimator, 2, is_own=True).fit(np.eye(2), np.array([0, 1]), 1)
    assert not hasattr(estimator, "coef_")


@pytest.mark.parametrize(("hits", "tries"), [(0, 10), (3, 10), (10, 10), (1, 1_000)])
def test_bounds_of_a_share(hits: int, tries: int) -> None:
    # By definition: at each bound, what was seen has a probability of 2.5 % on its side.
    low, high = clopper_pearson(hits, tries)
    if hits:
        assert binom.sf(hits - 1, tries, low) == pytest.approx(0.025)
    if hits < tries:
        assert binom.cdf(hits, tries, high) == pytest.approx(0.025)
    assert 0 <= low <= hits / tries <= high <= 1
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def outcome(**changed: object) -> Outcome:
    made: dict[str, object] = {
        "test": "evasion.decision", "threat": 3, "atlas": ("AML.T0043.001",),
        "measures": (Measure("robust accuracy", 0.8, 0.7, 0.9, "share"),),
        "canary": Canary("a row beside the border", was_found=True, found="at .011 of .010"),
    }  # fmt: skip
    return Outcome(**{**made, **changed})  # type: ignore[arg-type] # a test's own words


@pytest.mark.parametrize(
    ("gates", "changed", "verdict"),
    [
        ([], {}, Status.INFORMATION),
        ([Gate("robust accuracy", "at least", 0.75)], {}, Status.PASSED),
        ([Gate("robust accuracy", "at least", 0.75, "worst")], {}, Status.FAILED),
        ([Gate("robust accuracy", "at most", 0.85, "worst")], {}, Status.FAILED),
        ([Gate("median distance", "at least", 0)], {}, Status.FAILED),
        ([], {"canary": Canary("a row", was_found=False, found="nothing")}, Status.INVALID),
        ([Gate("robust accuracy", "at least", 1)], {"reason": "one class"}, Status.NOT_APPLICABLE),
    ],
    ids=["no gate", "kept", "worst low", "worst high", "not measured", "canary", "reason"],
)
def test_verdicts(gates: list[Gate], changed: dict[str, object], verdict: Status) -> None:
    assert judge(outcome(**changed), gates) is verdict
