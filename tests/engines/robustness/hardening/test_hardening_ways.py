"""Ways of hardening over columns, and what is said of them."""

import numpy as np
import pytest

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.hardening.advice import warnings
from strongroom.engines.robustness.hardening.columns import ColumnRecipe
from strongroom.engines.robustness.hardening.stating import REFERENCES, Stated
from strongroom.engines.robustness.hardening.ways import (
    FITTED,
    Options,
    Way,
    fit_again,
    usual_radius,
)
from strongroom.engines.robustness.outcome import Outcome, Status
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, OutputForm, Rows
from strongroom.errors import ValidationError

SPACE = Space([Feature("close"), Feature("far"), Feature("noise")])
CLASSES = ("no", "yes")
NETWORKLESS = Stated("LogisticRegression", {"C": 1e6, "max_iter": 500})


def rows_of(seed: int, count: int = 80) -> tuple[Rows, Labels]:
    """Classes that a small step in the first feature turns, and only a large one in the second."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    close = np.where(labels, 0.51, 0.49) + 0.003 * rng.standard_normal(count)
    far = np.where(labels, 0.7, 0.3) + 0.3 * rng.standard_normal(count)
    return np.clip(np.column_stack([close, far, rng.random(count)]), 0, 1), labels


def test_each_way_fits_the_same_recipe_again() -> None:
    rows, labels = rows_of(0)
    recipe = ColumnRecipe(NETWORKLESS, SPACE, CLASSES)
    made = {way: fit_again(way, recipe, rows, labels, Options(rounds=1), seed=1) for way in FITTED}
    fresh, truth = rows_of(1)
    for way, one in made.items():
        least = 0.6 if way is Way.DROPPING else 0.9  # it lost the feature that tells most
        assert (one.model(fresh).argmax(axis=1) == truth).mean() > least, way
        assert one.says
    assert made[Way.DROPPING].details == {"dropped": ["close"]}, "not what the attack leans on"
    assert made[Way.DROPPING].model.pipeline.n_features_in_ == 2
    # It needs the feature of small steps, which every penalty takes away: and says so.
    assert made[Way.REGULARISED].details == {"settings": {}, "step": 0}
    assert "stays as it was" in made[Way.REGULARISED].says[0]
    assert made[Way.ADVERSARIAL].details["radius"] == pytest.approx(usual_radius(rows, labels, 1))
    again = fit_again(Way.ADVERSARIAL, recipe, rows, labels, Options(rounds=1), seed=1)
    np.testing.assert_array_equal(again.model(fresh), made[Way.ADVERSARIAL].model(fresh))


def test_the_radius_is_half_the_way_between_classes() -> None:
    rows = np.array([[0.0, 0, 0], [0.2, 0, 0], [0.0, 0.1, 0], [0.2, 0.1, 0]])
    assert usual_radius(rows, np.array([0, 1, 0, 1]), 0) == pytest.approx(0.1)
    assert usual_radius(rows * 5, np.array([0, 1, 0, 1]), 0) == 0.3
    with pytest.raises(ValidationError, match="equal one"):
        usual_radius(np.zeros((4, 3)), np.array([0, 1, 0, 1]), 0)
    with pytest.raises(ValidationError, match="equal one"):
        usual_radius(rows, np.zeros(4, dtype=np.int64), 0)


def test_what_cannot_be_done_is_said() -> None:
    rows, labels = rows_of(0, 40)
    recipe = ColumnRecipe(REFERENCES["forest"], SPACE, CLASSES)
    with pytest.raises(ValidationError, match="does not fit"):
        fit_again(Way.ROUNDING, recipe, rows, labels, Options(), seed=1)
    bayes = ColumnRecipe(Stated("GaussianNB"), SPACE, CLASSES)
    with pytest.raises(ValidationError, match="no steps"):
        fit_again(Way.REGULARISED, bayes, rows, labels, Options(), seed=1)
    with pytest.raises(ValidationError, match="no feature `size`"):
        fit_again(Way.DROPPING, recipe, rows, labels, Options(dropped=("size",)), seed=1)
    for wrong in ({"radius": 11.0}, {"radius": float("nan")}, {"rounds": 0}, {"rounds": 21}):
        with pytest.raises(ValidationError):
            Options(**wrong)


def failed(*tests: str) -> Report:
    ran = tuple(Ran(one, 1, "", (), Outcome(one, 1, ()), Status.FAILED, "", 0.0) for one in tests)
    return Report(parse_plan("version = 1"), ran, Verdict.FAILED)


@pytest.mark.parametrize(
    ("way", "test", "words"),
    [
        (Way.ROUNDING, "membership.label_only", "rounding keeps every label"),
        (Way.ROUNDING, "evasion.decision", "The model is the same"),
        (Way.ADVERSARIAL, "membership.lira", "look whether membership rises"),
        (Way.REGULARISED, "poisoning.backdoor", "dull models learn too"),
        (Way.PRIVATE, "evasion.decision", "not about changed inputs"),
        (Way.RETRAINED, "membership.lira", "remembers them anew"),
        (Way.DROPPING, "extraction.fidelity", "copied with some hundred"),
        (Way.REGULARISED, "load.inputs", "the endpoint's to refuse"),
    ],
)
def test_a_way_that_cannot_mend_a_failure_says_so(way: Way, test: str, words: str) -> None:
    [said] = warnings(way, failed(test))
    assert said.startswith(f"{test}: ")
    assert words in said


def test_what_a_way_is_for_is_not_warned_of() -> None:
    assert warnings(Way.REGULARISED, failed("membership.lira")) == ()
    assert warnings(Way.ADVERSARIAL, failed("evasion.decision")) == ()
    assert warnings(Way.RETRAINED, failed("poisoning.labels"), left_out=3) == ()
    assert "nothing to mend" in warnings(Way.REGULARISED, failed())[0]
    form = OutputForm(decimals=3)
    assert "next to nothing" in warnings(Way.ROUNDING, failed("membership.lira"), form=form)[0]
    bare = OutputForm(shows="labels")
    assert "labels alone" in warnings(Way.ROUNDING, failed("membership.lira"), form=bare)[0]
